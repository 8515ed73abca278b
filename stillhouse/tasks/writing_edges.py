"""Edge cases of kinds whose answers are written out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from stillhouse.metrics.extraction import values_of
from stillhouse.metrics.text import exact_match, rouge_l
from stillhouse.tasks.common import Answered, Row
from stillhouse.tasks.edge_cases import DECISIVE, NEGATION, EdgeCase, Edges, values_in
from stillhouse.tasks.question_answering import posed, says_none, taken_apart

# Summaries that share so much (ROUGE-L) say the same.
ALIKE = 0.5


class ExtractionEdges(Edges):
    """Two answers are the same where all their fields are."""

    def kept(self, row: Row) -> list[str]:
        return values_in(json.loads(row["response"]))

    def same(self, first: Answered, second: Answered) -> bool:
        if first.value is None or second.value is None:
            return first.value is second.value
        names = {*first.value, *second.value}
        return all(values_of(first.value.get(n)) == values_of(second.value.get(n)) for n in names)

    def says_nothing(self, answered: Answered) -> bool:
        return not any(values_of(value) for value in (answered.value or {}).values())

    def as_answered(self, response: str, label: str | None) -> Answered:
        return Answered(response, label, 1.0, value=json.loads(response))

    def payload(self, row: Row, random: Random) -> str | None:
        other = self._other(row, random)
        return None if other is None else other["response"]

    def own(self, row: Row, random: Random) -> Iterator[EdgeCase]:
        """What a sentence denies is no value; what is gone from a text can't be read there."""
        other = self._other(row, random)
        words = values_in(json.loads(other["response"])) if other else []
        if words:
            denied = f"It is not about {', '.join(words)}."
            yield self._case(row, NEGATION, f"{denied} {row['input']}", "same_as")
        left, standing = row["input"], [w for w in self.kept(row) if w in row["input"]]
        for word in standing:
            left = left.replace(word, "")
        if standing and left.strip():
            yield self._case(row, DECISIVE, left, "other_than")

    def _other(self, row: Row, random: Random) -> Row | None:
        """A training pair with another answer."""
        for _ in range(8):
            other = random.choice(self.training)
            if other["response"] != row["response"]:
                return dict(other)
        return None


class AnswerEdges(Edges):
    """Questions stay; passages vary, but for the answer that stands in them."""

    def parts(self, text: str) -> tuple[str, str]:
        question, passage = taken_apart(text)
        return posed(question, ""), passage

    def kept(self, row: Row) -> list[str]:
        return [row["response"]]

    def same(self, first: Answered, second: Answered) -> bool:
        nothing = self.says_nothing(first), self.says_nothing(second)
        if any(nothing):
            return all(nothing)
        return exact_match(first.response, second.response)

    def says_nothing(self, answered: Answered) -> bool:
        task: Any = self.kind.task
        return says_none(answered.response, task)

    def payload(self, row: Row, random: Random) -> str | None:
        other = random.choice(self.training)["response"]
        return other if other != row["response"] else None

    def own(self, row: Row, random: Random) -> Iterator[EdgeCase]:
        question, passage = taken_apart(row["input"])
        other = self.payload(row, random)
        if other is not None:
            denied = f"It is not true that it is {other}. {passage}"
            yield self._case(row, NEGATION, posed(question, denied), "same_as")
        left = passage.replace(row["response"], "")
        if left != passage and left.strip():
            yield self._case(row, DECISIVE, posed(question, left), "other_than")

    def out_of_scope(self, text: str, row: Row) -> str:
        return posed(text, taken_apart(row["input"])[1])


class SummaryEdges(Edges):
    """Two summaries are the same where they share most of their words, in order."""

    def same(self, first: Answered, second: Answered) -> bool:
        return rouge_l(first.response, second.response) >= ALIKE

    def payload(self, row: Row, random: Random) -> str | None:
        other = random.choice(self.training)["response"]
        return other if other != row["response"] else None

    def own(self, row: Row, random: Random) -> Iterator[EdgeCase]:
        other = self.payload(row, random)
        if other is not None:
            text = f"This is not about the following: {other}\n\n{row['input']}"
            yield self._case(row, NEGATION, text, "same_as")
