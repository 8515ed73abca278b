"""Requests as clients send them: OpenAI's API, as far as a distilled student has a use for it.

Fields of that API that are not named here change nothing, and are not read; those that would change
an answer, and are not served, are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator, model_validator

# What a client may not ask for, as its answer would be another one.
NOT_SERVED = "is not served: leave it out"
Text = Annotated[str, Field(max_length=4_000_000)]


class Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, populate_by_name=True)


class TextPart(Wire):
    type: Literal["text"]
    text: Text


class Message(Wire):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | list[TextPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class NamedSchema(Wire):
    name: str = Field("answer", max_length=64)
    schema_: dict[str, Any] = Field(alias="schema")


class AsText(Wire):
    type: Literal["text"]


class AsObject(Wire):
    type: Literal["json_object"]


class BySchema(Wire):
    type: Literal["json_schema"]
    json_schema: NamedSchema


FORMATS = ("text", "json_object", "json_schema")


class StreamOptions(Wire):
    include_usage: bool = False


class Sampling(Wire):
    """What both kinds of request have. An answer is the likeliest, unless a `temperature` above 0
    is asked for."""

    model: str = Field(min_length=1, max_length=300)
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None

    @field_validator("presence_penalty", "frequency_penalty", "logit_bias")
    @classmethod
    def _none(cls, value: Any) -> Any:
        if value:
            raise ValueError(NOT_SERVED)
        return value

    @property
    def stops(self) -> list[str]:
        found = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in found if text]


class ChatRequest(Sampling):
    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    max_completion_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: Annotated[AsText | AsObject | BySchema, Field(discriminator="type")] | None = (
        None
    )
    metadata: dict[str, str] | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    audio: dict[str, Any] | None = None

    @field_validator("tools", "functions", "audio")
    @classmethod
    def _not_served(cls, value: Any) -> Any:
        if value:
            raise ValueError(NOT_SERVED)
        return value

    @property
    def limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def told(self) -> str:
        """What the system says."""
        return "\n".join(m.text for m in self.messages if m.role in ("system", "developer"))

    @property
    def asked(self) -> str | None:
        """The last message of a user."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), None)


class CompletionRequest(Sampling):
    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=64)]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: Literal[False] | None = None
    suffix: str | None = None
    best_of: Literal[1] | None = None

    @field_validator("suffix")
    @classmethod
    def _none_after(cls, value: Any) -> Any:
        if value:
            raise ValueError(NOT_SERVED)
        return value

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class Metric(Wire):
    """A number that says what an answer led to, as whoever asked measures it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    value: Annotated[float, Field(allow_inf_nan=False)]


class Feedback(Wire):
    """What became of the answer with this `id` (of its body, or of the header `x-request-id`);
    of an answer with several choices, that with this `index`.

    `correct` or `score` says how good it was, `answer` the right one, `metric` what it led to. What
    is said later of the same answer takes the place of what was said before.
    """

    id: str = Field(pattern=r"^(chatcmpl-|cmpl-)?[0-9a-f]{24}$")
    index: Annotated[int, Field(ge=0, lt=64)] = 0
    correct: StrictBool | None = None
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    answer: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None
    metric: Metric | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.correct is None and self.score is None and not (self.answer or self.metric):
            raise ValueError("say at least one of correct, score, answer and metric")
        if self.correct is not None and self.score is not None:
            raise ValueError("say either correct or score")
        return self

    @property
    def about(self) -> str:
        """The id of the answer, as the log has it."""
        return choice_id(self.id.rpartition("-")[2], self.index)


def choice_id(request: str, index: int) -> str:
    """The first choice has the request's own."""
    return f"{request}-{index}" if index else request


def _names(model: type[Wire]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


# Of fields, and of the kinds of a format: what a refusal may name.
MODELS = (
    *(ChatRequest, CompletionRequest, Message, TextPart, NamedSchema, BySchema, StreamOptions),
    *(Feedback, Metric),
)
NAMES = {*FORMATS, *(name for model in MODELS for name in _names(model))}
