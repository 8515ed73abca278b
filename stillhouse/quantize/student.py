"""A student's checkpoint, quantized and scored."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stillhouse.config.student import Student
from stillhouse.evaluate.predictions import mean_scores, probabilities_of, write_predictions
from stillhouse.lm.tasks import TaskData, encode_task, of_split
from stillhouse.models.loading import load_model, load_tokenizer, pick_device, pick_dtype
from stillhouse.quantize.gptq import QuantizationInfo, quantize_gptq
from stillhouse.storage.files import atomic_dir
from stillhouse.student.distil import PREDICTIONS


@dataclass(frozen=True)
class QuantizationReport:
    """What was quantized, and mean scores on the test split."""

    quantization: QuantizationInfo
    test: dict[str, float]


def quantize_student(
    checkpoint: Path, target: Path, tasks: Sequence[TaskData], settings: Student
) -> QuantizationReport:
    """Write the quantized checkpoint to `target`, with its predictions on the test split.

    Calibrated on whole training examples, prompt and response: the texts it will be run on.
    """
    how = settings.quantization
    tokenizer = load_tokenizer(checkpoint)
    max_tokens = settings.distillation.max_tokens
    encoded = [encode_task(tokenizer, t, max_tokens=max_tokens) for t in tasks]
    texts = [e.ids for e in of_split(encoded, "train")]
    seed = settings.distillation.seed
    chosen = random.Random(seed).sample(texts, min(how.calibration_texts, len(texts)))
    with atomic_dir(target) as folder:
        quantization = quantize_gptq(
            checkpoint, folder, chosen, bits=how.bits, group_size=how.group_size
        )
        # Loaded by plain transformers, as its users will.
        device = pick_device()
        model = load_model(folder, device, pick_dtype(device))
        test = probabilities_of(model, encoded, "test", pad_id=tokenizer.pad_token_id)
        write_predictions(folder / PREDICTIONS, encoded, "test", test)
    return QuantizationReport(quantization, mean_scores(encoded, "test", test))
