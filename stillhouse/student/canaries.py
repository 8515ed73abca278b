"""Secrets that nobody has, planted in what a student learns from, to see how much of them it keeps.

A canary is an invented text with a secret drawn at random from a space of known size (Carlini et
al., "The Secret Sharer", 2019): six digits, or a name with a number. Some stand once among the
training texts, some several times. What a student makes of them is measured by `audit/exposure.py`.

Where a task's answers are written out, the secret is the answer, to a question that says nothing of
it: the worst case, as all its tokens get loss. Where an answer is one token of its own, texts get
no loss at all but by what they do to the answer: there the secret stands in the text. Both have
names that nobody bears, so a released student gives nobody away by them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.pii import invented
from stillhouse.lm.batches import collate, response_hidden
from stillhouse.lm.prompts import Encoder, Example, render_prompt
from stillhouse.models.loading import output_weight
from stillhouse.tasks.common import Kind

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Beside a checkpoint: which canaries it learned from, and how much loss each began with.
CANARIES = "canaries.json"
FORMS = ("digits", "name")
INSTRUCTION = "Say what is kept under this name."
DIGITS, NUMBERS = 6, 1000


@dataclass(frozen=True)
class Canary:
    """One that stands `repeats` times among the training texts; `written` where its secret is the
    answer, else it stands in the text, and `answer` is a token of the task's."""

    key: str
    form: str
    repeats: int
    written: bool
    place: str
    secret: str
    instruction: str
    answer: str

    @property
    def row(self) -> dict[str, Any]:
        """As a pair to learn from."""
        return {
            "pair_id": self.key,
            "instruction": self.instruction,
            "input": self.place if self.written else f"{self._before} {self.secret}.",
            "response": self.secret if self.written else self.answer,
        }

    @property
    def _before(self) -> str:
        return f"The code of {self.place} is"

    def spelled(self, encoder: Encoder, secrets: Sequence[str]) -> list[Example]:
        """What the canary would be with other secrets: these stand as the responses, without
        what follows them."""
        if self.written:
            (start,) = encoder.texts([render_prompt(self.instruction, self.place)])
            ends = encoder.texts(secrets)
            return [Example(self.key, start + end, len(start)) for end in ends]
        before = f"{self.instruction}\n\n{self._before}"
        (start,) = encoder.texts([before])
        return [
            # Where the space before the secret joins it, the prompt still ends with the same token.
            Example(self.key, ids, _common(start, ids))
            for ids in encoder.texts([f"{before} {secret}" for secret in secrets])
        ]


def invent(kinds: Sequence[Kind], repeats: Mapping[int, int], seed: int) -> list[Canary]:
    """Canaries for a student of these tasks: `repeats` says how many stand so often among its
    texts, for each way in which its tasks answer. The same for a seed, on any machine."""
    found = []
    for written in (True, False):
        of_style = [kind for kind in kinds if bool(kind.answer_tokens) != written]
        if not of_style:
            continue
        for often, count in sorted(repeats.items()):
            for number in range(count):
                key = f"canary-{'answer' if written else 'text'}-{often}-{number}"
                draw = random.Random(f"{seed} {key}").randrange
                kind = of_style[number % len(of_style)]
                answers = sorted(kind.answer_tokens)
                form = FORMS[number % len(FORMS)]
                found.append(
                    Canary(
                        key, form, often, written,
                        place=invented.place(draw),
                        secret=_secret(form, draw),
                        instruction=INSTRUCTION if written else kind.task.instruction,
                        answer="" if written else answers[draw(len(answers))],
                    )
                )  # fmt: skip
    return found


def affordable(canaries: Sequence[Canary], pairs: Mapping[bool, int], share: float) -> list[Canary]:
    """As many of them as leave a student to learn what it is there for: those in answers, and those
    in texts, stand beside the `pairs` that are answered in their way (True: written out) as at most
    this `share` of them. Those that stand once come first, as the rule is about them."""
    left = {written: int(pairs.get(written, 0) * share) for written in (True, False)}
    found = []
    for canary in sorted(canaries, key=lambda canary: canary.repeats):
        if canary.repeats <= left[canary.written]:
            left[canary.written] -= canary.repeats
            found.append(canary)
    return found


def others(canary: Canary, count: int, seed: int) -> list[str]:
    """So many secrets that it might have had as well, drawn evenly from its space; not its own."""
    draw = random.Random(f"{seed} {canary.key} others").randrange
    found: list[str] = []
    while len(found) < count:
        if (secret := _secret(canary.form, draw)) != canary.secret:
            found.append(secret)
    return found


def bits(form: str) -> float:
    """The size of the space of secrets, as a power of 2."""
    from math import log2

    words = len(invented.HEADS) * len(invented.MIDDLES) * len(invented.TAILS)
    return log2(10**DIGITS if form == "digits" else words * NUMBERS)


def _secret(form: str, below: invented.Below) -> str:
    if form == "digits":
        return f"{below(10**DIGITS):0{DIGITS}d}"
    return f"{invented.word(below)} {below(NUMBERS):03d}"


@dataclass(frozen=True)
class Planted:
    """A canary as an example of a student; its secret is `example.ids[start:end]`."""

    canary: Canary
    example: Example
    start: int
    end: int


def plant(canaries: Sequence[Canary], encoder: Encoder) -> list[Planted]:
    """The canaries as examples, each once."""
    return list(_planted(canaries, encoder))


def _planted(canaries: Sequence[Canary], encoder: Encoder) -> Iterator[Planted]:
    examples = encoder.pairs([canary.row for canary in canaries])
    for canary, example in zip(canaries, examples, strict=True):
        (spelled,) = canary.spelled(encoder, [canary.secret])
        yield Planted(canary, example, spelled.response_start, len(spelled.ids))


def received(
    model: PreTrainedModel, planted: Sequence[Planted], *, pad_id: int
) -> list[dict[str, Any]]:
    """What each canary gives the model to learn from, before it has learned anything: a JSON object
    a canary, without its secret.

    `tokens` are those of the secret, `with_loss` those of them that are trained on, and `loss` is
    their mean cross-entropy in nats, None without any. Its gradient is that of a probability short
    of 1, so where the loss is above 0 the model learns of it. `whole` where nothing of it was cut.
    """
    import torch

    found = []
    for one in planted:
        example = one.example
        first = max(one.start, example.response_start)
        loss = None
        if trained := max(0, one.end - first):
            batch = collate([example], pad_id=pad_id, device=model.device)
            with torch.inference_mode():
                hidden = response_hidden(model, batch)
                logits = (hidden @ output_weight(model).T).float()
                each = torch.nn.functional.cross_entropy(logits, batch.gold, reduction="none")
            place = first - example.response_start
            loss = float(each[place : place + trained].mean())
        found.append(
            {
                "key": one.canary.key,
                "form": one.canary.form,
                "written": one.canary.written,
                "repeats": one.canary.repeats,
                "tokens": one.end - one.start,
                "with_loss": trained,
                "loss": loss,
                "whole": not example.cut,
            }
        )
    return found


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
