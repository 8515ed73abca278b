"""A student's checkpoint, quantized."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from stillhouse.config.dataset import Task
from stillhouse.config.student import Student
from stillhouse.facts import QuantizedModelFacts
from stillhouse.lm.prompts import Encoder
from stillhouse.models.importing import describe
from stillhouse.models.loading import load_tokenizer
from stillhouse.quantize.gptq import quantize_gptq
from stillhouse.tasks.common import training_examples
from stillhouse.tasks.kinds import open_tasks


def quantize_student(
    checkpoint: Path, target: Path, dataset: Path, tasks: Sequence[Task], settings: Student
) -> QuantizedModelFacts:
    """Fill `target` with the quantized checkpoint.

    Calibrated on whole training examples, prompt and response: the texts it will be run on.
    """
    how = settings.quantization
    encoder = Encoder(load_tokenizer(checkpoint), settings.distillation.max_tokens)
    texts = [
        e.ids
        for kind in open_tasks(dataset, tasks)
        for e in training_examples(kind, dataset, encoder).examples
    ]
    seed = settings.distillation.seed
    chosen = random.Random(seed).sample(texts, min(how.calibration_texts, len(texts)))
    found = quantize_gptq(checkpoint, target, chosen, bits=how.bits, group_size=how.group_size)
    info = describe(target)
    return QuantizedModelFacts(
        digest=info.fingerprint,
        parameters=info.parameters,
        bytes=info.bytes,
        bits=found.bits,
        group_size=found.group_size,
        quantized_layers=found.layers,
        calibration_tokens=found.calibration_tokens,
        warnings=list(found.warnings),
    )
