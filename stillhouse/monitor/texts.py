"""Which texts are compared: one a family of documents, one a conversation, and none twice.

Texts that stand or fall together (passages and near-duplicates of a document, turns of one
conversation, mails of one template) are no independent examples: each group gives one. Pseudonyms
count as their kind: that other people write is no drift.
"""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillhouse.config.monitor import Drift
from stillhouse.corpus.comparing import without_pseudonyms
from stillhouse.storage.query import connected
from stillhouse.tasks.common import quoted

# Of the reference, so many times as many texts may say what is known as are compared.
KNOWN = 4


@dataclass(frozen=True)
class Texts:
    """Texts in a random order that is always the same, with keys of what they say; of traffic the
    requests that they are of."""

    texts: list[str] = field(repr=False)
    keys: list[str]
    requests: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Window:
    """The newest requests for a student: how many, from when to when, and the share of the rated
    ones that somebody liked."""

    requests: int
    start: str | None
    end: str | None
    liked: float | None


# What a text says: case, punctuation and numbers aside.
_KEY = r"md5(lower(regexp_replace(regexp_replace(text, '\d+', '0', 'g'), '[\s\p{P}]+', ' ', 'g')))"


def reference_texts(dataset: Path, task: str, settings: Drift) -> Texts:
    """What a student learned a task from, and the validation texts."""
    chosen = f"AND source IN ({quoted(settings.sources)})" if settings.sources else ""
    rows = f"""SELECT pair_id AS id, group_id AS family, {without_pseudonyms("input")} AS text
               FROM dataset WHERE task = {quoted([task])} {chosen}
               AND split IN ('train', 'validation') AND origin <> 'passage'"""
    limit = settings.texts * (1 + KNOWN)
    return _drawn(rows, limit, settings.seed, {"dataset": dataset})


def traffic_texts(traffic: Path, task: str, student: str, settings: Drift) -> Texts:
    """What was asked of the student in the last days of its traffic."""
    rows = f"""SELECT request AS id, coalesce(conversation, request) AS family,
                      {without_pseudonyms("input")} AS text
               FROM ({_window(student, settings)}) WHERE task = {quoted([task])}"""
    return _drawn(rows, settings.texts, settings.seed, {"traffic": traffic})


def window_of(traffic: Path, tasks: list[str], student: str, settings: Drift) -> Window:
    sql = f"""SELECT count(*), strftime(min(time), '%Y-%m-%d'), strftime(max(time), '%Y-%m-%d'),
                     avg(liked)
              FROM ({_window(student, settings)}) WHERE task IN ({quoted(tasks)})"""
    with connected({"traffic": traffic}) as db:
        db.execute("SET TimeZone = 'UTC'")
        return Window(*db.sql(sql).fetchall()[0])


def masked_inputs(traffic: Path, requests: list[str]) -> dict[str, str]:
    """The masked texts of these requests, with their pseudonyms, as a model is asked them."""
    import pyarrow as pa

    asked = pa.table({"request": pa.array(requests, pa.string())})
    sql = "SELECT request, input FROM traffic SEMI JOIN asked USING (request)"
    with connected({"traffic": traffic, "asked": asked}) as db:
        return dict(db.sql(sql).fetchall())


def _window(student: str, settings: Drift) -> str:
    """Requests of any student, where the log doesn't say which, are this one's too."""
    seconds = round(settings.window_days * 86400)
    return f"""SELECT * FROM traffic WHERE coalesce(student, {quoted([student])}) =
               {quoted([student])} AND
               epoch(time) > (SELECT max(epoch(time)) FROM traffic) - {seconds}"""


def _drawn(rows: str, limit: int, seed: int, tables: dict[str, Any]) -> Texts:
    order = f"md5(id || '{seed}')"
    sql = f"""WITH rows AS ({rows}), alone AS (
                  SELECT arg_min(id, {order}) AS id, arg_min(text, {order}) AS text
                  FROM rows GROUP BY family)
              SELECT arg_min(id, {order}) AS id, arg_min(text, {order}) AS text, {_KEY} AS key
              FROM alone GROUP BY key ORDER BY md5(key || '{seed}') LIMIT {limit}"""
    with connected(tables) as db:
        found = db.sql(sql).to_arrow_table()
    return Texts(*(found.column(name).to_pylist() for name in ("text", "key", "id")))
