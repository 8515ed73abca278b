"""Train, validation and test: by content, remembered, and the same for ever.

A *family* (the near-duplicates of a document, and its passages) is in one split. Where a new one
goes is decided by a hash of what it says, so that neither a file's name nor its place counts; after
that it is remembered by what its members say, so that nothing that arrives later moves it:

- A family takes the split that its documents are remembered in; one of unknown documents, that
  which their passages are remembered in (an edited file whose old form is gone).
- What was trained on is never tested on. A family that has grown together from several splits goes
  to train if any of it was there, else to validation; it is counted as moved.
- A pair without a gold answer is only ever learned from: a family of nothing else goes to train,
  and in a family that is held out such a pair is left out.
- A text that stands in several families (a shared paragraph that became a passage) ties none of
  them together. It stays where it is or was trained on and is left out of the cleaner splits.

Families may be dealt by time in place of a hash, and families of one customer or thread may be
one (see dealing/); what is said here of families, and what is remembered, holds then too.

What is remembered are 128 bits of each text, under the seed and shares they were dealt with: other
ones deal everything anew. What leaves the corpus is forgotten, so that a document that had to be
erased leaves no trace here; should it come back, its content decides again, the same way unless its
family had been moved. A record that was edited is a new one, unless its old form is still there.
"""

# Queries are composed of numbers and names of our own; what users give goes in as parameters.
# ruff: noqa: S608

from __future__ import annotations

import itertools
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import Splits
from stillhouse.config.project import Project
from stillhouse.corpus.comparing import content_key
from stillhouse.dataset.dealing.checks import unlearnable
from stillhouse.dataset.dealing.groups import join_groups
from stillhouse.dataset.dealing.held_out import mark_held_out
from stillhouse.dataset.dealing.times import order_by_time
from stillhouse.dataset.pairs import pair_schema
from stillhouse.dataset.review.applied import apply_reviews, overrides_of
from stillhouse.errors import UserError
from stillhouse.facts import DatasetSplitsFacts
from stillhouse.storage.files import atomic_file, digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import connected, counts, one_row
from stillhouse.storage.tables import BATCH_ROWS, table_digest, table_writer

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

logger = logging.getLogger("stillhouse")

# From what is learned from to what must stay clean. A split is its place in here: of several, the
# lowest is the one that keeps the others clean.
SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)


def split_schema() -> pa.Schema:
    """The columns of pairs, "split", and what a person who reviewed the pair made of it:
    "accepted", "corrected", or null where nobody did."""
    import pyarrow as pa

    return pa.schema([*pair_schema(), ("split", pa.string()), ("reviewed", pa.string())])


def split_pairs(project: Project, layout: Layout) -> DatasetSplitsFacts:
    """Write `dataset_splits`: the rows of `instruction_pairs` with a column "split".

    Reads `duplicate_clusters` too: which documents a family has or had, also those not kept. Pairs
    of a text that another split was trained on are left out (see above), so there may be fewer.

    A task of few pairs may have no luck with the hash: then of its new families the one next to
    the bound goes to the split that would be empty, and stays there. Families that are remembered
    are not taken for that.

    Raises `UserError` when a task still has an empty split, and when the memory can't be read.
    """
    splits = project.splits
    names = ("instruction_pairs", "duplicate_clusters", "masked_documents")
    # Of documents only groups and held-out texts ask.
    tables = {n: layout.table(n) for n in names if layout.table(n).exists()}
    spill = layout.cache("spill")
    shutil.rmtree(spill, ignore_errors=True)  # what a killed call left
    spill.mkdir(parents=True, exist_ok=True)
    with connected(tables, spill=spill) as db:
        apply_reviews(db, overrides_of(layout))
        found = {"without_group": join_groups(db, splits.group)}
        _load(db, layout.split_memory, splits)
        if splits.held_out is not None:
            found["held_out_texts"] = mark_held_out(db, project, layout)
        found["without_time"] = _place_families(db, splits)
        if splits.by != "time":  # what is older than what is learned from is no test
            _fill_empty_splits(db, [task.name for task in project.tasks])
        _refuse_empty_splits(db, project)
        _write(db, layout.table("dataset_splits"))
        row = db.sql(
            f"""SELECT (SELECT count(*) FROM families WHERE moved) AS moved,
                   (SELECT count(*) FROM pairs) - (SELECT count(*) FROM all_placed) AS left_out,
                   (SELECT count(*) FROM current WHERE reviewed = 'rejected') AS rejected,
                   (SELECT count(*) FROM pairs JOIN families USING (family)
                    WHERE held AND NOT gone AND side < {TEST}) AS held_out_pairs"""
        )
        found |= row.to_arrow_table().to_pylist()[0]
        # Last: a run killed before deals the same again.
        _remember(db, layout.split_memory, _settings(splits))
    if left_out := found.pop("left_out"):
        logger.info(
            "Splits: %d pairs left out: their text or family is held out, or was rejected", left_out
        )
    for name, lack in (("without_time", "time, and go to train"), ("without_group", "group")):
        if found[name]:
            logger.warning("Splits: %d families of documents have no %s", found[name], lack)
    return _facts(layout.table("dataset_splits"), found)


def _settings(splits: Splits) -> str:
    """Under which what was dealt is remembered; texts that are held out deal nothing anew."""
    dealt: list[Any] = [splits.validation, splits.test, splits.seed]
    if splits.by == "time":
        dealt += ["time", str(splits.test_from), str(splits.validation_from)]
    if splits.group is not None:
        dealt += ["group", splits.group]
    return digest(*dealt)


def _load(db: duckdb.DuckDBPyConnection, memory: Path, splits: Splits) -> None:
    """Create pairs(pair_id, task, family, label, response, time, key, gold, gone, held),
    members(family, key) of their documents, shared(key) of texts in several families, and
    memory(document, key, side): of documents where they are, of pairs' texts where they may be.

    A pair without a gold answer is left out where its text has one, in its task or another family.
    """
    import duckdb

    db.execute(
        f"""CREATE TABLE pairs AS
        WITH keyed AS (
            SELECT pair_id, task, group_id AS family, label, response,
                   try_cast(created_at AS TIMESTAMP) AS time, {content_key("input")} AS key,
                   response IS NOT NULL AS gold, gone, false AS held
            FROM dealt
        )
        SELECT * FROM keyed k WHERE gold OR NOT EXISTS (
            FROM keyed g WHERE g.gold AND g.key = k.key
                AND (g.task = k.task OR g.family <> k.family))"""
    )
    db.execute(
        """CREATE TABLE members AS
        SELECT DISTINCT coalesce(root, family_id) AS family, content AS key
        FROM duplicate_clusters LEFT JOIN joined ON joined.family = family_id
        WHERE coalesce(root, family_id) IN (SELECT family FROM pairs)"""
    )
    db.execute(
        """CREATE TABLE shared AS
        SELECT key FROM pairs GROUP BY key HAVING count(DISTINCT family) > 1"""
    )
    db.execute("CREATE TABLE memory (document BOOLEAN, key VARCHAR, side TINYINT)")
    if not memory.exists():
        return
    try:
        db.execute(
            """INSERT INTO memory SELECT document, key, side FROM read_parquet(?)
            WHERE settings = ?""",
            [str(memory), _settings(splits)],
        )
    except duckdb.Error as error:
        raise UserError(
            f"{memory}: not what was remembered of the splits",
            remedy="restore the file, or delete it: moved families may then move back",
        ) from error


def _place_families(db: duckdb.DuckDBPyConnection, splits: Splits) -> int:
    """Create families(family, side, fresh, moved, position) and placed(pair_id, ..., side).

    `position` 0..1 is the hash of the least of the family's keys: of two families that were one,
    only one can change. By time see `order_by_time`. Returns how many families should have one and
    don't.
    """
    dealt = f"""CASE WHEN position < $test THEN {TEST}
                     WHEN position < $test + $validation THEN {VALIDATION} ELSE {TRAIN} END"""
    db.execute(
        f"""CREATE TABLE known AS
        WITH documents AS (
            SELECT family, min(key) AS first, min(side) AS side, count(DISTINCT side) AS sides
            FROM members LEFT JOIN (FROM memory WHERE document) USING (key) GROUP BY family
        ), passages AS (
            SELECT family, min(key) AS first,
                   min(side) FILTER (key NOT IN (SELECT key FROM shared)) AS side,
                   bool_or(gold) AS gold, max(time) AS time
            FROM pairs LEFT JOIN (FROM memory WHERE NOT document) USING (key) GROUP BY family
        )
        SELECT p.family, p.gold, p.time,
               coalesce(d.side, p.side, CASE WHEN NOT p.gold THEN {TRAIN} END) AS side,
               coalesce(d.sides, 0) > 1 AS moved,
               md5_number_upper($seed || ':' || coalesce(d.first, p.first)) / 2.0 ** 64
                   AS position
        FROM passages p LEFT JOIN documents d USING (family)""",
        {"seed": str(splits.seed)},
    )
    without_time = order_by_time(db, splits) if splits.by == "time" else 0
    db.execute(
        f"""CREATE TABLE families AS
        SELECT family, coalesce(side, {dealt})::TINYINT AS side, side IS NULL AS fresh, moved,
               position
        FROM known""",
        {"test": splits.test, "validation": splits.validation},
    )
    db.execute(
        """CREATE VIEW trained AS
        SELECT key, min(side) AS side FROM (
            SELECT key, side FROM pairs JOIN families USING (family)
            UNION ALL SELECT key, side FROM memory WHERE NOT document
        ) GROUP BY key"""
    )
    db.execute(
        f"""CREATE VIEW all_placed AS
        SELECT p.*, f.side FROM pairs p JOIN families f USING (family)
        JOIN trained t ON t.key = p.key AND t.side = f.side
        WHERE NOT gone AND (gold OR f.side = {TRAIN}) AND NOT (held AND f.side < {TEST})"""
    )
    db.execute("CREATE VIEW placed AS FROM all_placed WHERE gold")
    return without_time


def _fill_empty_splits(db: duckdb.DuckDBPyConnection, tasks: list[str]) -> None:
    """Move one new family of the task to each split of it that is empty, where there is one.

    Not the last one of its split, none that takes the last training pair of an answer, and none
    whose texts other families have (they would be left out again).
    """
    sizes = _sizes(db)
    for task, side in itertools.product(tasks, (TRAIN, TEST, VALIDATION)):
        if (task, side) in sizes:
            continue
        db.execute(
            f"""UPDATE families SET side = $side WHERE family = (
                WITH answers AS (
                    SELECT task, response, count(DISTINCT family) AS families FROM placed
                    WHERE side = {TRAIN} AND label IS NOT NULL GROUP BY ALL
                ), donors AS (
                    SELECT side FROM placed WHERE task = $task
                    GROUP BY side HAVING count(DISTINCT family) > 1
                )
                SELECT family FROM families
                WHERE fresh AND side IN (FROM donors)
                    AND family IN (SELECT family FROM placed
                                   WHERE task = $task AND key NOT IN (FROM shared))
                    AND (side <> {TRAIN} OR family NOT IN (
                        SELECT family FROM placed JOIN answers USING (task, response)
                        WHERE families = 1))
                ORDER BY side, position LIMIT 1)""",
            {"side": side, "task": task},
        )


def _sizes(db: duckdb.DuckDBPyConnection) -> dict[tuple[str, int], int]:
    """Pairs by task and split; one without any is not there."""
    found = db.sql("SELECT task, side, count(*) FROM placed GROUP BY task, side").fetchall()
    return {(task, side): n for task, side, n in found}


def _refuse_empty_splits(db: duckdb.DuckDBPyConnection, project: Project) -> None:
    found = _sizes(db)
    for index, task in enumerate(project.tasks):
        sizes = [found.get((task.name, side), 0) for side in range(len(SPLITS))]
        empty = [name for name, size in zip(SPLITS, sizes, strict=True) if not size]
        if not empty:
            continue
        families = db.execute(
            "SELECT count(DISTINCT family) FROM pairs WHERE gold AND task = ?", [task.name]
        )
        count = families.fetchall()[0][0]
        raise UserError(
            f"{project.file}: tasks[{index}]: task {task.name} would have nothing in its "
            f"{' and '.join(empty)} split: it has {sum(sizes)} pairs, from {count} "
            "documents that aren't near-duplicates of each other",
            remedy="add documents to its sources (lower min_examples if classes are too rare), "
            "raise splits.validation or splits.test, or change splits.seed, which deals all "
            "documents anew.",
        )


def _write(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    schema = split_schema()
    names = "CASE s.side " + " ".join(f"WHEN {i} THEN '{n}'" for i, n in enumerate(SPLITS)) + " END"
    rows = db.sql(
        f"""SELECT p.*, {names} AS split FROM dealt p
        JOIN (SELECT pair_id, side FROM all_placed) s USING (pair_id)
        WHERE NOT p.gone ORDER BY pair_id"""
    )
    with table_writer(path, schema) as write:
        for batch in rows.select(*schema.names).to_arrow_reader(BATCH_ROWS):
            write(batch)


def _remember(db: duckdb.DuckDBPyConnection, memory: Path, settings: str) -> None:
    """Replace the memory: the texts of today's documents and pairs, and no others."""
    with atomic_file(memory) as temporary:
        target = str(temporary).replace("'", "''")
        db.execute(
            f"""COPY (
                SELECT '{settings}' AS settings, document, key, min(side) AS side FROM (
                    SELECT true AS document, key, side FROM members JOIN families USING (family)
                    UNION ALL SELECT false, key, side FROM trained JOIN pairs USING (key)
                ) GROUP BY document, key ORDER BY document, key
            ) TO '{target}' (FORMAT parquet)"""
        )


def _facts(dataset: Path, found: dict[str, int]) -> DatasetSplitsFacts:
    sizes = counts(
        """SELECT CASE WHEN response IS NULL THEN 'unlabelled' ELSE split END AS part, count(*)
        FROM t GROUP BY part""",
        t=dataset,
    )
    gold = "response IS NOT NULL"
    return DatasetSplitsFacts(
        digest=table_digest(dataset, ("pair_id", "split")),
        digests={
            **{s: table_digest(dataset, ("pair_id",), f"{gold} AND split = '{s}'") for s in SPLITS},
            "unlabelled": table_digest(dataset, ("pair_id",), f"NOT ({gold})"),
        },
        **{part: sizes.get(part, 0) for part in (*SPLITS, "unlabelled")},
        **found,
        corrected=one_row("SELECT count(*) AS n FROM t WHERE reviewed = 'corrected'", t=dataset)[
            "n"
        ],
        unlearnable=unlearnable(dataset),
    )
