"""Forgetting on request: a document, a file's documents, or all that name a person.

First the list of what must not come back is on disk, then all else goes, table by table, each
whole. Whatever is interrupted is taken up by the next call, or by the next run.
"""

# Queries are composed of names of our own; what users give goes in as parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.alone import alone, refuse_running
from stillhouse.corpus.masked import forget_originals
from stillhouse.corpus.parse.forgotten import SAID, Forgotten, open_list, remember
from stillhouse.corpus.parsed import forget_listed
from stillhouse.dataset.lineage import LEARNED_FROM
from stillhouse.erasure.sweep import clear_tables, sweep
from stillhouse.errors import UserError
from stillhouse.monitor.forgetting import forget_requests, remember_requests, requests_of
from stillhouse.release.channels import channels_of
from stillhouse.release.published import releases_of, students_with_releases
from stillhouse.storage.files import atomic_file
from stillhouse.storage.layout import Layout
from stillhouse.storage.log import append_line, user_name
from stillhouse.storage.provenance import withdraw
from stillhouse.storage.query import connected
from stillhouse.storage.tables import read_batches

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Learned:
    """A student that learned from so many pairs of what is forgotten; `alike` of them from a
    near-duplicate, which stays. `release` is the id of one that was released, and `channels` lead
    to it."""

    student: str
    version: str
    pairs: int
    alike: int
    release: str | None = None
    channels: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.release is None:
            return f"{self.student} [{self.version}]"
        led = f" ({', '.join(self.channels)})" if self.channels else ""
        return f"{self.student}, release {self.release}{led}"


@dataclass(frozen=True)
class Found:
    """What would be forgotten: digests of documents for the list, how many documents, the files
    that hold them (source, path, lines), those that hold near-duplicates, and who learned of it;
    and the requests of production that name or repeat it."""

    digests: frozenset[str]
    documents: int
    files: list[tuple[str, str, list[int]]]
    alike: list[tuple[str, str, list[int]]]
    learned: list[Learned]
    requests: frozenset[str] = frozenset()


def find(layout: Layout, asked: str, *, person: bool = False) -> Found:
    """What `asked` stands for: a document's or a file's id, a file's path as `stillhouse files`
    prints it, or, of a `person`, the pseudonym.

    With each document comes what says the same in its source. Changes nothing, but makes the
    list's key where there is none.

    Raises:
        UserError: nothing of the kind is known.
    """
    if not layout.table("parsed_documents").exists():
        raise UserError("nothing was read yet", remedy="there is nothing to forget.")
    listed = open_list(layout)
    chosen = _naming(layout, asked) if person else _called(layout, asked)
    same = Forgotten.over(listed, _rows(layout, chosen))
    documents = {row["doc_id"] for row in _all_rows(layout) if row in same} if len(same) else set()
    alike = _near(layout, documents)
    known = documents if person else documents | {asked}
    learned = list(_learned(layout, _ids(known), _ids(alike)))
    requests = requests_of(layout, _ids(documents), asked if person else None)
    if not documents and not learned and not requests and not layout.forgetting.exists():
        raise UserError(
            f"no document {'names that person' if person else 'or file is called that'}",
            remedy="write a pseudonym as it stands in a masked text."
            if person
            else "give a doc_id or file_id of the tables, or a path as `stillhouse files` does.",
        )
    return Found(
        same.digests,
        len(documents),
        list(_files(layout, _ids(documents))),
        list(_files(layout, _ids(alike))),
        learned,
        requests,
    )


def forget(layout: Layout, found: Found, asked: str) -> Iterator[str]:
    """Forget it; yields what is done next, in words that name nobody.

    Called again after it was interrupted, it goes on. Afterwards the project's tables are to be
    made again, and what learned from them is stale.

    Raises:
        UserError: a run is under way, or the log can't be written: nothing is changed then.
    """
    refuse_running(layout, "with the documents as they were")
    with alone(layout):
        append_line(
            layout.erasures,
            {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "user": user_name(),
                "asked": open_list(layout).sealed(asked)[:16],
                "documents": found.documents,
                "requests": len(found.requests),
                "learned": [str(learned) for learned in found.learned],
            },
        )
        yield "the list of what must not come back"
        with atomic_file(layout.forgetting) as temporary:
            temporary.touch()
        for name in ("parsed_documents", "dataset_splits"):
            withdraw(layout.table(name).parent)
        remember(layout, found.digests)
        remember_requests(layout, found.requests)
        yield "parsed documents and their quarantine"
        forget_listed(layout)
        yield from clear_tables(layout)
        yield "originals in the vault"
        forget_originals(layout)
        yield "requests of production and drift reports"
        forget_requests(layout)
        yield "answers, soft labels, predictions and reports"
        sweep(layout, strict=True)
        layout.forgetting.unlink(missing_ok=True)


def _called(layout: Layout, asked: str) -> set[str]:
    names = "doc_id, file_id, path, source || ': ' || path"
    where = f"$asked IN ({names}) AND status = 'parsed'"
    return _found(f"SELECT doc_id FROM parsed WHERE {where}", layout, asked)


def _naming(layout: Layout, pseudonym: str) -> set[str]:
    where = "list_contains(list_transform(entities, lambda e: e.pseudonym), $asked)"
    return _found(f"SELECT doc_id FROM masked WHERE {where}", layout, pseudonym)


def _found(sql: str, layout: Layout, asked: str) -> set[str]:
    tables = {name: layout.table(f"{name}_documents") for name in ("parsed", "masked")}
    with connected({n: table for n, table in tables.items() if table.exists()}) as db:
        if "FROM masked" in sql and not tables["masked"].exists():
            return set()
        return {found for (found,) in db.execute(sql, {"asked": asked}).fetchall()}


def _all_rows(layout: Layout) -> Iterator[Mapping[str, Any]]:
    for batch in read_batches(layout.table("parsed_documents"), ["doc_id", "status", *SAID]):
        yield from (row for row in batch.to_pylist() if row["status"] == "parsed")


def _rows(layout: Layout, documents: set[str]) -> Iterator[Mapping[str, Any]]:
    return (row for row in _all_rows(layout) if row["doc_id"] in documents)


def _ids(documents: set[str]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"doc_id": pa.array(sorted(documents), pa.string())})


def _near(layout: Layout, documents: set[str]) -> set[str]:
    """Documents that were held for duplicates of these, and are not among them."""
    clusters = layout.table("duplicate_clusters")
    if not clusters.exists():
        return set()
    sql = """SELECT doc_id FROM clusters WHERE doc_id NOT IN (FROM chosen) AND cluster_id IN
             (SELECT cluster_id FROM clusters WHERE doc_id IN (FROM chosen))"""
    with connected({"clusters": clusters, "chosen": _ids(documents)}) as db:
        return {found for (found,) in db.sql(sql).fetchall()}


def _files(layout: Layout, documents: pa.Table) -> Iterator[tuple[str, str, list[int]]]:
    sql = """SELECT p.source, p.path, list(p.position ORDER BY p.position)
             FROM parsed p SEMI JOIN chosen USING (doc_id) GROUP BY ALL ORDER BY 1, 2"""
    with connected({"parsed": layout.table("parsed_documents"), "chosen": documents}) as db:
        yield from db.sql(sql).fetchall()


def _learned(layout: Layout, documents: pa.Table, alike: pa.Table) -> Iterator[Learned]:
    sql = """SELECT count(*) FILTER (doc_id IN (FROM chosen)),
                    count(*) FILTER (doc_id IN (FROM alike)) FROM learned"""

    def counted(file: Path) -> tuple[int, int]:
        with connected({"learned": file, "chosen": documents, "alike": alike}) as db:
            own, others = db.sql(sql).fetchall()[0]
        return own + others, others

    for file in sorted(_students(layout).glob(f"*/*/current/checkpoint/{LEARNED_FROM}")):
        pairs, others = counted(file)
        if pairs:
            yield Learned(file.parts[-5], file.parts[-4], pairs, others)
    for student in students_with_releases(layout):
        for release in releases_of(layout, student):
            file = layout.release_learned_from(student, release)
            pairs, others = counted(file) if file.exists() else (0, 0)
            if pairs:
                led = tuple(channels_of(layout, student, release))
                version = release.rpartition("-")[0]
                yield Learned(student, version, pairs, others, release, led)


def _students(layout: Layout) -> Path:
    return layout.root / "students"
