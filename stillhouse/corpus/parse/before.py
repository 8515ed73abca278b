"""The rows that a record file gave when it was read last: what its unchanged lines give again.

A log that grows by a line, an export in which a few records changed: their other lines need no
reading. Only what stands in one line is taken over; what depends on others (whether an id came
before, which number a repeated text has) is decided anew by who asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 8192
NEEDED = ("input_id", "status", "position", "line_digest", "record_id")


class RowsBefore:
    """The rows of one input in the table of parsed documents, by what their lines say.

    Lines mostly come again in their old order, which costs nothing but comparing them; only once
    one is missing there, the others are looked up. In memory are a digest and an id of each line
    (some 60 bytes), more where lines moved.
    """

    def __init__(self, table: Path, input_id: str, *, good: str) -> None:
        """`good` is the `status` of rows that can be taken over."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        self.table = table
        found, place = [], 0
        with pq.ParquetFile(table) as file:
            self._positions = np.full(file.metadata.num_rows, -1, np.int64)
            for batch in file.iter_batches(BLOCK, columns=list(NEEDED)):
                places = pa.array(np.arange(place, place + len(batch)))
                found.append(
                    pa.table(
                        {
                            "place": places,
                            "position": batch["position"],
                            "good": pc.equal(batch["status"], good),
                            "line_digest": batch["line_digest"],
                            "record_id": batch["record_id"],
                        }
                    ).filter(pc.equal(batch["input_id"], input_id))
                )
                place += len(batch)
        self._rows = pa.concat_tables(found).sort_by("position").combine_chunks()
        self._next = 0
        self._elsewhere: dict[str, int] | None = None
        self._block: tuple[int, dict[str, list[Any]]] = (-1, {})

    def begin_with(self, digests: Sequence[str]) -> bool:
        """Whether these lines are the first ones still, as far as there were so many."""
        old = self._rows["line_digest"][: len(digests)].to_pylist()
        return bool(old) and list(digests[: len(old)]) == old

    def find(self, digest: str) -> tuple[int, str] | None:
        """A row that a line of this digest gave, and its record's id."""
        row = self._next
        if row >= len(self._rows) or self._value("line_digest", row) != digest:
            if row >= len(self._rows) and self._elsewhere is None:
                return None  # it has grown, nothing else
            row = self._moved().get(digest, -1)
        if row < 0:
            return None
        self._next = row + 1
        return (row, self._value("record_id", row)) if self._value("good", row) else None

    def keep(self, row: int, position: int) -> None:
        """Take the row over, as that of line `position`."""
        self._positions[self._value("place", row)] = position

    def kept(self, now: Mapping[str, Any]) -> Iterator[pa.Table]:
        """The rows taken over, with the values `now` in some columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        place = 0
        with pq.ParquetFile(self.table) as file:
            for batch in file.iter_batches(BLOCK):
                positions = self._positions[place : place + len(batch)]
                place += len(batch)
                chosen = positions >= 0
                if chosen.any():
                    rows = pa.Table.from_batches([batch]).filter(pa.array(chosen))
                    new = {"position": pa.array(positions[chosen])}
                    new |= {c: pa.array([v] * len(rows), pa.string()) for c, v in now.items()}
                    for name, column in new.items():
                        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
                    yield rows

    def _value(self, column: str, row: int) -> Any:
        number, offset = divmod(row, BLOCK)
        if self._block[0] != number:
            rows = self._rows.slice(number * BLOCK, BLOCK)
            self._block = (number, rows.to_pydict())
        return self._block[1][column][offset]

    def _moved(self) -> dict[str, int]:
        """Rows by digest, once a line doesn't follow on the one before it."""
        if self._elsewhere is None:
            self._elsewhere = {}
            for start in range(0, len(self._rows), BLOCK):
                digests = self._rows["line_digest"].slice(start, BLOCK).to_pylist()
                self._elsewhere.update(zip(digests, range(start, len(self._rows)), strict=False))
        return self._elsewhere
