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
            self._size = file.metadata.num_rows
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
        rows = pa.concat_tables(found).sort_by("position").combine_chunks()
        self._places = rows["place"].to_numpy()
        self._lines = np.full(len(rows), -1, np.int64)  # of rows that are taken over
        self._rows = rows.drop_columns(["place", "position"])
        self._next, self._start = 0, 0
        self._digests: list[str] = []
        self._good: list[bool] = []
        self._ids: list[str] = []
        self._elsewhere: dict[str, int] | None = None

    def begin_with(self, digests: Sequence[str]) -> bool:
        """Whether these lines are the first ones still, as far as there were so many."""
        old = self._rows["line_digest"][: len(digests)].to_pylist()
        return bool(old) and list(digests[: len(old)]) == old

    def find(self, digest: str) -> tuple[int, str] | None:
        """A row that a line of this digest gave, and its record's id."""
        row = self._next
        at = self._within(row)
        if at < 0 or self._digests[at] != digest:
            if at < 0 and self._elsewhere is None:
                return None  # it has grown, nothing else
            row = self._moved().get(digest, -1)
            if row < 0:
                return None
            at = self._within(row)
        self._next = row + 1
        return (row, self._ids[at]) if self._good[at] else None

    def keep(self, row: int, line: int) -> None:
        """Take the row over, as that of this line."""
        self._lines[row] = line

    def kept(self, now: Mapping[str, Any]) -> Iterator[pa.Table]:
        """The rows taken over, with the values `now` in some columns."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        everywhere, place = np.full(self._size, -1, np.int64), 0
        everywhere[self._places] = self._lines
        with pq.ParquetFile(self.table) as file:
            for batch in file.iter_batches(BLOCK):
                positions = everywhere[place : place + len(batch)]
                place += len(batch)
                chosen = positions >= 0
                if chosen.any():
                    rows = pa.Table.from_batches([batch]).filter(pa.array(chosen))
                    new = {"position": pa.array(positions[chosen])}
                    new |= {c: pa.array([v] * len(rows), pa.string()) for c, v in now.items()}
                    for name, column in new.items():
                        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
                    yield rows

    def _within(self, row: int) -> int:
        """Where the row is in the block that is open, after opening its own; -1 past the end."""
        at = row - self._start
        if not 0 <= at < len(self._digests):
            if row >= len(self._rows):
                return -1
            self._start = row // BLOCK * BLOCK
            block = self._rows.slice(self._start, BLOCK)
            self._digests, self._good, self._ids = (
                block[name].to_pylist() for name in ("line_digest", "good", "record_id")
            )
            at = row - self._start
        return at

    def _moved(self) -> dict[str, int]:
        """Rows by digest, once a line doesn't follow on the one before it."""
        if self._elsewhere is None:
            self._elsewhere = {}
            for start in range(0, len(self._rows), BLOCK):
                digests = self._rows["line_digest"].slice(start, BLOCK).to_pylist()
                self._elsewhere.update(zip(digests, range(start, len(self._rows)), strict=False))
        return self._elsewhere
