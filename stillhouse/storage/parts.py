"""Rows kept from run to run, in Parquet files of which most stay as they are.

Each row is good by itself, whatever the others: it holds what was computed, and what of. So a run
adds what was missing in a file of its own, and a killed one loses what it had not yet written. What
is no longer asked for goes; a file with none of it is not touched.
"""

# Queries are composed of names and conditions of our own; files go in as parameters.
# ruff: noqa: S608

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError
from stillhouse.storage.files import atomic_file
from stillhouse.storage.tables import row_count

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Rows that are read to get one of them.
GROUP_ROWS = 8192
# Above so many files the small ones become one.
FILES = 12


@dataclass(frozen=True)
class Parts:
    """The files `<name>-<settings>-*.parquet` of a folder, whose rows have this schema.

    One writer at a time: the caller holds a lock. `settings` is a digest of what the rows depend on
    beside their key: of other settings nothing is read, and `keep` removes it.
    """

    folder: Path
    name: str
    settings: str
    schema: pa.Schema

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.name}-{self.settings}-*.parquet"))

    @property
    def rows(self) -> int:
        return sum(map(row_count, self.files))

    def create_view(self, db: duckdb.DuckDBPyConnection, view: str) -> None:
        """A view of all rows.

        Raises:
            UserError: a file can't be read.
        """
        import duckdb

        files = [str(file).replace("'", "''") for file in self.files]
        listed = ", ".join(f"'{file}'" for file in files)
        try:
            if files:
                db.execute(f"CREATE OR REPLACE VIEW {view} AS FROM read_parquet([{listed}])")
                return
        except duckdb.Error as error:
            raise UserError(
                f"{self.folder}: not what is kept there ({str(error).splitlines()[0]})",
                remedy="delete the folder: all of it is computed anew",
            ) from error
        empty = db.from_arrow(self.schema.empty_table())
        columns = ", ".join(
            f"NULL::{kind} AS {name}" for name, kind in zip(empty.columns, empty.types, strict=True)
        )
        db.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT {columns} WHERE false")

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add rows, which are not there yet, in a file of their own; none where there are none."""
        self._write(batches, self._new_file())

    def _new_file(self) -> Path:
        return self.folder / f"{self.name}-{self.settings}-{secrets.token_hex(8)}.parquet"

    def _write(self, batches: Iterable[pa.RecordBatch], target: Path) -> None:
        import pyarrow as pa

        rows = (batch for batch in batches if batch.num_rows)
        first = next(rows, None)
        if first is None:
            return
        with atomic_file(target) as temporary, self._writer(temporary) as writer:
            waiting: list[Any] = []

            def flush() -> None:
                writer.write_table(pa.Table.from_batches(waiting).cast(self.schema), GROUP_ROWS)
                waiting.clear()

            for batch in itertools.chain([first], rows):
                waiting.append(batch)
                if sum(map(len, waiting)) >= GROUP_ROWS:
                    flush()
            if waiting:
                flush()

    def _writer(self, path: Path) -> Any:
        import pyarrow.parquet as pq

        # Digests and signatures don't repeat, and hardly get smaller.
        return pq.ParquetWriter(path, self.schema, compression="lz4", use_dictionary=False)

    def keep(self, db: duckdb.DuckDBPyConnection, where: str, wanted: int) -> None:
        """Let go of the rows for which `where` (SQL over columns of a row) doesn't hold, of what
        was kept under other settings, and of files beyond `FILES`, whose rows become one.

        Where there are just as many rows as are `wanted`, all of them are.
        """
        present = self.files
        for file in self.folder.glob(f"{self.name}-*"):
            if file not in present:
                file.unlink()
        if len(present) <= FILES and self.rows == wanted:
            return
        small = sorted(present, key=lambda file: file.stat().st_size)[:-1]
        merged = small if len(present) > FILES else []
        for file in (f for f in present if f not in merged):
            if not self._all_kept(db, file, where):
                self._replace(db, [file], where)
        if merged:
            self._replace(db, merged, where)

    def _replace(self, db: duckdb.DuckDBPyConnection, files: list[Path], where: str) -> None:
        """Killed in between, it loses rows: twice the same would be worse."""
        target = self._new_file()
        waiting = target.with_suffix(".new")
        self._write(self._kept(db, files, where), waiting)
        for file in files:
            file.unlink()
        if waiting.exists():
            waiting.rename(target)

    def _all_kept(self, db: duckdb.DuckDBPyConnection, file: Path, where: str) -> bool:
        gone = f"SELECT count(*) FROM (FROM read_parquet(?) WHERE NOT ({where}))"
        return not db.execute(gone, [str(file)]).fetchall()[0][0]

    def _kept(
        self, db: duckdb.DuckDBPyConnection, files: list[Path], where: str
    ) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for file in files:
            found = db.sql(
                f"""SELECT {where} FROM read_parquet($file, file_row_number = true)
                    ORDER BY file_row_number""",
                params={"file": str(file)},
            ).to_arrow_table()
            mask, done = found.column(0).combine_chunks(), 0
            with pq.ParquetFile(file) as opened:
                for batch in opened.iter_batches(GROUP_ROWS):
                    kept = mask.slice(done, len(batch))
                    done += len(batch)
                    yield pa.RecordBatch.from_arrays(
                        [column.filter(kept) for column in batch.columns], schema=batch.schema
                    )
