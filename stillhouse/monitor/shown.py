"""A drift report as Markdown: verdict, tests, plots, and the words and requests that drive it.

Words stand in it only where enough requests have them; requests are masked. Both are untrusted and
shown as text.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.monitor import Drift
from stillhouse.facts import DriftReportFacts
from stillhouse.monitor.domain import Word
from stillhouse.monitor.drift import CONFIDENCES, REQUESTS, WORDS
from stillhouse.monitor.verdict import called, limit_of, verdict
from stillhouse.report.markdown import literal, markdown_table
from stillhouse.storage.query import query
from stillhouse.storage.tables import read_table
from stillhouse.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, FOREIGN = 160, 8


def shown(facts: DriftReportFacts, limits: Drift, folder: Path, traffic: Path) -> dict[str, str]:
    """Markdown by name, in the order in which it is read."""
    found = {"verdict": f"**{literal(verdict(facts, limits).said)}**"}
    if not facts.tests:
        return found
    found["tests"] = _tests(facts, limits)
    for task in facts.requests:
        found[f"{task}_plots"] = _plots(facts, limits, folder, task)
        found[f"{task}_requests"] = _requests(folder, traffic, task)
    return found


def _tests(facts: DriftReportFacts, limits: Drift) -> str:
    header = ["task", "test", "difference", "limit", "p", "p of all tests", "false discovery"]
    rows = [
        [
            test.task,
            called(test),
            number(test.effect),
            number(limit_of(test, limits)),
            number(test.p, digits=2),
            number(test.adjusted, digits=2),
            number(test.q, digits=2),
        ]
        for test in facts.tests
    ]
    return markdown_table(header, rows)


def _plots(facts: DriftReportFacts, limits: Drift, folder: Path, task: str) -> str:
    from stillhouse.monitor import plots

    of_task = [test for test in facts.tests if test.task == task]
    words = _words(folder, task)
    drawn = [_picture("Differences", plots.effects(of_task, limits))]
    if words:
        drawn.append(_picture("Words", plots.words(words)))
    if mix := facts.answers.get(task):
        drawn.append(_picture("Answers", plots.answer_mix(mix)))
    sure = [row for row in read_table(folder / CONFIDENCES).to_pylist() if row["task"] == task]
    if sure:
        sides = ([r["confidence"] for r in sure if r["traffic"] is side] for side in (False, True))
        drawn.append(_picture("Confidence", plots.confidences(*sides)))
    table = [
        [w.word, number(w.weight, digits=2), w.reference, w.traffic]
        for w in sorted(words, key=lambda w: -w.weight)
    ]
    header = ["word", "weight", "texts learned from", "requests"]
    return "\n\n".join([*drawn, markdown_table(header, table)])


def _picture(alt: str, figure: Figure) -> str:
    from stillhouse.tasks.figures import png_uri

    return f"![{alt}]({png_uri(figure)})"


def _words(folder: Path, task: str) -> list[Word]:
    rows: list[dict[str, Any]] = read_table(folder / WORDS).to_pylist()
    return [Word(**{k: v for k, v in r.items() if k != "task"}) for r in rows if r["task"] == task]


def _requests(folder: Path, traffic: Path, task: str) -> str:
    """The requests that are least like anything learned from."""
    sql = f"""SELECT round(compared.likeness, 2) AS likeness, round(compared.score, 2) AS score,
                     round(compared.confidence, 2) AS confidence, input AS request
              FROM compared JOIN traffic USING (request, task) WHERE task = '{task}'
              ORDER BY likeness, score DESC LIMIT {FOREIGN}"""  # noqa: S608 - a name of ours
    rows = query(sql, compared=folder / REQUESTS, traffic=traffic)
    cells = [list(row.values()) for row in rows.to_pylist()]
    return markdown_table(rows.column_names, cells, width=WIDTH)
