"""Record sets that stay within the answer that they came in, where they are most of it.

aiokafka copies each out of its answer, which is a tenth of the work where nothing is compressed.
What this stands in for is not public: see `direct.obstacle`.
"""

import io
from dataclasses import dataclass

from aiokafka.protocol import api
from aiokafka.protocol.fetch import FetchRequest

#: Of what is no longer than names may be, nothing is gained.
_LEAST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A part of an answer, which keeps all of it in memory."""

    answer: bytes
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def __bytes__(self) -> bytes:
        return self.answer[self.start : self.end]


def install() -> None:
    """Lets whatever is fetched from now on be read so."""
    for answer in api.Response.__subclasses__():
        if answer.API_KEY == FetchRequest.API_KEY:
            answer.decode = classmethod(_decode)


def _decode(kind: type[api.Response], answer: bytes | io.BytesIO) -> api.Response:
    """Reads an answer, of whatever version, as it is described there."""
    stream = io.BytesIO(answer) if isinstance(answer, bytes) else answer
    return kind(*kind.SCHEMA.decode(_Reader(stream)))


class _Reader:
    """Hands out what is long as a part, and all else as bytes."""

    def __init__(self, answer: io.BytesIO) -> None:
        self._stream = answer
        self._whole = answer.getvalue()  # the bytes themselves, as nobody has written to it
        # little else of the answer is then kept for its sake
        self._long = max(len(self._whole) * 7 // 8, _LEAST_BYTES)

    def read(self, length: int) -> bytes | RecordSet:
        """The next bytes, or what there is of them."""
        if length < self._long:
            return self._stream.read(length)
        start = self._stream.tell()
        end = min(start + length, len(self._whole))
        self._stream.seek(end)
        return RecordSet(self._whole, start, end)
