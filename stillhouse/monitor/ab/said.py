"""What an A/B test tells, in sentences; and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.config.monitor import AbTest
from stillhouse.facts import AbTaskFacts, AbTestFacts
from stillhouse.monitor.ab.looks import INFERIOR, NON_INFERIOR, OPEN, SPENT
from stillhouse.report.markdown import literal, markdown_table
from stillhouse.wording import MISSING, about, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = {
    NON_INFERIOR: "not inferior",
    INFERIOR: "inferior",
    OPEN: "not yet told",
    SPENT: "can't be told from what was planned",
}
NO_TRAFFIC = "no request of this student is in the logs"
LOOKS_HEADER = [
    "look",
    "requests",
    "groups",
    "difference",
    "low",
    "high",
    "standard errors",
    "risk spent",
]


def worst(facts: AbTestFacts) -> str | None:
    """The verdict of all tasks: inferior where one is, not inferior where all are."""
    verdicts = {task.verdict for task in facts.tasks}
    return next((v for v in (INFERIOR, SPENT, OPEN, NON_INFERIOR) if v in verdicts), None)


def summary(facts: AbTestFacts, terms: AbTest) -> str:
    if not facts.tasks:
        return "; ".join(facts.why.values()) or NO_TRAFFIC
    found = [f"{task.task}: {of_task(task, terms)}" for task in facts.tasks]
    return "; ".join([*found, *(f"{name}: not compared" for name in facts.why)])


def of_task(task: AbTaskFacts, terms: AbTest) -> str:
    """The verdict and why, in one line."""
    return f"{WORDS[task.verdict]}: {why(task, terms)}"


def why(task: AbTaskFacts, terms: AbTest) -> str:
    """What speaks for the verdict. Limits are those of the project file, which a running test was
    begun with."""
    margin = number(terms.margin)
    if not task.looks:
        return f"{task.sampled:,} requests, the first look is at {terms.look_every:,}"
    last = task.looks[-1]
    seen = f"after {_times(len(task.looks))} at {last.requests:,} requests"
    if task.verdict == NON_INFERIOR:
        return f"{_worse(last.low)} at most, margin {margin}, {seen}"
    if task.verdict == INFERIOR:
        return f"{_worse(last.high)} at least, margin {margin}, {seen}"
    between = f"between {_signed(last.low)} and {_signed(last.high)}, margin {margin}, {seen}"
    return f"{between}; {advice(task, terms)}"


def advice(task: AbTaskFacts, terms: AbTest) -> str:
    """How many more requests it takes."""
    if task.needed is None:
        return "if it is as much worse as it was so far, no number of requests would show it"
    more = max(1, task.needed - task.looks[-1].requests)
    power = f"{100 * terms.power:.0f} %"
    margin = number(terms.margin)
    said = f"about {about(more):,} more requests to show a margin of {margin} with {power} power"
    if task.needed > terms.requests or task.verdict == SPENT:
        said += f"; {terms.requests:,} are planned: a test of more is another one"
    return said


def _times(looks: int) -> str:
    return "one look" if looks == 1 else f"{looks} looks"


def _worse(value: float) -> str:
    return f"better by {number(value)}" if value > 0 else f"worse by {number(-value)}"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−'}{number(abs(value))}"


def rows_of(task: AbTaskFacts) -> list[list[str]]:
    """The looks, as a table."""
    return [
        [
            str(place),
            f"{one.requests:,}",
            f"{one.groups:,}",
            _signed(one.difference),
            _signed(one.low),
            _signed(one.high),
            number(one.z),
            "< 0.0001" if one.spent < 0.0001 else number(one.spent, digits=2),
        ]
        for place, one in enumerate(task.looks, start=1)
    ]


def figures_of(task: AbTaskFacts) -> list[tuple[str, str]]:
    """What else is known of a task: names and values, as a table."""
    once = f"{_signed(task.once[0])} to {_signed(task.once[1])}" if task.once else MISSING
    found = [
        ("requests compared", f"{task.sampled:,}"),
        ("of these answered in production by both", f"{task.mirrored:,}"),
        ("answered alike", _percent(task.alike)),
        ("of unknown outcome", _percent(task.unknown)),
        ("interval, were this the only look (95 %)", once),
    ]
    if task.p is not None:
        found.append(("p that there is no difference", number(task.p, digits=2)))
    if task.p_exact is not None:
        found.append(("only the candidate was right", str(task.better)))
        found.append(("only the other was right", str(task.worse)))
        found.append(("exact p (McNemar)", number(task.p_exact, digits=2)))
    if "outcomes" in task.figures:
        low, high = (task.figures[f"outcome_{end}"] for end in ("low", "high"))
        said = f"{_signed(low)} to {_signed(high)}, {task.figures['outcomes']:,.0f} requests"
        found.append(("difference by feedback (95 %)", said))
    if "metric_low" in task.figures:
        low, high = (task.figures[f"metric_{end}"] for end in ("low", "high"))
        means = [number(task.figures[f"metric_{side}"]) for side in ("candidate", "other")]
        said = f"{means[0]} and {means[1]}, difference {_signed(low)} to {_signed(high)}"
        found.append(("metric where either was served (95 %)", said))
    if task.earlier:
        found.append(("earlier tests of these models, on other terms", str(task.earlier)))
    return found


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f} %"


def picture(task: AbTaskFacts, terms: AbTest) -> Figure | None:
    from stillhouse.monitor.ab.plots import looks_over_requests

    return looks_over_requests(task.looks, terms) if task.looks else None


def shown(facts: AbTestFacts, terms: AbTest) -> dict[str, str]:
    """Markdown by name, in the order in which it is read."""
    from stillhouse.tasks.figures import png_uri

    found = {"verdict": f"**{literal(summary(facts, terms))}**"}
    for task in facts.tasks:
        figure = picture(task, terms)
        parts = [f"![Looks]({png_uri(figure)})"] if figure else []
        parts += [markdown_table(LOOKS_HEADER, rows_of(task))] if task.looks else []
        parts.append(markdown_table(["figure", "value"], [list(row) for row in figures_of(task)]))
        found[f"{task.task}_looks"] = "\n\n".join(parts)
    return found
