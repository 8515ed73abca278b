"""What an evaluation can't say, from the numbers of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.metrics.paired import FEWEST_THAT_TELL, PairedTest
from stillhouse.metrics.spans import wilson
from stillhouse.report.results import Comparison
from stillhouse.tasks.results import prose_name, shipped
from stillhouse.tasks.sections import Section
from stillhouse.wording import named

TITLE = "What this evaluation can't say"
# Below so many examples a share is known to some 20 points at best.
FEW = 100
# Answers that are named, of those that were not learned or not tested.
MOST_NAMED = 8

Evaluation = Mapping[str, Any]


def limit_sections(evaluation: Evaluation, task: str) -> list[Section]:
    """The section of one task; empty where there is nothing to doubt."""
    said = limit_readings(evaluation, task)
    return [Section(TITLE, said)] if said else []


def limit_readings(evaluation: Evaluation, task: str) -> list[str]:
    """A sentence or two for each thing that the test set is too small or too narrow for."""
    found = evaluation.get("test_sets", {}).get(task)
    if not found:
        return []
    said, n = [], found["n"]
    if smallest := _smallest(evaluation, task):
        said.append(smallest)
    if n < FEW:
        low, high = wilson(0.5, n)
        said.append(
            f"{n:,} test example{'s tell' if n != 1 else ' tells'} little: of a share of one half "
            f"the 95% interval reaches from {low:.0%} to {high:.0%}."
        )
    if found["answers"] == 1 and n > 1:
        said.append(
            "All test examples have the same answer: nothing is said of any other, and a model "
            "that always gives this answer would be perfect here."
        )
    if unseen := found["unseen"]:
        said.append(
            f"{unseen:,} of {n:,} test examples {_have(unseen)} an answer that no training example "
            f"has{_named(found.get('unseen_answers', ()))}: no model could learn it, all are wrong "
            "there, and this is no fault of the student."
        )
    if missing := found["untested"]:
        said.append(
            f"{missing:,} of the answers that were learned {'occurs' if missing == 1 else 'occur'} "
            f"in no test example{_named(found.get('untested_answers', ()))}: nothing is said of "
            f"{'it' if missing == 1 else 'them'}."
        )
    if known := found["in_training"]:
        said.append(
            f"{known:,} of {n:,} test examples {_have(known)} the text of a training example: "
            "there a model may remember instead of know, and every figure is too good by as much."
        )
    return said


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _named(answers: Sequence[str]) -> str:
    return f" ({named(answers, MOST_NAMED)})" if answers else ""


def _smallest(evaluation: Evaluation, task: str) -> str:
    """The least difference of what is shipped and its teacher that so many examples can show."""
    model = shipped(evaluation["about"]["models"])
    for values in evaluation["comparisons"].get(task, ()):
        if (values["first"], values["second"]) != (model, "teacher"):
            continue
        test = Comparison.of_json(values).test
        examples = f"{test.n:,} test example{'s' if test.n != 1 else ''}"
        both = f"the {prose_name(str(model))} and its teacher"
        if test.n < FEWEST_THAT_TELL:
            return (
                f"{examples} can show no difference between {both}, however large it is: at least "
                f"{FEWEST_THAT_TELL} have to speak for one of them, and none for the other."
            )
        if isinstance(test, PairedTest):
            # Where they differ on few examples, on as many as it takes.
            least = test.smallest_significant or FEWEST_THAT_TELL / test.n
        elif test.low is not None and test.high is not None:
            least = max((test.high - test.low) / 2, FEWEST_THAT_TELL / test.n)
        else:
            return ""
        return (
            f"{examples} can show a difference of about {least * 100:.1f} points between {both}; a "
            "smaller one stays unseen."
        )
    return ""
