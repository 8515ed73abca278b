"""Nothing is kept of documents that are no more, whichever teacher or student it was kept for.

Each step clears its own tables when it runs. What other teacher versions left, whose steps may
never run again, is cleared here: with every dataset, and when a document is forgotten.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.corpus.comparing import content_key
from stillhouse.corpus.pii_marking import forget_texts
from stillhouse.dataset.review.applied import OVERRIDES
from stillhouse.dataset.review.sample import PAGE as REVIEW_PAGE
from stillhouse.endpoint.kept import forget
from stillhouse.errors import UserError
from stillhouse.evaluate.graded import PAGE as OUTPUTS_PAGE
from stillhouse.report.assemble import PAGE
from stillhouse.soft_labels.store import stores_in
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import unless_held
from stillhouse.storage.provenance import withdraw
from stillhouse.storage.query import connected
from stillhouse.storage.tables import keep_rows
from stillhouse.teacher.answers import TABLE
from stillhouse.teacher.reviewed import AS_ANSWERED

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("stillhouse")


@dataclass(frozen=True)
class Present:
    """What there is: documents (doc_id) that gave a text, and pairs (pair_id) of the present
    dataset, or of one that an unfinished run works on."""

    documents: pa.Table
    pairs: pa.Table

    def lacks(self, ids: Iterable[str], *, documents: bool = False) -> set[str]:
        """Those of `ids`, of pairs or of documents, that are none of them."""
        import pyarrow as pa

        kept = self.documents if documents else self.pairs
        asked = pa.table({"id": pa.array(list(ids), pa.string())})
        with connected({"kept": kept.rename_columns(["id"]), "asked": asked}) as db:
            return {found for (found,) in db.sql("FROM asked ANTI JOIN kept USING (id)").fetchall()}

    def of_documents(self, file: Path) -> int:
        """Keep only rows of these documents; returns how many went."""
        where = "doc_id IN (SELECT doc_id FROM kept)"
        return keep_rows(file, where, kept=self.documents) if file.exists() else 0

    def of_pairs(self, file: Path) -> int:
        # An edge case that no pair gave names none.
        where = "pair_id = '' OR pair_id IN (SELECT pair_id FROM kept)"
        return keep_rows(file, where, kept=self.pairs) if file.exists() else 0


def present(layout: Layout) -> Present:
    snapshots = layout.snapshot("any").parent.glob("[!.]*.parquet")
    datasets = [f for f in snapshots if not f.name.endswith(".lineage.parquet")]
    datasets += [f for f in [layout.table("dataset_splits")] if f.exists()]
    documents = [layout.table("parsed_documents"), *datasets]
    return Present(_ids("doc_id", documents), _ids("pair_id", datasets))


def _ids(column: str, files: Iterable[Path]) -> pa.Table:
    tables = {f"t{number}": file for number, file in enumerate(files)}
    with connected(tables) as db:
        all_of_them = " UNION ".join(
            f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL" for table in tables
        )
        empty = f"SELECT NULL::VARCHAR AS {column} WHERE false"
        return db.sql(f"{all_of_them or empty}").to_arrow_table()


def sweep(layout: Layout, *, strict: bool = False) -> int:
    """Clear what is kept for teachers and students of documents and pairs that are no more;
    returns how many rows and labels went.

    What a step is writing now is left to that step. Shards of soft labels that can't be read are
    left aside, as what they hold may be needed by nobody; if `strict`, they raise `UserError`.
    """
    if not layout.table("parsed_documents").exists():
        return 0
    now = present(layout)
    gone = forget_texts(layout, lambda ids: now.lacks(ids, documents=True))
    for version in _folders(layout.teacher("any").parent):
        lost = _answers(layout, version, now) + _predictions(layout, version, now)
        try:
            lost += _labels(layout, version, now)
        except UserError as error:
            if strict:
                raise
            logger.warning("%s", error)
        if lost:
            logger.info("Teacher %s: %d rows and labels of what is no more went", version, lost)
        gone += lost
    if gone:
        _clear_old_states(layout)
    return gone + forget(layout.cache("endpoint"), now.lacks)


def _folders(parent: Path) -> list[str]:
    return sorted(f.name for f in parent.glob("[!.]*/")) if parent.exists() else []


def _answers(layout: Layout, version: str, now: Present) -> int:
    folder, staging = layout.teacher_answers(version), layout.staging("teacher_answers", version)
    with unless_held(layout.lock("teacher_answers", version)) as free:
        if not free:
            return 0
        files = [*staging.rglob("[!.]*.parquet"), *(folder / "asked").glob("[!.]*.parquet")]
        lost = sum(map(now.of_documents, [*files, folder / TABLE, folder / AS_ANSWERED]))
        if lost:  # drawn and changed by what went, and made anew with the answers
            for derived in (folder / REVIEW_PAGE, folder / OVERRIDES):
                derived.unlink(missing_ok=True)
        return lost


def _labels(layout: Layout, version: str, now: Present) -> int:
    folder, answered = layout.soft_labels(version), layout.teacher_answers(version) / TABLE
    with unless_held(layout.lock("soft_labels", version)) as free:
        if not free or not folder.exists():
            return 0
        written = Present(now.documents, _ids("pair_id", [f for f in [answered] if f.exists()]))
        lost = 0
        for store in stores_in(folder):
            if gone := written.lacks(now.lacks(store)):
                lost += store.keep_only(key for key in store if key not in gone)
        return lost


def _predictions(layout: Layout, version: str, now: Present) -> int:
    """The answers of this teacher and its students; a report that showed one that went goes too."""
    of_teacher = [*layout.teacher_predictions(version).glob("[!.]*.parquet")]
    lost = sum(map(now.of_pairs, of_teacher))
    for student in _folders(layout.root / "students"):
        of_student = layout.student_predictions(student, version).glob("[!.]*.parquet")
        with unless_held(layout.lock(student, "evaluation_report", version)) as free:
            if not free:
                continue
            own = sum(map(now.of_pairs, of_student))
            if own or lost:
                folder = layout.student(student, version)
                withdraw(folder)
                for page in (PAGE, OUTPUTS_PAGE):
                    (folder / page).unlink(missing_ok=True)
            lost += own
    return lost


def _clear_old_states(layout: Layout) -> None:
    """Hidden states are found by tokens, not by documents: those of the teacher that ran last are
    cleared by its own steps, the others go."""
    entries = sorted(layout.cache("trunk").glob("[!.]*"), key=lambda entry: entry.stat().st_mtime)
    for entry in entries[:-1]:
        shutil.rmtree(entry, ignore_errors=True)


def clear_tables(layout: Layout) -> Iterator[str]:
    """Clear the project's own tables, memory, snapshots and caches of documents that
    `parsed_documents` has no more; yields what is done next.

    For when no run is under way and the caller holds the locks: what was resumed from is gone, and
    what was made of these tables is to be made again.
    """
    import pyarrow.parquet as pq

    yield "snapshots, caches and what runs resume from"
    for folder in (layout.snapshot("any").parent, layout.staging(), layout.cache("")):
        shutil.rmtree(folder, ignore_errors=True)
    now = Present(_ids("doc_id", [layout.table("parsed_documents")]), _ids("pair_id", []))
    # Masked documents go last: by them an interrupted call finds a person again.
    kept = {layout.table(name) for name in ("parsed_documents", "masked_documents")}
    tables = [f for f in sorted(layout.tables.rglob("[!.]*.parquet")) if f not in kept]
    yield "tables, pairs and splits"
    for table in tables:
        if "doc_id" in pq.read_schema(table).names:
            now.of_documents(table)
    shutil.rmtree(layout.table("review_sample").parent, ignore_errors=True)  # and its page
    _clear_memory(layout)
    yield "masked documents"
    now.of_documents(layout.table("masked_documents"))


def _clear_memory(layout: Layout) -> None:
    """Of the splits' memory, what no text says any more."""
    said = {n: layout.table(n) for n in ("duplicate_clusters", "instruction_pairs")}
    if layout.split_memory.exists() and all(table.exists() for table in said.values()):
        keep_rows(
            layout.split_memory,
            f"""CASE WHEN document THEN key IN (SELECT content FROM duplicate_clusters)
                ELSE key IN (SELECT {content_key("input")} FROM instruction_pairs) END""",
            **said,
        )
