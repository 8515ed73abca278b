"""The training loop: one for teachers being adapted and students being distilled.

It differs from the Hugging Face Trainer where distillation needs it: the loss is computed from
hidden states at response positions only, soft labels come from memory-mapped shards, accumulated
micro-batches share one denominator, and its state is safetensors and JSON, never a pickle.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.training import TrainingSettings
from stillhouse.errors import UserError
from stillhouse.lm.batches import plan_batches
from stillhouse.lm.prompts import Example
from stillhouse.training.masters import Masters
from stillhouse.training.state import TrainingState
from stillhouse.training.step import Stepper, TrainingData

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


logger = logging.getLogger("stillhouse")

SAVE_EVERY_SECONDS = 60.0
ALIGNED_SHARE = 0.6  # of the steps


@dataclass(frozen=True)
class TrainingResult:
    """`history` has an entry an epoch; the model holds the weights of `best_epoch`."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = -math.inf
    stopped_early: bool = False

    @property
    def epochs_since_best(self) -> int:
        return len(self.history) - self.best_epoch


def train(
    model: PreTrainedModel,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    evaluate: Callable[[], dict[str, float]],
    state_folder: Path,
    fingerprint: str,
    pad_id: int,
    vocabulary: int,
    description: str = "Training",
    dtype: torch.dtype | None = None,
) -> TrainingResult:
    """Train what requires grad in `model`, in place, and leave it with its best weights.

    These are trained in float32, and are float32 afterwards, also where the model computes with
    them in another `dtype` (by default their own).

    `evaluate` returns figures of the validation split; "score" decides which epoch is best
    (higher is better), and each goes into the history as "validation_<name>". Progress is kept in
    `state_folder` under `fingerprint`, at every epoch's end and every minute, so that a killed
    run goes on where it was; a state of another fingerprint is thrown away. `vocabulary` is the
    tokenizer's: rows of an embedding padded beyond it are no answers.

    The same data, settings and weights to begin with give the same weights on the same machine.
    Raises `UserError` without examples, and when the loss or the score is no number.
    """
    import torch

    if not data.examples:
        raise UserError(
            f"{description}: no example to learn from",
            remedy="add labelled documents to the training split, or lower "
            "`tasks[].min_examples`; `stillhouse status` counts what there is.",
        )
    torch.manual_seed(settings.seed)
    masters = Masters({n: p for n, p in model.named_parameters() if p.requires_grad}, dtype)
    optimizer = torch.optim.AdamW(masters.weights.values(), lr=settings.learning_rate, fused=True)
    optimizer.param_groups[0]["weight_decay"] = settings.weight_decay
    state = TrainingState.open(state_folder, fingerprint, masters.weights, optimizer)
    steps_per_epoch = math.ceil(len(data.examples) / (settings.batch_size * settings.accumulation))
    total_steps = steps_per_epoch * settings.epochs
    stepper = Stepper(model, data, masters, optimizer, pad_id=pad_id, vocabulary=vocabulary)
    saved_at = time.monotonic()
    with masters.lent():
        while state.epoch < settings.epochs and not state.stopped_early(settings.patience):
            groups = _groups(data.examples, settings, state.epoch)
            model.train()
            for index, group in enumerate(groups):
                if index < state.step_in_epoch:
                    continue
                done = state.epoch * steps_per_epoch + index
                optimizer.param_groups[0]["lr"] = _learning_rate(done, total_steps, settings)
                parts = stepper.step(group, _alignment(done, total_steps, data))
                if parts is None:
                    raise _no_number(description, state.epoch + 1, index + 1, steps_per_epoch)
                state.add(parts)
                state.step_in_epoch = index + 1
                if time.monotonic() - saved_at > SAVE_EVERY_SECONDS:
                    state.save()
                    saved_at = time.monotonic()
                    logger.info("%s: step %d of %d", description, done + 1, total_steps)
            model.eval()
            validation = evaluate()
            if not math.isfinite(validation["score"]):
                raise UserError(
                    f"{description}: the score of the validation split is no number",
                    remedy="give the validation split examples (`splits.validation`, or more "
                    "labelled documents).",
                )
            # Of the last step: a run that goes on from there has none left to do.
            rate = _learning_rate((state.epoch + 1) * steps_per_epoch - 1, total_steps, settings)
            record = state.finish_epoch(rate, validation)
            state.save()
            saved_at = time.monotonic()
            logger.info("%s: %s", description, _sentence(record, settings.epochs))
        state.load_best()
    model.eval()
    return TrainingResult(
        state.history, state.best_epoch, state.best_score, state.epoch < settings.epochs
    )


def _groups(
    examples: Sequence[Example], settings: TrainingSettings, epoch: int
) -> Iterator[list[list[Example]]]:
    """Micro-batches of each optimizer step; the same in every process for a seed and epoch."""
    lengths = [len(e.ids) for e in examples]
    batches = plan_batches(lengths, settings.batch_size, seed=settings.seed * 1_000 + epoch)
    for start in range(0, len(batches), settings.accumulation):
        group = batches[start : start + settings.accumulation]
        yield [[examples[i] for i in batch] for batch in group]


def _learning_rate(step: int, total: int, settings: TrainingSettings) -> float:
    """Linear warm-up, then a cosine from the full rate to a tenth of it."""
    warmup = max(1, round(settings.warmup * total))
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def _alignment(step: int, total: int, data: TrainingData) -> float:
    """The weight of the alignment term, which falls to 0 along a line.

    It shows a student the way from where it was cut; at the end it would only be in the way of
    what the student is to say.
    """
    if data.hidden_states is None:
        return 0.0
    return data.alignment * max(0.0, 1 - step / (ALIGNED_SHARE * total))


def _no_number(description: str, epoch: int, step: int, steps: int) -> UserError:
    return UserError(
        f"{description}: epoch {epoch}, step {step} of {steps}: the loss or its gradient is no "
        "number; nothing of this step was kept",
        remedy="lower `learning_rate`; if it happens at the first step, the model's weights are "
        "damaged: import the teacher again.",
    )


def _sentence(record: dict[str, float], epochs: int) -> str:
    figures = ", ".join(
        f"{name.replace('validation_', 'validation ')} {record[name]:.3f}"
        for name in record
        if name not in ("epoch", "learning_rate", "seconds")
    )
    return f"epoch {record['epoch']:.0f} of {epochs}: {figures}"
