"""How far the dataset has moved on since a student learned from it."""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stillhouse.storage.query import one_row
from stillhouse.tasks.common import quoted


@dataclass(frozen=True)
class Moved:
    """Training pairs, those without a gold answer among them, that are `new` or `gone` since
    `learned` of them were learned from."""

    learned: int
    new: int
    gone: int

    @property
    def share(self) -> float:
        """Of the pairs learned from; 1 where there were none."""
        return (self.new + self.gone) / self.learned if self.learned else 1.0

    def __str__(self) -> str:
        parts = [f"{n:,} pairs {what}" for n, what in ((self.new, "newer"), (self.gone, "gone"))]
        said = " and ".join(part for part in parts if not part.startswith("0 "))
        return f"the dataset moved on: {said}" if said else ""


def moved_since(learned_from: Path, answers: Path, dataset: Path, tasks: list[str]) -> Moved:
    """Compare what a student of `tasks` learned from with the training split of today's dataset.

    A pair without a gold answer counts as learned from once the teacher was asked it (`answers`,
    where that table is), whether or not its answer was kept.
    """
    asked = (
        "SELECT pair_id FROM answers UNION SELECT pair_id FROM learned"
        if answers.exists()
        else "SELECT pair_id FROM learned"
    )
    tables = {"learned": learned_from, "dataset": dataset}
    if answers.exists():
        tables["answers"] = answers
    found = one_row(
        f"""WITH now AS (
            SELECT pair_id, response IS NOT NULL AS gold FROM dataset
            WHERE split = 'train' AND task IN ({quoted(tasks)})
        ), before AS (
            SELECT pair_id FROM learned WHERE split = 'train' AND task IN ({quoted(tasks)})
        )
        SELECT (SELECT count(*) FROM before) AS learned,
               (SELECT count(*) FROM now WHERE NOT CASE WHEN gold
                    THEN pair_id IN (FROM before) ELSE pair_id IN ({asked}) END) AS new,
               (SELECT count(*) FROM before ANTI JOIN now USING (pair_id)) AS gone""",
        **tables,
    )
    return Moved(**found)
