"""What a model says of each token is what its whole distribution says, however many at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stillhouse.audit import scores
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.loading import load_model, load_tokenizer


@pytest.mark.parametrize("held", [1, 3000, 1 << 20])
def test_scores_are_those_of_the_whole_distribution(
    held: int, tiny_teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_teacher, torch.device("cpu"), torch.float32)
    encoder = Encoder(load_tokenizer(tiny_teacher), 96)
    vocabulary = len(encoder.tokenizer)
    texts = encoder.texts(["Where is my invoice of last week?", "The screen stays dark"])
    examples = [Example(str(i), ids, 2) for i, ids in enumerate(texts)]
    monkeypatch.setitem(scores.LOGITS_HELD, "cpu", held)
    found = scores.score_tokens(
        model, examples, pad_id=encoder.tokenizer.pad_token_id, vocabulary=vocabulary
    )
    for said, ids in zip(found, texts, strict=True):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids])).logits[0, 1:-1, :vocabulary]
        logs = logits.double().log_softmax(-1).numpy()
        shares = np.exp(logs)
        mean = (shares * logs).sum(-1)
        assert said.log_probs == pytest.approx(logs[range(len(logs)), ids[2:]], abs=1e-4)
        assert said.best == pytest.approx(logs.max(-1), abs=1e-4)
        assert said.mean == pytest.approx(mean, abs=1e-4)
        spread = np.sqrt((shares * (logs - mean[:, None]) ** 2).sum(-1))
        assert said.spread == pytest.approx(spread, abs=1e-3)
