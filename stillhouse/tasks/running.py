"""A model, loaded, and what it answers to pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_model, load_tokenizer, pick_device, pick_dtype
from stillhouse.tasks.common import Examples, Kind, Predictions, Row, gold_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Runner:
    """The model in `folder`; an `untrained` one answers in words."""

    def __init__(self, folder: Path, max_tokens: int, *, untrained: bool) -> None:
        device = pick_device()
        self.model: PreTrainedModel = load_model(folder, device, pick_dtype(device))
        self.encoder = Encoder(load_tokenizer(folder), max_tokens)
        self.untrained = untrained

    def predict(self, kind: Kind, rows: Sequence[Row]) -> Predictions:
        """The model's answers to the inputs of `rows`, in their order."""
        asked = Examples(
            kind,
            self.encoder.prompts(rows),
            [row["input"] for row in rows],
            [gold_of(row) for row in rows],
        )
        if self.untrained:
            return kind.predict_untrained(self.model, self.encoder, asked)
        return kind.predict(self.model, self.encoder, asked)
