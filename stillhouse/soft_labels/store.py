"""Soft labels on disk: safetensors shards, memory-mapped on reading, that survive a kill.

A shard holds the records of some pairs. Its header says which teacher and which tokenizer made
them and how they are encoded; a shard that says something else is refused, never misread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords
from stillhouse.storage.files import atomic_file, digest, remove_leftovers

if TYPE_CHECKING:
    import numpy as np

FORMAT = "stillhouse-soft-labels/1"
SUFFIX = ".labels.safetensors"


@dataclass(frozen=True)
class ShardHeader:
    """What a shard's labels depend on; `teacher` and `tokenizer` are fingerprints."""

    teacher: str
    tokenizer: str
    encoding: LabelEncoding

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @staticmethod
    def differences(found: str, expected: str) -> list[str]:
        """Fields in which two headers (JSON) differ, as "field is X, expected Y"."""
        left, right = (_flatten(json.loads(text)) for text in (found, expected))
        return [
            f"{name} is {_short(left.get(name))}, expected {_short(right.get(name))}"
            for name in sorted(left.keys() | right.keys())
            if left.get(name) != right.get(name)
        ]


class LabelMismatchError(UserError):
    """A shard's header is not the one asked for."""


@dataclass
class LabelShard:
    """An open, memory-mapped shard; only the records asked for are read."""

    path: Path
    header: ShardHeader
    keys: list[str]
    offsets: np.ndarray
    file: Any = field(repr=False)

    def records(self, index: int) -> LabelRecords:
        """Records of the pair `keys[index]`."""
        start, stop = int(self.offsets[index]), int(self.offsets[index + 1])
        names = [name for name in self.file.keys() if name not in ("keys", "offsets")]  # noqa: SIM118
        return LabelRecords(
            self.header.encoding,
            {
                # safetensors refuses an empty slice at a tensor's end.
                name: self.file.get_slice(name)[start:stop]
                if start < stop
                else self.file.get_tensor(name)[:0]
                for name in names
            },
        )


def write_shard(path: Path, header: ShardHeader, labels: Mapping[str, LabelRecords]) -> None:
    """Write the records of some pairs, by pair key, whole or not at all."""
    import numpy as np
    from safetensors.numpy import save_file

    for key, records in labels.items():
        if records.encoding != header.encoding:
            raise ValueError(f"pair {key}: encoded as {records.encoding}, not {header.encoding}")
        if "\n" in key:
            raise ValueError(f"a pair key is one line: {key!r}")
    joined = LabelRecords.concatenate(list(labels.values()))
    offsets = np.cumsum([0, *(records.entries for records in labels.values())], dtype=np.int64)
    keys = np.frombuffer("\n".join(labels).encode(), dtype=np.uint8)
    with atomic_file(path) as temporary:
        save_file(
            {**joined.arrays, "offsets": offsets, "keys": keys},
            temporary,
            metadata={"header": header.to_json()},
        )


def read_shard(path: Path, expected: ShardHeader) -> LabelShard:
    """Open a shard, memory-mapped.

    Raises LabelMismatchError when its header is another one than `expected`, UserError when the
    file is no readable shard.
    """
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="np")
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: not a readable shard of soft labels ({error})",
            remedy="delete the file; its pairs are labelled again",
        ) from error
    found = (file.metadata() or {}).get("header", "{}")
    if differences := ShardHeader.differences(found, expected.to_json()):
        raise LabelMismatchError(
            f"{path}: soft labels of another make: {'; '.join(differences)}",
            remedy="delete the file to label again, or go back to the teacher and the settings "
            "that made it",
        )
    keys = file.get_tensor("keys").tobytes().decode().split("\n")
    return LabelShard(path, expected, keys, file.get_tensor("offsets"), file)


class LabelStore:
    """Every soft label of one teacher under one encoding: a folder of shards, found by pair key.

    A pair once written is never labelled again. Files cut short by a kill are not shards
    yet; they are removed. Opening raises what `read_shard` raises.
    """

    def __init__(self, folder: Path, header: ShardHeader) -> None:
        self.folder = folder
        self.header = header
        self._shards: dict[Path, LabelShard] = {}
        self._found: dict[str, tuple[LabelShard, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            self._add(read_shard(path, header))

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` without labels, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self._found]

    def write(self, labels: Mapping[str, LabelRecords]) -> Path | None:
        """Add one shard with the records of some pairs, by pair key; None if there are none."""
        if not labels:
            return None
        # Named after its content: writing the same pairs again replaces the shard, and two
        # processes labelling different pairs never meet.
        name = hashlib.sha256("\n".join(labels).encode()).hexdigest()[:16]
        path = self.folder / f"{name}{SUFFIX}"
        write_shard(path, self.header, labels)
        self._add(read_shard(path, self.header))
        return path

    def keep_only(self, keys: Iterable[str]) -> int:
        """Forget the pairs that are not among `keys`, on disk too; returns how many went.

        Only shards that hold one of them are written anew. Killed in between, it leaves some to
        the next call.
        """
        kept, before = set(keys), len(self)
        for shard in list(self._shards.values()):
            rest = {k: shard.records(i) for i, k in enumerate(shard.keys) if k in kept}
            if len(rest) < len(shard.keys):
                self.write(rest)
                shard.path.unlink()
                del self._shards[shard.path]
        self._found = {k: found for k, found in self._found.items() if k in kept}
        return before - len(self)

    def get(self, key: str) -> LabelRecords:
        """Records of a pair, one row per supervised token. Raises KeyError if it has none."""
        shard, index = self._found[key]
        return shard.records(index)

    def _add(self, shard: LabelShard) -> None:
        self._shards[shard.path] = shard
        self._found.update((key, (shard, index)) for index, key in enumerate(shard.keys))


def keys_below(folder: Path) -> Iterator[str]:
    """The pair keys of all shards below `folder`, whoever labelled them; no label is read."""
    from safetensors import safe_open

    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        with safe_open(path, framework="np") as file:
            yield from file.get_tensor("keys").tobytes().decode().split("\n")


def open_store(folder: Path, header: ShardHeader) -> LabelStore:
    """The store for `header` below `folder`; other teachers' and encodings' lie beside it."""
    return LabelStore(folder / digest(header.to_json()), header)


def stores_in(folder: Path) -> Iterator[LabelStore]:
    """All stores below `folder`, whatever made them; raises what `read_shard` raises."""
    from safetensors import SafetensorError, safe_open

    for below in sorted(folder.glob("*/")):
        shard = next(below.glob(f"*{SUFFIX}"), None)
        if shard is not None:
            try:
                with safe_open(shard, framework="np") as file:
                    header = header_from(json.loads((file.metadata() or {})["header"]))
            except (SafetensorError, OSError, ValueError, KeyError) as error:
                raise UserError(
                    f"{shard}: not a readable shard of soft labels ({type(error).__name__})",
                    remedy="delete the file; its pairs are labelled again",
                ) from error
            yield LabelStore(below, header)


def header_from(values: Mapping[str, Any]) -> ShardHeader:
    """The header whose `asdict`, through JSON or not, is `values`."""
    stored = values["encoding"]
    encoding = LabelEncoding(
        stored["kind"],
        stored["entries"],
        tuple(stored["temperatures"]),
        tuple(stored["label_ids"]),
    )
    return ShardHeader(values["teacher"], values["tokenizer"], encoding)


def _flatten(header: dict[str, Any]) -> dict[str, Any]:
    encoding = header.pop("encoding", {})
    return header | {f"encoding.{name}": value for name, value in encoding.items()}


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
