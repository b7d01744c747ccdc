"""The command line, as a user types it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import FIXTURES

UPBIT = FIXTURES / "upbit" / "ticker.jsonl"
UPBIT_RECORDS = (FIXTURES / "upbit" / "ticker.expected.jsonl").read_bytes()


def marketprep(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "marketprep", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, check=False)


def test_decode_files() -> None:
    done = marketprep("decode", "--kind", "ticker", UPBIT)
    assert (done.returncode, done.stdout) == (0, UPBIT_RECORDS)
    lines = UPBIT_RECORDS.count(b"\n")
    summary = done.stderr.decode().strip()
    assert summary.startswith("envelopes ")
    assert f", records {lines}, control 0, held back 0, rejected 0" in summary
    assert "\n" not in summary


def test_decode_standard_input() -> None:
    done = marketprep("decode", "--kind", "ticker", given=UPBIT.read_bytes())
    assert (done.returncode, done.stdout) == (0, UPBIT_RECORDS)


def test_decode_several_files_as_one_stream(tmp_path: Path) -> None:
    lines = (FIXTURES / "okx" / "orderbook.jsonl").read_bytes().splitlines(keepends=True)
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"\n" + b"".join(lines[:1]).rstrip(b"\n"))
    second.write_bytes(b"".join(lines[1:]))
    done = marketprep("decode", "--kind", "orderbook", first, second)
    assert done.stdout == (FIXTURES / "okx" / "orderbook.expected.jsonl").read_bytes()


def test_rejected_are_dead_letters(tmp_path: Path) -> None:
    source, rejected = tmp_path / "in.jsonl", tmp_path / "rejected.jsonl"
    good = UPBIT.read_bytes().splitlines()[0]
    bad = b'{"market": "UPBIT", "symbol": "BTC", "data": ["{}", {"trade_price": 1}]}'
    source.write_bytes(b"\n".join((b"\xff", b"", good, bad)))
    done = marketprep("decode", "--kind", "ticker", "--rejected", rejected, source)
    assert done.returncode == 0
    whole, item = map(json.loads, rejected.read_bytes().splitlines())
    where = {"marketprep.topic": str(source), "marketprep.partition": "0"}
    assert whole == {
        "value_base64": "/w==",
        "headers": {
            **where,
            "marketprep.reason": "not_an_envelope",
            "marketprep.detail": whole["headers"]["marketprep.detail"],
            "marketprep.offset": "0",
            "marketprep.kind": "ticker",
        },
    }
    assert item == {
        "value": '{"market": "UPBIT", "symbol": "BTC", "data": ["{}"]}',
        "headers": {
            **where,
            "marketprep.reason": "missing_field",
            "marketprep.detail": item["headers"]["marketprep.detail"],
            "marketprep.offset": "2",
            "marketprep.kind": "ticker",
            "marketprep.item": "0",
            "marketprep.exchange": "upbit",
        },
    }


def test_rejected_replayed_are_rejected_again(tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.jsonl"
    bad = b'{"market": "UPBIT", "symbol": "BTC", "data": [7]}'
    marketprep("decode", "--kind", "ticker", "--rejected", rejected, given=bad)
    value = json.loads(rejected.read_bytes())["value"]
    done = marketprep("decode", "--kind", "ticker", given=value.encode())
    assert (done.stdout, b"rejected 1" in done.stderr) == (b"", True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("decode",), "Missing option '--kind'"),
        (("decode", "--kind", "trade"), "'trade' is not one of"),
        (("decode", "--kind", "ticker", "/no/such/file"), "'/no/such/file' does not exist"),
        (("decode", "--kind", "ticker", "--rejected", "/no/such/file"), "/no/such/file"),
        (("decode", "--kind", "ticker", "--setting", "/no/such"), "'/no/such' does not exist"),
        (
            ("decode", "--kind", "ticker", "--setting", "/"),
            "has none of config.yml, exchanges.yml, sink.yml",
        ),
        (("simulate", "files"), "Missing argument"),
        (("simulate", "files", "--exchange", "mtgox", "x"), "'mtgox' is not one of"),
        (("nonsense",), "No such command 'nonsense'"),
        (("--nonsense",), "No such option '--nonsense'"),
        (("run", "nonsense"), "unexpected extra argument"),
        (("--region", "Mars"), "'Mars' is not one of 'asia', 'korea', 'ne'"),
        (
            ("--bootstrap-servers", ""),
            "--bootstrap-servers: kafka.bootstrap_servers: is empty: name",
        ),
        (("--bootstrap-servers", "nowhere"), "--bootstrap-servers: kafka.bootstrap_servers"),
        (("simulate", "topics", "--rate", "0"), "0.0 is not in the range"),
    ],
)
def test_wrong_arguments_are_one_message(arguments: tuple[str, ...], text: str) -> None:
    done = marketprep(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert text in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_failures_at_run_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = marketprep("simulate", "files", tmp_path / "file" / "x")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("Error: ")
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "marketprep", "decode", "--kind", "ticker", str(UPBIT)]
        failed = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert failed.returncode == 1
    assert failed.stderr == b"Error: standard output: No space left on device\n"
    done = marketprep("decode", "--kind", "ticker", "--rejected", "/dev/full", given=b"{}\n")
    assert (done.returncode, done.stderr) == (1, b"Error: /dev/full: No space left on device\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("decode", "-h"),
        ("run", "--help"),
        ("settings", "--help"),
        ("simulate", "--help"),
        ("simulate", "files", "-h"),
        ("simulate", "topics", "-h"),
        ("topics", "create", "--help"),
        ("topics", "list", "--help"),
    ],
)
def test_help(arguments: tuple[str, ...]) -> None:
    done = marketprep(*arguments)
    assert "Usage: marketprep" in (done.stdout + done.stderr).decode()


def test_a_reader_that_goes_away() -> None:
    value = UPBIT.read_bytes() * 2000
    command = f"{sys.executable} -m marketprep decode --kind ticker | head -n 1"
    done = subprocess.run(["sh", "-c", command], input=value, capture_output=True, check=False)  # noqa: S607
    assert done.stdout == UPBIT_RECORDS.splitlines(keepends=True)[0]
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


PEAK = """
import sys, marketprep.__main__
try:
    marketprep.__main__.main()
finally:
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(peak.split()[1], file=sys.stderr)
"""


def peak_kib(file: Path) -> int:
    """The peak memory of a process that decodes a file."""
    command = [sys.executable, "-c", PEAK, "decode", "--kind", "ticker", str(file)]
    done = subprocess.run(command, capture_output=True, check=True)
    return int(done.stderr.splitlines()[-1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_stays_bounded(tmp_path: Path) -> None:
    small, large, long = tmp_path / "small", tmp_path / "large", tmp_path / "long"
    small.write_bytes(UPBIT.read_bytes())
    with large.open("wb") as stream:
        while stream.tell() < 60_000_000:
            stream.write(UPBIT.read_bytes() * 200)
    long.write_bytes(b" " * 200_000_000 + b"\n" + UPBIT.read_bytes())
    base = peak_kib(small)
    assert peak_kib(large) < base + (16 << 10)
    assert peak_kib(long) < base + (90 << 10)


def test_simulate_files_and_their_truth(tmp_path: Path) -> None:
    command = ("simulate", "files", tmp_path, "--megabytes", "0.2", "--truth", "--seed", "4")
    done = marketprep(*command, "--exchange", "okx", "--exchange", "upbit")
    assert done.returncode == 0
    assert done.stderr.startswith(b"4 files, ")
    for exchange in ("okx", "upbit"):
        for kind in ("ticker", "orderbook"):
            decoded = marketprep("decode", "--kind", kind, tmp_path / f"{exchange}.{kind}.jsonl")
            expected = (tmp_path / f"{exchange}.{kind}.expected.jsonl").read_bytes()
            assert decoded.stdout == expected != b""


def test_an_envelope_that_is_too_long_is_set_aside(tmp_path: Path) -> None:
    good = UPBIT.read_bytes().splitlines()[0]
    long = good[:-1] + b', "more": "' + b"x" * (17 << 20) + b'"}'
    rejected = tmp_path / "rejected"
    done = marketprep(
        "decode", "--kind", "ticker", "--rejected", rejected, given=b"\n".join((good, long, good))
    )
    once = marketprep("decode", "--kind", "ticker", given=good).stdout
    assert done.stdout == once * 2 != b""
    assert b"rejected 1" in done.stderr
    assert json.loads(rejected.read_bytes())["headers"]["marketprep.offset"] == "1"


def test_standard_input_is_decoded_as_it_comes() -> None:
    command = [sys.executable, "-m", "marketprep", "decode", "--kind", "ticker"]
    value = UPBIT.read_bytes().splitlines(keepends=True)[0]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(value)
        process.stdin.flush()
        assert process.stdout.readline() in UPBIT_RECORDS.splitlines(keepends=True)
        process.stdin.close()


def test_a_file_to_read_is_not_written_to(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(UPBIT.read_bytes())
    done = marketprep("decode", "--kind", "ticker", "--rejected", file, file)
    assert (done.returncode, file.read_bytes()) == (2, UPBIT.read_bytes())
    assert b"is one of the files to read" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_closed_streams(closed: str) -> None:
    command = f"{sys.executable} -m marketprep decode --kind ticker {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)  # noqa: S607
    assert done.returncode == 2
    assert b"is closed" in done.stderr
    assert b"Traceback" not in done.stderr


def test_totals_come_for_nothing_too_and_say_why() -> None:
    nothing = "envelopes 0, items 0, records 0, control 0, held back 0, rejected 0\n"
    assert marketprep("decode", "--kind", "ticker").stderr.decode() == nothing
    told = marketprep("decode", "--kind", "orderbook", given=UPBIT.read_bytes()).stderr.decode()
    assert "(other_kind " in told
    assert told.endswith("; --rejected FILE keeps what was rejected\n")
    assert told.count("\n") == 1


def test_an_interrupt_ends_with_what_was_done() -> None:
    command = [sys.executable, "-m", "marketprep", "decode", "--kind", "ticker"]
    value = UPBIT.read_bytes().splitlines(keepends=True)[0]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(value)
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"}]}\n")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read().startswith(b"envelopes 1, ")


def test_a_byte_order_mark_and_the_line_ends_of_windows() -> None:
    value = b"\xef\xbb\xbf" + UPBIT.read_bytes().replace(b"\n", b"\r\n")
    assert marketprep("decode", "--kind", "ticker", given=value).stdout == UPBIT_RECORDS
