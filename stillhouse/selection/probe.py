"""A few seconds of the real teacher's work: how long a token takes, and so a whole run.

An estimate: validation, loading and quantization come on top, and a busy machine is slower.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.lm.batches import Batch, collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.loading import (
    context_length,
    load_model,
    load_tokenizer,
    output_weight,
    pick_device,
)
from stillhouse.selection.plan import IN_WORDS_AT_ONCE, Plan, Texts
from stillhouse.student.initialise import evenly_spaced
from stillhouse.tasks.common import rows_of
from stillhouse.tasks.prompting import Prompter

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

SECONDS = 2.0  # of each kind of work, after one batch to warm up
LEAST = 3  # batches, however long they take
PROMPTS = 64  # of a task, of a teacher that is asked in words
VOCABULARY = 4_096  # rows of the embedding that the loss is timed with; the rest is scaled


@dataclass(frozen=True)
class Rate:
    """Tokens a second over the batches timed: the middle one, the slowest and the fastest."""

    middle: float
    slowest: float
    fastest: float

    def seconds(self, tokens: int) -> tuple[float, float, float]:
        """How long so many take: about, at least, at most."""
        return tokens / self.middle, tokens / self.fastest, tokens / self.slowest


@dataclass(frozen=True)
class Estimate:
    """A step of a run: `tokens` that it reads at a `rate`."""

    name: str
    tokens: int
    rate: Rate


def estimates(plan: Plan, dtype: torch.dtype) -> list[Estimate]:
    """Adaptation, labelling and distillation, timed on the plan's own texts with the teacher's own
    weights. The plan has texts and weights."""
    assert plan.weights is not None and plan.texts is not None  # noqa: S101
    model = load_model(plan.weights, pick_device(), dtype)
    pad = load_tokenizer(plan.weights).pad_token_id
    examples, total = _spread(plan.texts.examples), plan.texts.tokens
    found = []
    size = plan.project.soft_labels.batch_size
    asked, read = (examples, total) if plan.adapted else _in_words(plan, plan.texts, plan.weights)
    size = size if plan.adapted else IN_WORDS_AT_ONCE
    rate = _timed(lambda batch: _read(model, batch), model, asked, size, pad)
    if plan.adapted:
        how = plan.teacher.adapt
        _require_grad(model, last=plan.trained_layers)
        slower = _timed(lambda batch: _learn(model, batch), model, examples, how.batch_size, pad)
        found.append(Estimate("adapting the teacher", total * how.epochs, slower))
    found.append(Estimate("labelling", read, rate))
    if plan.student.init.base is not None:  # a model of its own, which was not loaded
        return found
    decoder, kept = model.base_model, evenly_spaced(plan.cut.layers, plan.shape.layers)
    decoder.layers = type(decoder.layers)(decoder.layers[number] for number in kept)
    model.requires_grad_(True)
    settings = plan.student.distillation
    slower = _timed(lambda b: _learn(model, b), model, examples, settings.batch_size, pad)
    found.append(Estimate("distilling", total * settings.epochs, slower))
    return found


def _in_words(plan: Plan, texts: Texts, weights: Path) -> tuple[list[Example], int]:
    """Some prompts as a teacher is asked that nobody adapts, and how many tokens all of them have;
    what they begin with alike is read once, which this leaves out."""
    prompt = plan.teacher.prompt
    encoder = Encoder(load_tokenizer(weights), prompt.max_tokens)
    found, total = [], 0.0
    for kind in texts.kinds:
        rows = [r for batch in rows_of(texts.dataset, kind.task.name, "train") for r in batch]
        some = rows[:: max(1, len(rows) // PROMPTS)]
        if not some:
            continue
        prompter = Prompter(encoder, prompt, kind, texts.dataset, context_length(weights))
        asked = prompter.prompts(some).examples
        total += sum(len(e.ids) for e in asked) / len(asked) * len(rows)
        found += asked
    return found, round(total)


def _spread(examples: Sequence[Example]) -> list[Example]:
    """Some of all lengths."""
    ordered = sorted(examples, key=lambda e: len(e.ids))
    step = max(1, len(ordered) // 512)
    return ordered[::step]


def _timed(
    work: Callable[[Batch], None],
    model: PreTrainedModel,
    examples: Sequence[Example],
    size: int,
    pad: int,
) -> Rate:
    rates: list[float] = []
    started = None
    for chosen in _batches(examples, size):
        batch = collate(chosen, pad_id=pad, device=model.device)
        before = time.monotonic()
        work(batch)
        _wait(model)
        if started is None:  # the first one prepares what the others use
            started = time.monotonic()
            continue
        rates.append(sum(len(e.ids) for e in chosen) / (time.monotonic() - before))
        if len(rates) >= LEAST and time.monotonic() - started > SECONDS:
            break
    model.zero_grad(set_to_none=True)
    rates.sort()
    return Rate(rates[len(rates) // 2], rates[0], rates[-1])


def _batches(examples: Sequence[Example], size: int) -> Iterator[list[Example]]:
    """Over and over, in an order that mixes lengths."""
    planned = plan_batches([len(e.ids) for e in examples], size, seed=0)
    while True:
        for indices in planned:
            yield [examples[i] for i in indices]


def _wait(model: PreTrainedModel) -> None:
    if model.device.type == "cuda":
        import torch

        torch.cuda.synchronize()


def _read(model: PreTrainedModel, batch: Batch) -> None:
    import torch

    with torch.inference_mode():
        response_hidden(model, batch)


def _learn(model: PreTrainedModel, batch: Batch) -> None:
    """Forward and backward; the optimizer's step is next to nothing beside them."""
    hidden = response_hidden(model, batch)
    weight = output_weight(model)[:VOCABULARY]
    (hidden @ weight.T).float().logsumexp(-1).mean().backward()


def _require_grad(model: PreTrainedModel, *, last: int) -> None:
    """Let the backward pass go through the `last` layers whose weights stay frozen, as LoRA's
    does: their first norm alone has a gradient."""
    model.requires_grad_(False)
    layers = model.base_model.layers
    layers[max(0, len(layers) - last)].input_layernorm.weight.requires_grad_(True)
