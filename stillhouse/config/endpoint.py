"""Sections of a teacher that a server on the internal network runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stillhouse.config.base import Section, settings_of

PREFIX = "openai:"


def is_endpoint(model: str) -> bool:
    """Whether `model:` names a server, as `openai:http://host:port/v1#model-id`."""
    return model.startswith(PREFIX)


class ApiKey(Section):
    """Where the key of a server is to be had: it is never written here itself."""

    env: str | None = Field(None, min_length=1, description="the name of an environment variable")
    file: Path | None = Field(None, description="a file that holds nothing else")

    @model_validator(mode="after")
    def _stands_in_one_place(self) -> ApiKey:
        if (self.env is None) == (self.file is None):
            raise ValueError("a key is either `{env: NAME}` or `{file: path}`")
        return self


class Sampling(Section):
    """How a server draws the tokens of written answers; at 0 it takes the likeliest."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0


class Endpoint(Section):
    """How a server is asked, and how long it is waited for.

    `log_probs` says which log-probabilities are asked for: those of the tokens of a `prompt` that
    ends with the answer, the `top` ones of the first token that is answered, or `none`. `auto` is
    the first of the first two that the server has. Seconds: `timeout` is how long it may be silent,
    `patience` how long one answer may take with all attempts.
    """

    log_probs: Literal["auto", "prompt", "top", "none"] = "auto"
    sampling: Sampling = Sampling()
    extra: dict[str, Any] = Field({}, description="fields of the server's own, in every request")
    api_key: ApiKey | None = None
    network: Literal["internal", "any"] = "internal"
    concurrency: Annotated[int, Field(ge=1, le=512)] = 8
    timeout: Annotated[float, Field(gt=0)] = 120.0
    patience: Annotated[float, Field(gt=0)] = 900.0

    @property
    def identity(self) -> dict[str, Any]:
        """What shapes an answer: another one is another teacher."""
        return {k: settings_of(self)[k] for k in ("log_probs", "sampling", "extra")}
