"""Columns that a task names and no record says anything in: most often a name that is misspelt."""

from __future__ import annotations

from pathlib import Path

from stillhouse.config.project import Project
from stillhouse.corpus.listing import decode_path
from stillhouse.corpus.parse.records import similar_column
from stillhouse.errors import UserError
from stillhouse.storage.query import query

# Files of a task that are searched for a column of a similar name.
SEARCHED = 5


def refuse_missing_columns(project: Project, table: Path, files: Path) -> None:
    """Compare the columns that tasks name with `parsed_documents` (`table`).

    A file or a source without them is one that nobody has answered yet. In a task whose records
    none of them say anything there, the name is wrong.

    Raises:
        UserError: naming each such setting, and a column of a similar name.
    """
    with_records = query(
        "SELECT DISTINCT source FROM t WHERE kind = 'records' AND status = 'parsed'", t=table
    )["source"].to_pylist()
    said = query(
        # An object without a value says that there is none, and nothing of the names of its keys.
        "SELECT DISTINCT source, key AS name FROM t, json_each(t.columns) WHERE value <> '{}'",
        t=table,
    ).to_pylist()
    found = {(row["source"], row["name"]) for row in said}
    told, settings = [], []
    for number, task in enumerate(project.tasks):
        sources = [name for name in task.sources if name in with_records]
        for setting, column in task.named_columns if sources else []:
            if not any((source, column) in found for source in sources):
                settings.append(f"tasks[{number}].{setting}")
                hint = _hint(project, files, sources, column)
                told.append(
                    f"{project.file}: {settings[-1]}: no record of {', '.join(sources)} says "
                    f"anything that the task reads in a column {column!r}{hint}"
                )
    if told:
        where = ", ".join(dict.fromkeys(settings))
        raise UserError(
            "\n".join(told),
            remedy=f"name columns of the records in {where}; where they hold JSON objects, the "
            "task's `fields` are the keys.",
        )


def _hint(project: Project, files: Path, sources: list[str], column: str) -> str:
    listed = query(
        "SELECT source, path FROM t WHERE kind = 'records' AND unread IS NULL ORDER BY position",
        t=files,
    ).to_pylist()
    paths = [decode_path(row["path"]) for row in listed if row["source"] in sources]
    hints = (similar_column(project.root / path, column) for path in paths[:SEARCHED])
    return next(filter(None, hints), "")
