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
from stillhouse.lm.batches import Batch, collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Example
from stillhouse.lm.scoring import Embeddings
from stillhouse.models.loading import output_weight
from stillhouse.training.losses import distillation_loss
from stillhouse.training.state import TrainingState

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from stillhouse.soft_labels.targets import SparseTargets

logger = logging.getLogger("stillhouse")

SAVE_EVERY_SECONDS = 60.0
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class TrainingData:
    """What is learned from: examples, and by their keys soft labels and stand-in embeddings.

    `targets` returns the soft labels of examples, in order, as rows of response tokens;
    `embeddings` the [length, hidden] inputs that replace their token ids (see teacher/trunk.py);
    `head` the output embedding, where it is another than the model's own. `alpha` is the soft
    labels' share of the loss, `temperature` theirs; without soft labels neither matters.
    """

    examples: Sequence[Example]
    targets: Callable[[Sequence[Example]], SparseTargets] | None = None
    temperature: float = 1.0
    alpha: float = 0.0
    embeddings: Embeddings | None = None
    head: Callable[[], torch.Tensor] | None = None


@dataclass(frozen=True)
class TrainingResult:
    """`history` has an entry an epoch; the model holds the weights of `best_epoch`."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = -math.inf
    stopped_early: bool = False


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
) -> TrainingResult:
    """Train what requires grad in `model`, in place, and leave it with its best weights.

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
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(parameters.values(), lr=settings.learning_rate, fused=True)
    optimizer.param_groups[0]["weight_decay"] = settings.weight_decay
    state = TrainingState.open(state_folder, fingerprint, parameters, optimizer)
    steps_per_epoch = math.ceil(len(data.examples) / (settings.batch_size * settings.accumulation))
    total_steps = steps_per_epoch * settings.epochs
    saved_at = time.monotonic()
    while state.epoch < settings.epochs and not state.stopped_early(settings.patience):
        groups = _groups(data.examples, settings, state.epoch)
        model.train()
        for index, group in enumerate(groups):
            if index < state.step_in_epoch:
                continue
            done = state.epoch * steps_per_epoch + index
            optimizer.param_groups[0]["lr"] = _learning_rate(done, total_steps, settings)
            parts = _step(model, optimizer, data, group, pad_id, vocabulary)
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
                remedy="give the validation split examples (`splits.validation`, or more labelled "
                "documents).",
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


def _step(
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    data: TrainingData,
    group: list[list[Example]],
    pad_id: int,
    vocabulary: int,
) -> dict[str, float] | None:
    """One optimizer step; returns sums over its supervised tokens and their number.

    Returns None, with the weights as they were, when a gradient is no finite number.
    """
    import torch

    # All micro-batches share this denominator: averaging each one apart would weigh tokens of
    # short batches more.
    supervised = sum(len(e.response_ids) for micro in group for e in micro)
    sums = {"loss": 0.0, "kl": 0.0, "ce": 0.0}
    for micro in group:
        batch = collate(
            micro,
            pad_id=pad_id,
            device=model.device,
            embeddings=data.embeddings(micro) if data.embeddings else None,
        )
        parts = distillation_loss(
            response_hidden(model, batch),
            data.head() if data.head else output_weight(model),
            batch.gold,
            _targets(data, micro, batch),
            alpha=data.alpha,
            temperature=data.temperature,
            denominator=supervised,
            valid_vocab=vocabulary,
        )
        parts.loss.backward()
        for name in sums:
            sums[name] += float(getattr(parts, name).detach()) * supervised
    trained = [p for g in optimizer.param_groups for p in g["params"]]
    norm = torch.nn.utils.clip_grad_norm_(trained, MAX_GRADIENT_NORM)
    if not torch.isfinite(norm):
        return None
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {**sums, "tokens": float(supervised)}


def _targets(data: TrainingData, micro: list[Example], batch: Batch) -> SparseTargets | None:
    if data.targets is None:
        return None
    return data.targets(micro).to(batch.gold.device)


def _learning_rate(step: int, total: int, settings: TrainingSettings) -> float:
    """Linear warm-up, then a cosine from the full rate to a tenth of it."""
    warmup = max(1, round(settings.warmup * total))
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


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
