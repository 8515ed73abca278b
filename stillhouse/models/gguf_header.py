"""What the header of a GGUF file says, read without torch or transformers: a licence is looked at
in every run, and importing these takes longer than all else of one that finds nothing to do.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any

MAGIC = b"GGUF"
VERSIONS = (2, 3)

# `gguf_metadata_value_type`: numbers by their letter in `struct`, and the two that hold others.
NUMBERS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9

CUT_SHORT = "it ends within its header"


def read_header(file: Path, arrays: Collection[str] = ()) -> dict[str, Any]:
    """The keys and values of the header; arrays of numbers, and of strings those in `arrays`, which
    are None otherwise.

    Raises `ValueError` where it is no such file, or is cut short. No weights are read.
    """
    with file.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise ValueError("it does not begin as one")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Header(content).read(arrays)


class _Header:
    """`at` is where the next value begins, in bytes."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content, self.at = content, len(MAGIC)

    def read(self, arrays: Collection[str]) -> dict[str, Any]:
        (version,), (_tensors, keys) = self._numbers("I", 1), self._numbers("Q", 2)
        if version not in VERSIONS:
            raise ValueError(f"its version is {version}; {VERSIONS} can be read")
        found: dict[str, Any] = {}
        for _ in range(keys):
            key = self._string()
            (kind,) = self._numbers("I", 1)
            found[key] = self._array(key in arrays) if kind == ARRAY else self._value(kind)
        if "general.architecture" not in found:
            raise ValueError("it names no architecture")
        return found

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind not in NUMBERS:
            raise ValueError(f"values of type {kind} are not known")
        (number,) = self._numbers(NUMBERS[kind], 1)
        return number

    def _array(self, wanted: bool) -> list[Any] | None:
        (kind,), (count,) = self._numbers("I", 1), self._numbers("Q", 1)
        if kind == STRING:
            if wanted:
                return [self._string() for _ in range(count)]
            self._skip_strings(count)
            return None
        if kind not in NUMBERS:
            raise ValueError(f"arrays of type {kind} are not known")
        return list(self._numbers(NUMBERS[kind], count))

    def _string(self) -> str:
        (length,) = self._numbers("Q", 1)
        return self._bytes(length).decode("utf-8")

    def _skip_strings(self, count: int) -> None:
        length = struct.Struct("<Q")
        try:
            for _ in range(count):  # a vocabulary, or its merges: nearly all of a header
                self.at += length.size + length.unpack_from(self.content, self.at)[0]
            self._bytes(0)  # the last one is whole
        except (struct.error, OverflowError):
            raise ValueError(CUT_SHORT) from None

    def _numbers(self, letter: str, count: int) -> tuple[Any, ...]:
        size = struct.calcsize(f"<{letter}")
        return struct.unpack(f"<{count}{letter}", self._bytes(size * count))

    def _bytes(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > len(self.content):  # also where a damaged count is beyond all reason
            raise ValueError(CUT_SHORT)
        return self.content[start : self.at]
