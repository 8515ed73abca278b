"""How many documents of the corpus what is still said of somebody may fit: k, l and t.

Somebody who knows up to `KNOWN` things of a person (see risk/quasi_identifiers.py) looks for the
document about them. k is the number of documents in which all of these stand, at the least over
what is said in the document (k^m-anonymity: Terrovitis, Mamoulis and Kalnis, PVLDB 2008, for sets
of items; with all columns of a table, k-anonymity: Sweeney, 2002). l is the least number of
different labels among such documents (distinct l-diversity: Machanavajjhala et al., TKDD 2007), t
the largest distance of their labels from those of all documents (t-closeness: Li et al., ICDE 2007,
where all labels are equally far apart: half the sum of the differences).

All of that holds for what is detected, and says nothing of the rest.
"""

# Queries are composed of names and numbers of our own.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.code_of_parts import code_version
from stillhouse.config.corpus import Privacy
from stillhouse.corpus.risk.quasi_identifiers import quasi_identifiers
from stillhouse.facts import ReidentificationRiskFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import connected, one_row
from stillhouse.storage.tables import (
    BATCH_ROWS,
    Finished,
    Inputs,
    table_digest,
    table_writer,
    update_table,
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

NAME = "reidentification_risk"
COVERS = (
    "k covers only what is detected: by patterns and lists, in English, German, French, Japanese "
    "and Thai. Whoever knows anything else may tell more documents apart."
)
RARE = "rare_word"
K = 5  # below which a group is small; a word that fewer documents hold is rare
KNOWN = 3  # things that somebody knows
MOST_ITEMS = 8  # of a document, the rarest: with three of them known, 92 combinations
WORST = 20
CHECKED_CHARACTERS = 20_000

Row = dict[str, Any]


def risk_schema() -> pa.Schema:
    """One row a document. `items` counts its quasi-identifiers, of which the rarest count; `worst`
    are those of a combination with the least k, in a form that names nothing (see `_SHOWN`).
    `k_without_words` is k when nobody knows rare words. `l` and `t` are null without labels."""
    import pyarrow as pa

    numbers = [(name, pa.int64()) for name in ("items", "k", "k_without_words", "l")]
    return pa.schema(
        [("doc_id", pa.string()), *numbers, ("t", pa.float64()), ("worst", pa.string())]
    )


def found_schema() -> pa.Schema:
    """What was found in each document, by kind and value; of masked texts."""
    import pyarrow as pa

    item = pa.struct([("kind", pa.string()), ("value", pa.string())])
    texts = [(name, pa.string()) for name in ("doc_id", "version")]
    return pa.schema([*texts, ("found", pa.list_(item))])


def measure_risk(privacy: Privacy, layout: Layout) -> ReidentificationRiskFacts:
    """Measure `unique_documents` and write `reidentification_risk`.

    Copies were taken out before: the same text twice hides nobody. Only documents that were not
    looked at before are searched. Memory: DuckDB's limit; what doesn't fit goes to disk.
    """
    found = layout.table(NAME).with_name("found.parquet")
    documents = layout.table("unique_documents")
    increment = update_table(
        found,
        layout.staging(NAME),
        found_schema(),
        key="doc_id",
        version=str(code_version("risk")),
        inputs=Inputs(documents, ["doc_id", "title", "text"]),
        compute=_search,
        description="Looking for quasi-identifiers",
    )
    path, spill = layout.table(NAME), layout.cache("spill")
    spill.mkdir(parents=True, exist_ok=True)
    with connected({"found": found, "documents": documents}, spill=spill) as db:
        _items(db, list(privacy.quasi_identifiers))
        _combinations(db)
        with table_writer(path, risk_schema()) as write:
            for batch in db.sql(_RISK).to_arrow_reader(BATCH_ROWS):
                write(batch)
    return _facts(path, increment.computed)


def _search(documents: Iterator[Row]) -> Iterator[Finished]:
    for document in documents:
        said = "\n".join(part for part in (document["title"], document["text"]) if part)
        items = [
            {"kind": kind, "value": value}
            for kind, value in quasi_identifiers(said[:CHECKED_CHARACTERS])
        ]
        row = {"doc_id": document["doc_id"], "version": str(code_version("risk")), "found": items}
        yield Finished(1, [row])


def _items(db: duckdb.DuckDBPyConnection, kinds: list[str]) -> None:
    """items(doc_id, nth, kind, value): of each document the rarest, by how many have them."""
    chosen = ", ".join(f"'{kind}'" for kind in kinds)
    db.execute(
        f"""CREATE TABLE labels AS SELECT doc_id, label FROM documents;
        CREATE TABLE items AS
        WITH told AS (
            SELECT DISTINCT doc_id, f.kind AS kind, f.value AS value
            FROM (SELECT doc_id, unnest(found) AS f FROM found)
            WHERE f.kind IN ({chosen})
        ), counted AS (
            SELECT *, count(*) OVER (PARTITION BY kind, value) AS documents FROM told
            QUALIFY kind <> '{RARE}' OR documents < {K}
        )
        SELECT doc_id, kind, value, count(*) OVER (PARTITION BY doc_id) AS items,
               row_number() OVER (
                   PARTITION BY doc_id ORDER BY kind = '{RARE}', documents, kind, value) AS nth
        FROM counted QUALIFY nth <= {MOST_ITEMS}"""
    )


def _combinations(db: duckdb.DuckDBPyConnection) -> None:
    """held(doc_id, combination, words, parts): up to `KNOWN` items of a document, as a hash and by
    their numbers, and whether a word is among them; groups(combination, k, l, t): how many
    documents hold each, and how their labels lie."""
    # In the order of their hashes, so that the same items are the same combination.
    db.execute(
        f"""CREATE TABLE hashed AS
        SELECT doc_id, nth, hash(kind, value) AS h, kind = '{RARE}' AS word FROM items;
        CREATE TABLE held AS
        SELECT a.doc_id, a.h AS combination, a.word AS words, [a.nth] AS parts FROM hashed a
        UNION ALL
        SELECT a.doc_id, hash(a.h, b.h), a.word OR b.word, [a.nth, b.nth]
        FROM hashed a JOIN hashed b ON a.doc_id = b.doc_id AND a.h < b.h
        UNION ALL
        SELECT a.doc_id, hash(a.h, b.h, c.h), a.word OR b.word OR c.word, [a.nth, b.nth, c.nth]
        FROM hashed a JOIN hashed b ON a.doc_id = b.doc_id AND a.h < b.h
        JOIN hashed c ON b.doc_id = c.doc_id AND b.h < c.h"""
    )
    db.execute(
        """CREATE TABLE groups AS
        WITH shares AS (
            SELECT label, count(*) / sum(count(*)) OVER () AS share
            FROM labels WHERE label IS NOT NULL GROUP BY label
        ), by_label AS (
            SELECT combination, label, count(*) AS n
            FROM held JOIN labels USING (doc_id) GROUP BY ALL
        ), sized AS (
            SELECT combination, label, n, sum(n) OVER (PARTITION BY combination) AS k,
                   sum(n) FILTER (label IS NOT NULL) OVER (PARTITION BY combination) AS labelled
            FROM by_label
        )
        SELECT combination, any_value(k)::BIGINT AS k,
               nullif(count(label), 0) AS l,
               (sum(abs(n / labelled - share)) + 1 - sum(share)) / 2 AS t
        FROM sized LEFT JOIN shares USING (label) GROUP BY combination"""
    )


# What kind of thing an item is, and of its value no more than is coarse: a date's year, an age's
# decade, an occupation; of names and words only how long they are.
_SHOWN = """CASE kind WHEN 'date' THEN 'date ' || value[:4] WHEN 'age' THEN 'age ' || value
    WHEN 'role' THEN 'role ' || value ELSE kind || ' ' || repeat('·', length(value)) END"""

_RISK = f"""
    WITH total AS (SELECT count(*) AS n FROM documents), measured AS (
        SELECT h.doc_id, min(g.k) AS k, min(g.k) FILTER (NOT h.words) AS k_without_words,
               min(g.l) AS l, max(g.t) AS t,
               arg_min(h.parts, list_concat(
                   [g.k, len(h.parts), h.words::INT], list_sort(h.parts))) AS parts
        FROM held h JOIN groups g USING (combination) GROUP BY h.doc_id
    ), worst AS (
        SELECT m.doc_id, any_value(i.items) AS items,
               string_agg({_SHOWN}, ', ' ORDER BY kind, value)
                   FILTER (list_contains(m.parts, i.nth)) AS worst
        FROM measured m JOIN items i USING (doc_id) GROUP BY m.doc_id
    )
    -- A document that says nothing of the kind may be any.
    SELECT d.doc_id, coalesce(w.items, 0) AS items, coalesce(m.k, n) AS k,
           coalesce(m.k_without_words, n) AS k_without_words, m.l, m.t, w.worst
    FROM documents d CROSS JOIN total LEFT JOIN measured m USING (doc_id)
    LEFT JOIN worst w USING (doc_id) ORDER BY d.doc_id
"""

# The least groups, as they are shown: by what they are made of, with nothing that names anybody.
WORST_COMBINATIONS = f"""
    SELECT worst AS combination, k, count(*) AS documents, min(l) AS l, round(max(t), 3) AS t
    FROM t WHERE worst IS NOT NULL AND k < {K} GROUP BY worst, k
    ORDER BY k, documents DESC, worst LIMIT {WORST}
"""


BY_K = """
    SELECT CASE WHEN k = 1 THEN '1' WHEN k < 5 THEN '2-4' WHEN k < 10 THEN '5-9' ELSE '10+'
           END AS k,
           count(*) AS documents, round(100 * count(*) / sum(count(*)) OVER (), 1) AS percent
    FROM t GROUP BY ALL ORDER BY min(t.k)
"""


def _facts(path: Path, computed: int) -> ReidentificationRiskFacts:
    found = one_row(
        f"""SELECT count(*) AS documents, count(*) FILTER (items > 0) AS documents_with_any,
                   count(*) FILTER (k = 1) AS unique_documents,
                   coalesce(avg((k = 1)::INT), 0) AS unique_share,
                   coalesce(avg((k < {K})::INT), 0) AS below_5_share,
                   coalesce(avg((k_without_words = 1)::INT), 0) AS unique_share_without_words,
                   coalesce(avg((k_without_words < {K})::INT), 0) AS below_5_share_without_words,
                   min(k) AS k, min(l) AS l, max(t) AS t,
                   avg((l = 1)::INT) FILTER (k > 1) AS one_label_share
            FROM t""",
        t=path,
    )
    return ReidentificationRiskFacts(
        digest=table_digest(path, risk_schema().names), computed=computed, **found
    )


def too_risky(found: ReidentificationRiskFacts, privacy: Privacy) -> list[str]:
    """Which of the limits that are set are passed, by their settings' names."""
    limits = {"max_unique": found.unique_share, "max_below_5": found.below_5_share}
    return [
        name
        for name, share in limits.items()
        if (limit := getattr(privacy, name)) is not None and share > limit
    ]
