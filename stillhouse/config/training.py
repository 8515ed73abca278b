"""What every training is told, that of a teacher and that of a student."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stillhouse.config.base import Fraction, Section


class TrainingSettings(Section):
    """`batch_size` examples a forward pass, `accumulation` passes an optimizer step.

    `warmup` is a share of all steps; after it the learning rate falls along a cosine to a tenth.
    Training stops early after `patience` epochs without a better validation score. Prompts over
    `max_tokens` lose the end of their text.
    """

    epochs: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(ge=1)] = 16
    accumulation: Annotated[int, Field(ge=1)] = 1
    warmup: Fraction = 0.1
    weight_decay: float = 0.01
    patience: Annotated[int, Field(ge=1)] = 2
    max_tokens: Annotated[int, Field(ge=16)] = 256
    seed: int = 7
