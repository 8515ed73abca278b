"""Which requests are compared: those that were, while they are there, and new ones as planned."""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.monitor import AbTest
from stillhouse.storage.query import connected
from stillhouse.storage.tables import read_table
from stillhouse.tasks.common import quoted

if TYPE_CHECKING:
    import pyarrow as pa

REQUESTS = "requests.parquet"
# What a text says: case, punctuation and numbers aside.
_KEY = r"md5(lower(regexp_replace(regexp_replace(input, '\d+', '0', 'g'), '[\s\p{P}]+', ' ', 'g')))"


@dataclass(frozen=True)
class Sampled:
    """A request, masked: of one `group` are those of a conversation, or of the same text. `score`
    0..1 is that of the `answer` that `release` gave, `gold` the right one; each may be unknown."""

    request: str
    group: str
    input: str = field(repr=False)
    answer: str | None = field(repr=False, default=None)
    release: str | None = None
    shadow: str | None = field(repr=False, default=None)
    shadow_release: str | None = None
    score: float | None = None
    gold: str | None = field(repr=False, default=None)


def sample(
    traffic: Path, task: str, student: str, known: Collection[str], terms: AbTest
) -> list[Sampled]:
    """At most as many as are planned, the `known` ones first, in a random order that is always the
    same. By outcome, only those count of which one is known."""
    import pyarrow as pa

    judged = "AND (gold IS NOT NULL OR coalesce(score, liked) IS NOT NULL)"
    sql = f"""SELECT request, coalesce(conversation, {_KEY}) AS "group", input, answer, release,
                     shadow, shadow_release, coalesce(score, liked) AS score, gold
              FROM traffic
              WHERE task = {quoted([task])} AND coalesce(student, {quoted([student])}) =
                    {quoted([student])} {judged if terms.measure == "outcome" else ""}
              ORDER BY request NOT IN (SELECT request FROM known),
                       md5(request || '{terms.seed}')
              LIMIT {terms.requests}"""
    table = pa.table({"request": pa.array(sorted(known), pa.string())})
    with connected({"traffic": traffic, "known": table}) as db:
        return [Sampled(**row) for row in db.sql(sql).to_arrow_table().to_pylist()]


def known_requests(folder: Path, task: str) -> set[str]:
    """Those that the last test of this task compared."""
    file = folder / REQUESTS
    rows = read_table(file).to_pylist() if file.exists() else []
    return {row["request"] for row in rows if row["task"] == task}


def requests_schema() -> pa.Schema:
    """Requests by their ids in the table of traffic, which has their texts; `least` and `most` that
    the difference of the two models may be, in points of 0..1."""
    import pyarrow as pa

    return pa.schema(
        [
            *((name, pa.string()) for name in ("task", "request")),
            *((name, pa.float64()) for name in ("least", "most")),
            *((name, pa.bool_()) for name in ("alike", "mirrored")),
        ]
    )
