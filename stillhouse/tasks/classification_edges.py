"""Edge cases of classification."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from random import Random

from stillhouse.tasks.classification import Classification, readable
from stillhouse.tasks.common import Answered, Row
from stillhouse.tasks.edge_cases import DECISIVE, NEGATION, EdgeCase, Edges

WORD = re.compile(r"\w+")
# So many words are taken out of a text, those that speak most for its class.
TAKEN_OUT = 4
# Of negated sentences the model is not to become surer of what they deny.
DENIALS = ("This is not about {name}.", "It has nothing to do with {name}.")


class ClassificationEdges(Edges):
    """Two answers are the same where they name one class."""

    kind: Classification

    def same(self, first: Answered, second: Answered) -> bool:
        return first.label == second.label

    def payload(self, row: Row, random: Random) -> str | None:
        others = [name for name in self.kind.classes if name != row["label"]]
        return readable(random.choice(others)) if others else None

    def own(self, row: Row, random: Random) -> Iterator[EdgeCase]:
        denial = random.choice(DENIALS).format(name=readable(row["label"]))
        yield self._case(row, NEGATION, f"{denial} {row['input']}", "not_surer")
        left = self._without_decisive(row)
        if left is not None:
            yield self._case(row, DECISIVE, left, "less_sure")

    def _without_decisive(self, row: Row) -> str | None:
        """The text without the words that speak most for its class; None where none does."""
        weights = self._weights.get(row["label"], {})
        words = {word.lower() for word in WORD.findall(row["input"])}
        chosen = sorted(words & weights.keys(), key=lambda word: (-weights[word], word))
        taken = set(chosen[:TAKEN_OUT])
        left = WORD.sub(lambda m: "" if m[0].lower() in taken else m[0], row["input"])
        return left if taken and WORD.search(left) else None

    @cached_property
    def _weights(self) -> Mapping[str, Mapping[str, float]]:
        """By class the words that stand more often in its training texts than in others, and how
        much they speak for it: by how many texts, times the logarithm of how much more often."""
        texts: Counter[str] = Counter(row["label"] for row in self.training)
        seen: dict[str, Counter[str]] = {name: Counter() for name in texts}
        for row in self.training:
            seen[row["label"]].update({word.lower() for word in WORD.findall(row["input"])})
        total = sum(seen.values(), Counter[str]())
        weights: dict[str, dict[str, float]] = {}
        for name, words in seen.items():
            others = len(self.training) - texts[name]
            weights[name] = {}
            for word, n in words.items():
                odds = (n + 0.5) / (texts[name] + 1)
                against = (total[word] - n + 0.5) / (others + 1)
                if odds > 2 * against:
                    weights[name][word] = n * math.log(odds / against)
        return weights
