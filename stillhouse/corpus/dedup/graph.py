"""From band keys to clusters: candidate pairs, verification, families, representatives.

Texts are numbered by preference (1 is kept before all others), so of any set of texts the one to
keep is that with the smallest id, and nothing here depends on the order of arrival or on threads.
"""

# Queries are composed of names and numbers of our own.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.dedup import minhash
from stillhouse.corpus.dedup.tables import by_bytes, count, fill, matrix, ordered_map, stream
from stillhouse.progress import track

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from stillhouse.corpus.dedup.texts import Bodies

# Changes when other clusters come of the same texts: those that are kept are then stale.
VERSION = 1

# So many texts of a bucket, the most preferred, are compared with all the others in it: a bucket
# of up to 17 pair by pair, and one of a million with 16 million comparisons.
PIVOTS = 16

# The same among the texts kept of one family.
FAMILY_PIVOTS = 256

# Standard errors of the estimate within which a pair is decided by exact Jaccard. Beyond them the
# estimate errs once in some 30,000 pairs.
CERTAIN = 4.0


@dataclass(frozen=True)
class Graph:
    """The tables of one run, with what is needed to compare two texts.

    Tables: texts(id, apart, place, size, ...), signatures(id, signature) and bands(id, b0, ...) are
    given. compared(a, b) are the pairs looked at; links(a, b, similarity, exact) those that reach
    the threshold; clusters(id, leader) and families(id, family) are the results, for linked texts,
    and groups(id, part) the texts whose results depend on each other. Always a < b, leader < id.

    `jaccard` takes two string arrays of n texts to their n exact similarities.
    """

    db: duckdb.DuckDBPyConnection
    bodies: Bodies
    jaccard: Callable[[pa.Array, pa.Array], Any]
    threshold: float
    permutations: int
    threads: int

    def form(self, bands: int) -> None:
        """Fill all the tables of results.

        A text's leader is the most preferred of the texts that it is linked to, is not set apart
        from, and that have no leader themselves. Leaders of one family may never have met in a
        bucket; they are compared with each other until nothing new is found.
        """
        db = self.db
        db.execute("CREATE TABLE compared (a BIGINT, b BIGINT)")
        db.execute("CREATE TABLE links (a BIGINT, b BIGINT, similarity DOUBLE, exact BOOLEAN)")
        db.execute("CREATE TABLE pairs (a BIGINT, b BIGINT, similarity DOUBLE)")
        db.execute("CREATE TABLE ties (a BIGINT, b BIGINT)")
        if count(db, "bands") < 2:  # nobody to meet
            bands = 0
        for band in track(range(bands), "Comparing texts", unit="bands"):
            met = self._compare(f"SELECT id, b{band} AS key FROM bands", PIVOTS)
            if met > PIVOTS + 1:
                self._tie(PIVOTS + 1)
        self._verify()
        self._find("families", "family", "SELECT a, b FROM links")
        self._find("groups", "part", "SELECT a, b FROM links UNION FROM ties")
        self._choose_leaders()
        while True:
            self._compare(
                """SELECT id, hash(family, apart) AS key FROM families JOIN texts USING (id)
                   WHERE id NOT IN (SELECT id FROM clusters)""",
                FAMILY_PIVOTS,
            )
            if not self._verify():
                break
            self._choose_leaders()

    @property
    def _doubt(self) -> float:
        """How far an estimate may be from the threshold and still be decided exactly."""
        return CERTAIN * sqrt(self.threshold * (1 - self.threshold) / self.permutations)

    def _compare(self, members: str, pivots: int) -> int:
        """Estimate the similarity of texts with the same key; add those that may reach to pairs.

        Returns how many texts share their key with another.
        """
        import pyarrow as pa

        def estimate(batch: pa.RecordBatch) -> pa.Table:
            similarity = minhash.agreement(matrix(batch["one"]), matrix(batch["other"]))
            table = pa.table({"a": batch["a"], "b": batch["b"], "similarity": similarity})
            return table.filter(pa.array(similarity >= self.threshold - self._doubt))

        ((met,),) = self.db.execute(
            f"""CREATE OR REPLACE TABLE members AS
            SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY id) AS place
            FROM ({members}) m
            WHERE key IN (SELECT key FROM ({members}) m GROUP BY key HAVING count(*) > 1)"""
        ).fetchall()
        if not met:  # in a small corpus, most bands
            return 0
        self.db.execute(
            f"""CREATE OR REPLACE TABLE candidates AS
            SELECT p.id AS a, m.id AS b
            FROM members p JOIN members m ON p.key = m.key AND p.place < m.place
            ANTI JOIN compared c ON c.a = p.id AND c.b = m.id
            WHERE p.place <= {pivots}"""
        )
        self.db.execute("INSERT INTO compared SELECT a, b FROM candidates")
        sides = """SELECT a, b, l.signature AS one, r.signature AS other FROM candidates
                   JOIN signatures l ON l.id = a JOIN signatures r ON r.id = b"""
        fill(self.db, "pairs", ordered_map(estimate, stream(self.db, sides), self.threads))
        return int(met)

    def _verify(self) -> int:
        """Move the pairs that do reach the threshold to links; return how many those were.

        Estimates well above it are believed, the others are replaced by exact Jaccard.
        """
        before = count(self.db, "links")
        self.db.execute(
            "INSERT INTO links SELECT *, false FROM pairs WHERE similarity >= ?",
            [self.threshold + self._doubt],
        )
        self._measure("SELECT a, b FROM pairs ANTI JOIN links USING (a, b)")
        self.db.execute(
            "INSERT INTO links SELECT *, true FROM measured WHERE similarity >= ?",
            [self.threshold],
        )
        self.db.execute("TRUNCATE pairs")
        return count(self.db, "links") - before

    def _tie(self, most: int) -> None:
        """Add to ties(a, b) the texts of buckets of more than so many: who else is in one decides
        which of its pairs are compared."""
        self.db.execute(
            f"""INSERT INTO ties SELECT one.id, m.id
            FROM members m JOIN members one ON one.key = m.key AND one.place = 1
            WHERE m.place > 1 AND m.key IN (SELECT key FROM members WHERE place = {most + 1})"""
        )

    def _find(self, table: str, column: str, pairs: str) -> None:
        """Connected components: each text takes the smallest id that has reached it."""
        self.db.execute(
            f"""CREATE TABLE {table} AS
            WITH RECURSIVE
            pairs AS MATERIALIZED ({pairs}),
            edges AS MATERIALIZED (SELECT a, b FROM pairs UNION ALL SELECT b, a FROM pairs),
            reached(id, {column}) USING KEY (id) AS (
                SELECT a, least(a, min(b)) FROM edges GROUP BY a
                UNION
                (SELECT edges.b, min(news.{column})
                 FROM reached news
                 JOIN edges ON edges.a = news.id
                 JOIN recurring.reached known ON known.id = edges.b
                 WHERE news.{column} < known.{column}
                 GROUP BY edges.b)
            )
            SELECT id, {column} FROM reached"""
        )

    def _choose_leaders(self) -> None:
        """Fill clusters from links, and replace estimates by exact values where a cluster rests
        on them; should one fall short after all, its link goes and the choice is made again."""
        import pyarrow as pa

        while True:
            self.db.execute("CREATE OR REPLACE TABLE clusters (id BIGINT, leader BIGINT)")
            fill(self.db, "clusters", (pa.table(absorbed) for absorbed in self._absorb()))
            self._measure(
                """SELECT a, b FROM links JOIN clusters ON id = b AND leader = a WHERE NOT exact"""
            )
            self.db.execute(
                """UPDATE links SET similarity = m.similarity, exact = true
                FROM measured m WHERE links.a = m.a AND links.b = m.b"""
            )
            before = count(self.db, "links")
            self.db.execute("DELETE FROM links WHERE similarity < ?", [self.threshold])
            if count(self.db, "links") == before:
                return

    def _absorb(self) -> Iterator[dict[str, list[int]]]:
        """Texts and leaders, in one pass: whoever could lead a text was decided before it."""
        ((last,),) = self.db.sql("SELECT coalesce(max(b), 0) FROM links").fetchall()
        absorbed = bytearray(last + 1)
        links = """SELECT a, b FROM links JOIN texts l ON l.id = a JOIN texts r ON r.id = b
                   WHERE l.apart = r.apart ORDER BY b, a"""
        for batch in stream(self.db, links):
            ids, leaders = [], []
            for a, b in zip(batch["a"].to_pylist(), batch["b"].to_pylist(), strict=True):
                if not absorbed[a] and not absorbed[b]:
                    absorbed[b] = 1
                    ids.append(b)
                    leaders.append(a)
            yield {"id": ids, "leader": leaders}

    def _measure(self, pairs: str) -> None:
        """Create measured(a, b, similarity) with the exact Jaccard of the pairs a query gives."""
        import pyarrow as pa

        def work(batch: pa.RecordBatch) -> pa.Table:
            left, right = (
                self.bodies.read(batch[f"{s}_place"].to_pylist(), batch[f"{s}_size"].to_pylist())
                for s in ("a", "b")
            )
            similarity = self.jaccard(left, right)
            return pa.table({"a": batch["a"], "b": batch["b"], "similarity": similarity})

        db = self.db
        db.execute("CREATE OR REPLACE TABLE measured (a BIGINT, b BIGINT, similarity DOUBLE)")
        db.execute(
            f"""CREATE OR REPLACE TABLE unmeasured AS
            SELECT p.a, p.b,
                   l.place AS a_place, l.size AS a_size, r.place AS b_place, r.size AS b_size
            FROM ({pairs}) p JOIN texts l ON l.id = p.a JOIN texts r ON r.id = p.b"""
        )
        query = "FROM unmeasured ORDER BY a_place, b_place"
        batches = by_bytes(stream(db, query), "a_size", "b_size")
        batches = track(batches, "Verifying near-duplicates", unit="batches")
        fill(db, "measured", ordered_map(work, batches, self.threads))
