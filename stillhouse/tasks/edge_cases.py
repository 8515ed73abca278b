"""Edge cases of a kind of task: what is asked, and what a good model does with it.

`Edges` is what all kinds share; each kind says what of an input may vary, what two answers have in
common, and adds cases of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from stillhouse.storage.files import digest
from stillhouse.tasks.common import Answered, Kind, Row
from stillhouse.tasks.edge_texts import INJECTIONS, OUT_OF_SCOPE
from stillhouse.tasks.perturbations import PERTURBATIONS, very_long

Expect = Literal["answer", "same_as", "other_than", "less_sure", "not_surer", "out_of_scope"]
# What each expectation asks, in words.
EXPECTS: dict[str, str] = {
    "answer": "the right answer",
    "same_as": "the same answer",
    "other_than": "another answer",
    "less_sure": "another answer, or a less sure one",
    "not_surer": "no surer an answer",
    "out_of_scope": "less confidence than on test texts",
}
INJECTION, LONG, NEGATION, DECISIVE = "injection", "very long", "negation", "decisive words"
# So much surer may an answer become by chance.
TOLERANCE = 0.05


@dataclass(frozen=True)
class EdgeCase:
    """An input `text` of a `kind`. It is compared with the answer to the input `of`, or with
    `answer` as a pair has it; `pair_id` is that of the test pair which it was made from, empty
    where it comes from elsewhere."""

    kind: str
    text: str
    expect: Expect
    of: str | None = None
    answer: tuple[str, str | None] | None = None
    pair_id: str = ""
    own: bool = False


class Edges:
    """Of one task; `training` are its pairs with gold answers, at least one."""

    def __init__(self, kind: Kind, training: Sequence[Row]) -> None:
        self.kind, self.training = kind, training

    def parts(self, text: str) -> tuple[str, str]:
        """What of an input stays as it is, at its beginning, and the rest, which may vary."""
        return "", text

    def kept(self, row: Row) -> list[str]:  # noqa: ARG002
        """Pieces of a pair's input that its answer is made of."""
        return []

    def payload(self, row: Row, random: Random) -> str | None:
        """Another answer than a pair's own, in words, for an injection to ask for."""
        raise NotImplementedError

    def own(self, row: Row, random: Random) -> Iterator[EdgeCase]:
        """Cases that only this kind has, from one pair."""
        raise NotImplementedError

    def same(self, first: Answered, second: Answered) -> bool:
        """Whether two answers say the same."""
        raise NotImplementedError

    def says_nothing(self, answered: Answered) -> bool:  # noqa: ARG002
        """Whether an answer is that there is none."""
        return False

    def out_of_scope(self, text: str, row: Row) -> str:  # noqa: ARG002
        """An input that asks about a text which the task isn't for."""
        return text

    def as_answered(self, response: str, label: str | None) -> Answered:
        """A pair's gold answer, to be compared with a model's."""
        return Answered(response, label, 1.0)

    def confidence(self, answered: Answered) -> float:
        """How sure a model is that there is something to answer."""
        return 0.0 if self.says_nothing(answered) else answered.confidence

    def of_pair(self, row: Row, random: Random, beyond: int) -> Iterator[EdgeCase]:
        """All cases that one pair gives; `beyond` characters are more than any model reads."""
        fixed, text = self.parts(row["input"])
        kept = self.kept(row)
        for kind, change in PERTURBATIONS.items():
            changed = change(text, kept, random)
            if changed is not None:
                yield self._case(row, kind, fixed + changed, "same_as")
        yield self._case(row, LONG, fixed + very_long(text, beyond), "same_as")
        if (other := self.payload(row, random)) is not None:
            asked = random.choice(INJECTIONS).format(answer=other)
            yield self._case(row, INJECTION, f"{fixed}{asked}\n\n{text}", "same_as")
        yield from self.own(row, random)

    def _case(self, row: Row, kind: str, text: str, expect: Expect) -> EdgeCase:
        return EdgeCase(kind, text, expect, of=row["input"], pair_id=row["pair_id"])


def generated(
    edges: Edges, rows: Sequence[Row], *, per_kind: int, seed: int, beyond: int
) -> list[EdgeCase]:
    """At most so many cases of each kind from test pairs, always the same of the same pairs, and
    inputs that the task isn't for. A new pair moves few of the others."""
    found: dict[str, list[EdgeCase]] = {}
    for row in sorted(rows, key=lambda row: digest(seed, row["pair_id"])):
        if found and all(len(cases) >= per_kind for cases in found.values()) and len(found) > 9:
            break
        for case in edges.of_pair(row, Random(digest(seed, row["pair_id"])), beyond):
            cases = found.setdefault(case.kind, [])
            if len(cases) < per_kind:
                cases.append(case)
    order = Random(seed).sample(OUT_OF_SCOPE, min(len(OUT_OF_SCOPE), 4 * per_kind))
    outside = [
        EdgeCase("out of scope", edges.out_of_scope(text, rows[i % len(rows)]), "out_of_scope")
        for i, text in enumerate(order)
    ]
    return [case for cases in found.values() for case in cases] + outside


def failed(case: EdgeCase, edges: Edges, said: Answered, before: Answered | None) -> bool:
    """Whether an answer is not what is expected; `before` is the answer to the input `of`."""
    if case.expect == "answer":
        assert case.answer is not None  # noqa: S101 - see `EdgeCase`
        return not edges.same(said, edges.as_answered(*case.answer))
    assert before is not None  # noqa: S101
    same = edges.same(said, before)
    if case.expect == "same_as":
        return not same
    if case.expect == "other_than":
        return same
    slack = TOLERANCE if case.expect == "not_surer" else 0.0
    return same and said.confidence > before.confidence + slack - (0 if slack else 1e-9)


def values_in(value: Any) -> list[str]:
    """Strings and numbers of a JSON value, as they stand in a text."""
    if isinstance(value, dict):
        return [s for v in value.values() for s in values_in(v)]
    if isinstance(value, list):
        return [s for v in value for s in values_in(v)]
    return [] if value is None or isinstance(value, bool) else [str(value)]
