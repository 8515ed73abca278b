"""Instruction pairs of all tasks, from the documents that may be trained on."""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import ClassificationTask, Task
from stillhouse.config.project import Project
from stillhouse.corpus.document_confidentiality import NAME, levels_up_to
from stillhouse.errors import UserError
from stillhouse.facts import InstructionPairsFacts
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import connected, counts, one_row
from stillhouse.storage.tables import BATCH_ROWS, table_digest, table_writer
from stillhouse.tasks.common import Pair, Tally, quoted
from stillhouse.tasks.kinds import kind_of

if TYPE_CHECKING:
    import pyarrow as pa

MOST_NAMED = 12  # in an error message


def pair_schema() -> pa.Schema:
    """One row a pair. `response` is what the model answers, `label` what a person reads where that
    is something else. `origin` is "gold"; "unlabelled" where the teacher is to answer; "passage"
    where it is to ask as well."""
    import pyarrow as pa

    text = (
        "pair_id",
        "task",
        "doc_id",
        "group_id",
        "source",
        "instruction",
        "input",
        "response",
        "label",
        "origin",
        "confidentiality",
        "created_at",
    )
    return pa.schema([(name, pa.string()) for name in text] + [("slices", pa.list_(pa.string()))])


def build_pairs(project: Project, layout: Layout) -> InstructionPairsFacts:
    """Write `instruction_pairs` from `unique_documents`, in the order of the pairs' ids.

    What is more confidential than `train_up_to` is left out. Equal pairs of several documents are
    one: that of the first document id. Raises `UserError` when there is none.
    """
    documents, path = layout.table("unique_documents"), layout.table("instruction_pairs")
    staging = layout.staging("instruction_pairs")
    # They were left behind with the corpus; here the door is locked a second time.
    low = levels_up_to(project.privacy.train_up_to)
    allowed = f"confidentiality IN ({low})"
    tally, confidential = Tally(), 0
    try:
        drawn = staging / "drawn.parquet"
        with table_writer(drawn, pair_schema()) as write:
            for task in project.tasks:
                sources = f"source IN ({quoted(task.sources)})"
                confidential += one_row(
                    f"SELECT count(*) AS n FROM levels WHERE {sources} AND level NOT IN ({low})",
                    levels=layout.table(NAME),
                )["n"]
                rows: list[dict[str, Any]] = []
                for pair in kind_of(task).pairs(task, documents, f"{sources} AND {allowed}", tally):
                    rows.append(_row(task, pair))
                    if len(rows) == BATCH_ROWS:
                        write(rows)
                        rows = []
                write(rows)
        if not one_row("SELECT count(response) AS n FROM drawn", drawn=drawn)["n"]:
            raise _nothing_to_learn(project, tally, confidential)
        with table_writer(path, pair_schema()) as write, connected({"drawn": drawn}) as db:
            found = db.sql(
                """SELECT * FROM drawn
                   QUALIFY row_number() OVER (PARTITION BY pair_id ORDER BY doc_id) = 1
                   ORDER BY pair_id"""
            )
            for batch in found.to_arrow_reader(BATCH_ROWS):
                write(batch)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return _facts(project, layout, tally, confidential)


def pair_id(task: str, instruction: str, text: str, response: str | None) -> str:
    """Of what a pair says alone: it is the same wherever the pair comes from."""
    return digest({"task": task, "instruction": instruction, "input": text, "response": response})


def _row(task: Task, pair: Pair) -> dict[str, Any]:
    document = pair.document
    content = {
        "task": task.name,
        "instruction": task.instruction,
        "input": pair.input,
        "response": pair.response,
    }
    words = len(pair.input.split())
    length = "short" if words < 20 else "medium" if words < 60 else "long"
    return {
        **content,
        "pair_id": pair_id(task.name, task.instruction, pair.input, pair.response),
        "doc_id": document["doc_id"],
        "group_id": document["family_id"],
        "source": document["source"],
        "label": pair.label,
        "origin": pair.origin,
        "confidentiality": document["confidentiality"],
        "created_at": document["created_at"],
        "slices": [f"source={document['source']}", f"length={length}"],
    }


def _nothing_to_learn(project: Project, tally: Tally, confidential: int) -> UserError:
    seen = [f"{tally.unlabelled:,} without one that a task takes"]
    remedies = ["name sources in `tasks[].sources` whose documents carry a label"]
    if tally.unfit:
        seen += [f"{n:,} whose answer is none of {reason}" for reason, n in tally.unfit.items()]
        remedies.append("correct `fields` or the column that `answers` names")
    if tally.too_rare:
        named = list(tally.too_rare.items())
        rare = ", ".join(f"{name} ({n})" for name, n in named[:MOST_NAMED])
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        fields = ", ".join(
            f"tasks[{i}].min_examples is {task.min_examples}"
            for i, task in enumerate(project.tasks)
            if isinstance(task, ClassificationTask)
            and any(name.startswith(f"{task.name}:") for name, _ in named)
        )
        seen.append(f"too rare are {rare}{more}, where {fields}")
        remedies.append("lower `min_examples`")
    if confidential:
        seen.append(f"{confidential:,} more confidential than privacy.train_up_to")
        remedies.append("raise `privacy.train_up_to`")
    return UserError(
        f"{project.file}: tasks: no document has a label to learn from: {'; '.join(seen)}",
        remedy=f"{', or '.join(remedies)}.",
    )


def _facts(
    project: Project, layout: Layout, tally: Tally, confidential: int
) -> InstructionPairsFacts:
    path = layout.table("instruction_pairs")
    countable = quoted(t.name for t in project.tasks if kind_of(t).countable) or "''"
    size = one_row(
        r"SELECT count(*) AS pairs, sum(len(regexp_extract_all(input, '\S+')))::BIGINT AS words "
        "FROM pairs",
        pairs=path,
    )
    return InstructionPairsFacts(
        digest=table_digest(path, pair_schema().names),
        pairs=size["pairs"],
        words=size["words"],
        by_answer=counts(
            f"""SELECT task || ':' || label AS answer, count(*) AS n FROM pairs
                WHERE task IN ({countable}) AND label IS NOT NULL
                GROUP BY answer ORDER BY n DESC, answer""",
            pairs=path,
        ),
        by_source=counts(
            "SELECT source, count(*) AS n FROM pairs GROUP BY source ORDER BY n DESC, source",
            pairs=path,
        ),
        by_origin=counts(
            "SELECT origin, count(*) AS n FROM pairs GROUP BY origin ORDER BY origin", pairs=path
        ),
        too_confidential=confidential,
        unlabelled=tally.unlabelled,
        too_rare=tally.too_rare,
        passages_left_out=tally.passages_left_out,
        unfit=dict(sorted(tally.unfit.items())),
        not_in_text=tally.not_in_text,
        retrieval_recall=tally.retrieved / tally.searched if tally.searched else None,
    )
