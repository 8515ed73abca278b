"""A file that holds others, what comes out of it, and how much of that is believed.

Nothing is unpacked to disk: a part is read into memory, within limits, and parsed there. Its name
says what kind of file it is, and is then forgotten.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import BinaryIO

from stillhouse.corpus.parse.elements import ParsedFile
from stillhouse.corpus.parse.unparsable import Unparsable

MB = 1 << 20
# A part is read into memory whole, and a parser takes several times as much.
MAX_PART_BYTES = 128 * MB
# Text packs to a tenth, logs to a fiftieth; what a bomb is made of, to a thousandth. Below the
# floor, whatever it is does no harm.
MAX_RATIO, RATIO_FLOOR = 100, 64 * MB
ENCRYPTED_FLAG = 0x1  # of an entry of a zip archive
MAX_MEMBERS = 100_000  # of one archive
# Of one file, however it is nested.
MAX_UNPACKED_BYTES, MAX_PARTS, MAX_DEPTH = 8192 * MB, 1_000_000, 8

MADE_TO_HARM = "a small file that unpacks to so much may be made to do harm."


@dataclass(frozen=True)
class Member:
    """A file within another. Its name may be anybody's: only its suffix counts."""

    name: str
    data: bytes


Part = Member | ParsedFile | Unparsable


class Exhausted(Unparsable):
    """More than one file may hold: what was read of it before doesn't count either."""


@dataclass
class Budget:
    """What a file of the source may still unpack to, at all depths together."""

    unpacked: int = 0
    parts: int = 0

    def unpack(self, size: int) -> None:
        self.unpacked += size
        if self.unpacked > MAX_UNPACKED_BYTES:
            raise Exhausted(
                "too_large",
                f"it unpacks to more than {MAX_UNPACKED_BYTES // MB} MB",
                remedy=f"split it into smaller files; {MADE_TO_HARM}",
            )

    def count(self) -> None:
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise Exhausted(
                "too_large",
                f"it holds more than {MAX_PARTS} files",
                remedy=f"split it into smaller files; {MADE_TO_HARM}",
            )


@dataclass(frozen=True)
class Holder:
    """An open file that holds others; `size` is that of the file itself."""

    name: str
    stream: BinaryIO
    size: int
    budget: Budget = field(default_factory=Budget)

    @classmethod
    def of(cls, member: Member, budget: Budget) -> Holder:
        return cls(member.name, io.BytesIO(member.data), len(member.data), budget)


def of_the_disk(error: Exception) -> bool:
    """Whether the system couldn't read; libraries raise OSError for broken content as well."""
    return isinstance(error, OSError) and error.errno is not None


def refuse_ratio(unpacked: int, packed: int) -> None:
    """Raise for what unpacks to far more than it is, which no honest text does."""
    if unpacked > max(RATIO_FLOOR, MAX_RATIO * packed):
        raise Unparsable(
            "too_large",
            f"it unpacks to more than {MAX_RATIO} times its size",
            remedy=f"unpack it where that does no harm, and put the files here; {MADE_TO_HARM}",
        )


def too_large() -> Unparsable:
    return Unparsable(
        "too_large",
        f"a part of more than {MAX_PART_BYTES // MB} MB within another file",
        remedy="take it out of there and put it here as a file of its own.",
    )


def read_part(stream: BinaryIO) -> bytes:
    """All that is in the stream; raises `Unparsable` for more than a part may hold."""
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(MB):
        size += len(piece)
        if size > MAX_PART_BYTES:
            raise too_large()
        pieces.append(piece)
    return b"".join(pieces)
