"""What must hold of a dataset however it was dealt."""

# Queries are composed of names of our own.

from __future__ import annotations

from pathlib import Path
from typing import Any

from stillhouse.corpus.comparing import content_key
from stillhouse.storage.query import query


def straddling(dataset: Path) -> dict[str, int]:
    """How many families, and how many texts (as `content_key` sees them), are in more
    than one split of the table `dataset`: both must be 0."""
    torn = "(SELECT count(*) FROM (SELECT 1 FROM t GROUP BY {} HAVING count(DISTINCT split) > 1))"
    families, texts = torn.format("group_id"), torn.format(content_key("input"))
    found: dict[str, Any] = query(
        f"SELECT {families} AS families, {texts} AS texts", t=dataset
    ).to_pylist()[0]
    return found


def unlearnable(dataset: Path) -> list[str]:
    """Answers, as `task:answer`, that stand in validation or test and in no training pair.

    Only of tasks whose answers can be counted: elsewhere pairs have no `label`.
    """
    rows = query(
        """SELECT task || ':' || any_value(label) AS answer FROM t WHERE label IS NOT NULL
        GROUP BY task, response HAVING count(*) FILTER (split = 'train') = 0 ORDER BY 1""",
        t=dataset,
    )
    return [str(answer) for answer in rows["answer"].to_pylist()]
