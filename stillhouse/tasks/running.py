"""A model, and what it answers to pairs: with what it has learned, or asked in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.teacher import TeacherPrompt
from stillhouse.endpoint.client import Access
from stillhouse.endpoint.remote import Remote, open_model
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import context_length, load_tokenizer
from stillhouse.storage.files import digest
from stillhouse.tasks.common import Examples, Kind, Predictions, Row, gold_of
from stillhouse.tasks.models import answers_in_words
from stillhouse.tasks.prompting import Prompter

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Runner:
    """The model in `folder`, read once it is needed.

    Weights as they came are asked in words, by `prompt` and with shots from the training split of
    `dataset`; a teacher that was not adapted says itself how it is asked. `access` is that of a
    teacher which a server runs.
    """

    def __init__(
        self,
        folder: Path,
        dataset: Path,
        max_tokens: int,
        prompt: TeacherPrompt | None = None,
        access: Access | None = None,
    ) -> None:
        self.folder, self.dataset, self.max_tokens = folder, dataset, max_tokens
        self.access = access
        in_words = answers_in_words(folder)
        self.prompt = in_words.prompt if in_words else prompt
        self.vocabulary = in_words.vocabulary if in_words else None
        self._prompters: dict[str, Prompter] = {}

    def asks(self, kind: Kind) -> str:
        """What stands for all that a prompt is made of beside the pair."""
        return self._prompter(kind).fingerprint if self.prompt else digest(self.max_tokens)

    def predict(self, kind: Kind, rows: Sequence[Row]) -> Predictions:
        """The model's answers to the inputs of `rows`, in their order."""
        inputs = [row["input"] for row in rows]
        if not rows:
            return []
        if self.prompt:
            prompter = self._prompter(kind)
            found = kind.predict_untrained(self.model, prompter.prompts(rows), inputs)
            prompter.warn()
            return found
        assert not isinstance(self.model, Remote)  # noqa: S101 - it is asked in words
        gold = [gold_of(row) for row in rows]
        asked = Examples(kind, self.encoder.prompts(rows), inputs, gold)
        return kind.predict(self.model, self.encoder, asked)

    def _prompter(self, kind: Kind) -> Prompter:
        assert self.prompt is not None  # noqa: S101 - only asked then
        name = kind.task.name
        if name not in self._prompters:
            context = context_length(self.folder)
            self._prompters[name] = Prompter(
                self.encoder, self.prompt, kind, self.dataset, context, self.vocabulary
            )
        return self._prompters[name]

    @cached_property
    def model(self) -> PreTrainedModel | Remote:
        return open_model(self.folder, self.access)

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(load_tokenizer(self.folder), self.max_tokens)
