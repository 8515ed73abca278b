"""Requests that have to go: those that name a person, or say what a forgotten document said.

What is remembered of one is its keyed digest, by which it is known again while a log has it.
"""

# Queries are composed of names of our own; what users give goes in as parameters.
# ruff: noqa: S608

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from stillhouse.monitor.ab.record import LOOKS
from stillhouse.monitor.judged import FEEDBACK
from stillhouse.monitor.traffic import STEP
from stillhouse.storage.layout import Layout
from stillhouse.storage.provenance import withdraw
from stillhouse.storage.query import connected
from stillhouse.storage.tables import keep_rows, read_table, write_table

if TYPE_CHECKING:
    import pyarrow as pa


def requests_of(layout: Layout, documents: pa.Table, pseudonym: str | None) -> frozenset[str]:
    """Requests whose text is that of one of these documents (doc_id), or in which the pseudonym
    stands."""
    traffic, masked = layout.table(STEP), layout.table("masked_documents")
    if not traffic.exists():
        return frozenset()
    tables = {"traffic": traffic, "chosen": documents}
    same = "false"
    if masked.exists():
        tables["masked"] = masked
        same = "trim(input) IN (SELECT trim(text) FROM masked SEMI JOIN chosen USING (doc_id))"
    sql = f"""SELECT request FROM traffic
              WHERE {same} OR ($asked IS NOT NULL AND list_contains(pseudonyms, $asked))"""
    with connected(tables) as db:
        return frozenset(found for (found,) in db.execute(sql, {"asked": pseudonym}).fetchall())


def remember_requests(layout: Layout, requests: Iterable[str]) -> None:
    """Add requests to those that must not come back, on disk when this returns."""
    import pyarrow as pa

    listed = layout.forgotten_requests
    known = read_table(listed).column("request").to_pylist() if listed.exists() else []
    together = sorted({*known, *requests})
    if len(together) > len(known):
        listed.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_table(listed, pa.table({"request": pa.array(together, pa.string())}))


def forget_requests(layout: Layout) -> int:
    """Requests that were forgotten leave the table, with what was said of them; drift reports and
    A/B tests that had any go with them.
    Returns how many went."""
    table, listed = layout.table(STEP), layout.forgotten_requests
    if not table.exists() or not listed.exists():
        return 0
    withdraw(table.parent)
    gone = keep_rows(table, "request NOT IN (SELECT request FROM forgotten)", forgotten=listed)
    if gone:
        said = table.with_name(FEEDBACK)
        if said.exists():
            keep_rows(said, "answer_id IN (SELECT answer_id FROM traffic)", traffic=table)
        students = layout.root / "students"
        for report in students.glob("*/*/drift"):
            shutil.rmtree(report)
        for test in students.glob("*/*/ab_test"):
            withdraw(test)
            # How often was looked stays: it is numbers, and the risk is spent.
            for file in test.iterdir():
                if file.name != LOOKS:
                    file.unlink()
    return gone
