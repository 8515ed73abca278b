"""What a teacher is asked that nobody adapts: instruction, guide, shots and text, in its own form.

The student never sees such a prompt: a soft label belongs to the response's tokens, and those are
the same after the student's short one (Snell et al., "Learning by Distilling Context", 2022).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stillhouse.config.base import settings_of
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.lm.chat import Asked, Conversation, Form
from stillhouse.lm.prompts import BLANK, Encoder, Example
from stillhouse.storage.files import digest
from stillhouse.tasks.common import Kind, Row, rows_of
from stillhouse.tasks.shots import Shots

logger = logging.getLogger("stillhouse")

# Tokens: below so many, too little of a text is left to judge it by, or to learn from it.
TEXT_TOKENS, SHOT_TOKENS = 64, 32


@dataclass
class Tally:
    """What was asked: `fewer` counts prompts that had no room for all shots, `cut` those whose text
    lost its end."""

    prompts: int = 0
    tokens: int = 0
    shots: int = 0
    fewer: int = 0
    cut: int = 0


@dataclass
class Prompter:
    """Prompts of one task for one model.

    `context` is the most tokens that the model takes, `vocabulary` how many of its tokens came with
    it (default: all). Shots are drawn from the training split of `dataset` and no longer than their
    share of the room; where they leave too little for the text, there are fewer.

    Raises `UserError` where even the instruction leaves too little, and as `Form` does: making one
    takes a second, and no model.
    """

    encoder: Encoder
    settings: TeacherPrompt
    kind: Kind
    dataset: Path
    context: int | None = None
    vocabulary: int | None = None
    tally: Tally = field(default_factory=Tally, init=False)
    _short: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        task, settings = self.kind.task, self.settings
        self.form = Form(self.encoder, settings.form)
        self.shots = Shots(self.dataset, task.name, settings.shots, settings.choose)
        first = next(rows_of(self.dataset, task.name, "train"), [{}])[0]
        instruction = first.get("instruction", task.instruction)
        self._system = "\n\n".join(filter(None, [instruction, self.kind.guide()]))
        self._limit = min(settings.max_tokens, self.context or settings.max_tokens)
        self._answer = self.kind.longest_answer(self.encoder)
        room = self._limit - self._answer - self._length([], "")
        if room < TEXT_TOKENS:
            raise self._no_room(room)
        self._shot_tokens = max(SHOT_TOKENS, room // (settings.shots + 2))

    @property
    def fingerprint(self) -> str:
        """Of all that prompts are made of beside their texts."""
        return digest(settings_of(self.settings), self._system, self._limit, self.shots.digest)

    def prompts(self, rows: Sequence[Row]) -> Asked:
        """What the model is asked of rows with `pair_id` and `input`."""
        asked, prompts = self._asked(rows, [self._answer] * len(rows))
        blanks = [[BLANK]] * len(rows)
        priors = None
        if self.settings.calibrate:
            empty = self.form.prompts([replace(c, text="") for c in asked])
            priors = _examples(rows, empty, blanks)
        return Asked(
            self.form,
            _examples(rows, prompts, blanks),
            priors,
            self.vocabulary or len(self.encoder.tokenizer),
            asked,
        )

    def pairs(self, rows: Sequence[Row]) -> list[Example]:
        """The same prompts with the rows' responses, token for token those of `Encoder.pairs`: what
        a teacher says of them holds for the student, whose prompt is short."""
        short = self.encoder.pairs([{**row, "instruction": "", "input": ""} for row in rows])
        responses = [example.response_ids for example in short]
        _, prompts = self._asked(rows, [max(self._answer, len(r)) for r in responses])
        return _examples(rows, prompts, responses)

    def warn(self) -> None:
        """Say in one line each what was left out of the prompts made so far."""
        name, asked = self.kind.task.name, self.tally
        if asked.fewer:
            logger.warning(
                "Task %s: %d of %d prompts had no room for %d shots; raise "
                "teachers[].prompt.max_tokens, now %d, or lower teachers[].prompt.shots",
                *(name, asked.fewer, asked.prompts, self.settings.shots, self._limit),
            )
        if asked.cut:
            logger.warning(
                "Task %s: %d of %d texts lost their end in a prompt of %d tokens "
                "(teachers[].prompt.max_tokens)",
                *(name, asked.cut, asked.prompts, self._limit),
            )

    def _asked(
        self, rows: Sequence[Row], answers: Sequence[int]
    ) -> tuple[list[Conversation], list[list[int]]]:
        """What fits beside answers of so many tokens, and its token ids."""
        asked = [
            Conversation(
                self._system,
                [(self._shortened(s["input"]), self.kind.shown(s)) for s in reversed(shots)],
                row["input"].strip(),
            )
            for row, shots in zip(rows, self.shots.of(rows), strict=True)
        ]
        prompts = self.form.prompts(asked)
        for place, (whole, answer) in enumerate(zip(asked, answers, strict=True)):
            if len(prompts[place]) + answer > self._limit:
                asked[place] = fitted = self._fitted(whole, self._limit - answer)
                (prompts[place],) = self.form.prompts([fitted])
                self.tally.fewer += len(fitted.shots) < len(whole.shots)
                self.tally.cut += fitted.text != whole.text
        self.tally.prompts += len(asked)
        self.tally.shots += sum(len(c.shots) for c in asked)
        self.tally.tokens += sum(map(len, prompts))
        return asked, prompts

    def _fitted(self, asked: Conversation, budget: int) -> Conversation:
        """With fewer shots, the best ones, where they leave too little for the text, and as much of
        the text as there is room for."""
        shots = list(asked.shots)
        (ids,) = self.encoder.texts([asked.text])
        while shots and budget - self._length(shots, "") < min(TEXT_TOKENS, len(ids)):
            shots.pop(0)
        room, text = budget - self._length(shots, ""), asked.text
        if room <= 0:  # a gold answer of its own takes it all
            text = ""
        while room > 0 and self._length(shots, text) > budget:
            text = self.encoder.beginning(asked.text, room)
            room -= 1  # tokens may join differently at the seam
        return Conversation(asked.system, shots, text)

    def _shortened(self, text: str) -> str:
        if text not in self._short:
            self._short[text] = self.encoder.beginning(text.strip(), self._shot_tokens)
        return self._short[text]

    def _length(self, shots: Sequence[tuple[str, str]], text: str) -> int:
        (ids,) = self.form.prompts([Conversation(self._system, shots, text)])
        return len(ids)

    def _no_room(self, room: int) -> UserError:
        name = self.kind.task.name
        if self._limit < self.settings.max_tokens:
            where = f"the teacher takes {self._limit} tokens at most"
            mend = "use a teacher that takes longer texts"
        else:
            where = f"teachers[].prompt.max_tokens is {self._limit}"
            mend = "raise `teachers[].prompt.max_tokens`"
        return UserError(
            f"{where}: the prompt of task {name} leaves {max(0, room)} of them for the text, even "
            f"without shots; {TEXT_TOKENS} are needed",
            remedy=f"{mend}, or shorten `instruction` and the descriptions of the task.",
        )


def _examples(
    rows: Sequence[Row], prompts: Sequence[list[int]], responses: Sequence[list[int]]
) -> list[Example]:
    return [
        Example(row["pair_id"], [*prompt, *response], len(prompt))
        for row, prompt, response in zip(rows, prompts, responses, strict=True)
    ]
