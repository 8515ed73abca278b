"""Sections of the teacher: its licence, its adaptation, its soft labels."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stillhouse.config.base import FieldError, Section, Slug
from stillhouse.config.dataset import Encoding, Task
from stillhouse.config.endpoint import Endpoint, is_endpoint
from stillhouse.config.training import TrainingSettings


class AcceptedTerms(Section):
    """Who accepted the terms of a licence, or of one teacher version, and when; a name alone
    stands for `terms`."""

    terms: str
    by: Annotated[str, Field(min_length=1)] | None = None
    when: date | None = None
    note: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_a_name(cls, value: Any) -> Any:
        return {"terms": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _by_whom_and_when(self) -> AcceptedTerms:
        for given, lacking in (("by", "when"), ("when", "by")):
            if getattr(self, given) and not getattr(self, lacking):
                raise FieldError((given,), f"`{lacking}` has to stand beside `{given}`; add it")
        return self


class LicensePolicy(Section):
    """Licences a teacher may have, by SPDX name; others need their terms accepted, by the name of
    the licence or of the teacher version.

    The other fields answer the conditions that licences have: who uses what is made (`commercial`,
    `monthly_users`), and the country of the house, by its ISO 3166 code or as "EU" (`region`).
    """

    allow: list[str] = ["Apache-2.0", "MIT", "BSD-3-Clause"]
    accepted_terms: list[AcceptedTerms] = []
    commercial: bool | None = None
    monthly_users: Annotated[int, Field(ge=0)] | None = None
    region: Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")] | None = None


class Adaptation(TrainingSettings):
    """How a teacher learns the tasks before it labels; `none` leaves it as it is."""

    method: Literal["lora", "none"] = "lora"
    layers: Annotated[int, Field(ge=1)] | Literal["all"] | None = Field(
        None, description="train the top layers only; by default 8, or all where answers are texts"
    )
    rank: Annotated[int, Field(ge=1)] = 16
    epochs: Annotated[int, Field(ge=1)] = 3
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3


class TeacherPrompt(Section):
    """How a teacher is asked that nobody adapts (`adapt: {method: none}`).

    `shots` examples are drawn from the training split: as many of each answer, those nearest to
    the text by BM25, or at random. `calibrate` divides out what the teacher answers to no text at
    all (Zhao et al., "Calibrate Before Use", 2021). `auto` takes the chat template of the
    tokenizer where it has one.
    """

    form: Literal["auto", "chat", "plain"] = "auto"
    shots: Annotated[int, Field(ge=0)] = 4
    choose: Literal["balanced", "nearest", "random"] = "balanced"
    calibrate: bool = False
    max_tokens: Annotated[int, Field(ge=64)] = 2048

    def without_shots(self) -> TeacherPrompt:
        return self.model_copy(update={"shots": 0, "choose": "balanced"})


class Teacher(Section):
    """`tokenizer` and `endpoint` are of a teacher that a server runs (`model: openai:...`)."""

    version: Slug
    model: str
    license: str
    adapt: Adaptation = Adaptation()
    prompt: TeacherPrompt = TeacherPrompt()
    tokenizer: str | None = Field(None, description="folder, file or hf: name; no weights needed")
    endpoint: Endpoint = Endpoint()

    @property
    def elsewhere(self) -> bool:
        """Whether a server runs it, and nothing of its weights is here."""
        return is_endpoint(self.model)

    @model_validator(mode="after")
    def _of_an_endpoint(self) -> Teacher:
        if not self.elsewhere:
            for name in ("tokenizer", "endpoint"):
                if name in self.model_fields_set:
                    message = "only a teacher with `model: openai:http://...` has one; remove it"
                    raise FieldError((name,), message)
            return self
        if self.adapt.method != "none":
            raise FieldError(
                ("adapt", "method"),
                "an endpoint has no weights here to adapt; write `adapt: {method: none}`, and it "
                "is asked in words",
            )
        if not self.tokenizer:
            raise FieldError(
                ("model",),
                "an endpoint's tokens have to be known; name the model's tokenizer beside it, as "
                "in `tokenizer: models/qwen3-32b` (a folder with tokenizer.json, no weights) or "
                "`tokenizer: hf:<organisation>/<name>`",
            )
        if self.endpoint.log_probs == "none" and self.prompt.calibrate:
            message = "without log-probabilities there is nothing to divide out; remove it"
            raise FieldError(("prompt", "calibrate"), message)
        return self


class SoftLabels(Section):
    """What is kept of the teacher's distribution at each response token.

    By default the classes' probabilities where answers are classes, and elsewhere `sampled`.
    `hidden` keeps the last hidden state, of which the whole distribution can be had again.
    """

    encoding: Encoding | None = None
    k: Annotated[int, Field(ge=1)] = 32
    draws: Annotated[int, Field(ge=1, le=32)] = 12
    shard_pairs: Annotated[int, Field(ge=1)] = 64
    batch_size: Annotated[int, Field(ge=1)] = 16

    def encoding_of(self, task: Task, *, adapted: bool, elsewhere: bool = False) -> Encoding:
        """How labels of a task are kept. A teacher that is not `adapted` answers with the classes'
        names, so that their probabilities are all there is of it; one that runs `elsewhere` tells
        its likeliest tokens, and no more."""
        default = task.ENCODINGS[0]
        if default == "labels" and not adapted:
            return default
        return self.encoding or ("top_k" if elsewhere else default)
