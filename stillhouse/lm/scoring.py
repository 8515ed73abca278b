"""What a causal LM would say next: among some tokens, or among some whole sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from stillhouse.lm.batches import collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Example
from stillhouse.models.loading import output_weight
from stillhouse.progress import track

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import DynamicCache, PreTrainedModel

LIFT_EXAMPLES = 64
LIFT_MARGIN = 3.0  # nats
LOGITS_HELD = 1 << 26  # numbers: a quarter of a gigabyte

# Inputs [length, hidden] that stand in for the token ids of examples, in order.
Embeddings = Callable[[Sequence[Example]], Sequence["torch.Tensor"]]


def token_probabilities(
    model: PreTrainedModel,
    examples: Sequence[Example],
    token_ids: Sequence[int],
    *,
    pad_id: int,
    batch_size: int = 16,
    embeddings: Embeddings | None = None,
    description: str = "Scoring",
) -> np.ndarray:
    """Probabilities [examples, tokens] that the response is each of `token_ids`: a softmax over
    them alone, one forward pass each. The examples' responses are one token long, and not read.

    `embeddings` stand in for token ids when the model is only the upper part of one.
    """
    import numpy as np
    import torch

    device = model.device
    weight = output_weight(model)[torch.tensor(list(token_ids), device=device)]
    result = np.zeros((len(examples), len(token_ids)))
    batches = plan_batches([len(e.ids) for e in examples], batch_size)
    with torch.inference_mode():
        for indices in track(batches, description, unit="batches"):
            chosen = [examples[i] for i in indices]
            batch = collate(
                chosen,
                pad_id=pad_id,
                device=device,
                embeddings=embeddings(chosen) if embeddings else None,
            )
            logits = (response_hidden(model, batch) @ weight.T).float()
            result[indices] = torch.softmax(logits, dim=-1).cpu().numpy()
    return result


def lift_tokens(
    model: PreTrainedModel,
    token_ids: Sequence[int],
    examples: Sequence[Example],
    *,
    pad_id: int,
    embeddings: Embeddings | None = None,
) -> None:
    """Let some tokens start as the equally likely answers, by their rows of the embedding.

    Where prompts of `examples` end, on average, each gets the logit of the likeliest other token
    and `LIFT_MARGIN` more. Else most of an epoch goes by until a model answers with these tokens
    at all, before it learns with which.
    """
    import torch

    if not token_ids:
        return
    chosen = list(examples[:LIFT_EXAMPLES])
    batch = collate(
        chosen,
        pad_id=pad_id,
        device=model.device,
        embeddings=embeddings(chosen) if embeddings else None,
    )
    with torch.no_grad():
        weight, ids = output_weight(model), torch.tensor(list(token_ids), device=model.device)
        hidden = response_hidden(model, batch).float().mean(dim=0)
        rows = weight[ids].float()
        others = weight.float() @ hidden
        others[ids] = -torch.inf
        missing = others.max() + LIFT_MARGIN - rows @ hidden
        weight[ids] = (rows + missing[:, None] * hidden / (hidden @ hidden)).to(weight.dtype)


def sequence_probabilities(
    model: PreTrainedModel,
    examples: Sequence[Example],
    sequences: Sequence[list[int]],
    *,
    vocabulary: int,
    priors: Sequence[Example] | None = None,
    batch_size: int = 8,
    description: str = "Scoring",
) -> np.ndarray:
    """Probabilities [examples, sequences] from the likelihood of each whole sequence of tokens as
    what follows the prompt, among the first `vocabulary` tokens.

    `priors`, one an example, are prompts without a text: how likely they make a sequence is divided
    out, so that what a model says of nothing at all weighs nothing (contextual calibration, Zhao et
    al., "Calibrate Before Use", 2021, with their matrix diag(p)^-1 and no bias).
    """
    from scipy.special import softmax

    run = partial(
        _sequence_scores, model, sequences=sequences, vocabulary=vocabulary, batch_size=batch_size
    )
    scores = run([_prompt(e) for e in examples], description=description)
    if priors is not None:
        asked = [tuple(_prompt(e)) for e in priors]
        place = {ids: i for i, ids in enumerate(dict.fromkeys(asked))}  # most often one
        found = run([list(ids) for ids in place], description=f"{description} without a text")
        scores -= found[[place[ids] for ids in asked]]
    result: np.ndarray = softmax(scores, axis=1)
    return result


def _prompt(example: Example) -> list[int]:
    return example.ids[: example.response_start]


def _sequence_scores(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    *,
    sequences: Sequence[list[int]],
    vocabulary: int,
    batch_size: int,
    description: str,
    share: bool = True,
) -> np.ndarray:
    """Log-likelihoods [prompts, sequences] of each sequence after each prompt.

    All sequences follow the prompt in one row; each attends to the prompt and to itself only and
    counts its positions from the prompt's end. So the prompt is read once, not once a sequence,
    and those that share their first tokens are told apart. What all prompts begin with (an
    instruction, the same shots) is read once for all of them, unless told not to `share` it.
    """
    import numpy as np
    import torch

    shared = _common_start(prompts) if share else 0
    result = np.zeros((len(prompts), len(sequences)))
    with torch.inference_mode():
        start = _Start(model, prompts[0][:shared]) if shared else None
        batches = plan_batches([len(p) for p in prompts], batch_size)
        for indices in track(batches, description, unit="batches"):
            chosen = [prompts[i][shared:] for i in indices]
            found = _score_sequences(model, chosen, sequences, vocabulary, start)
            result[indices] = found.double().cpu().numpy()
    return result


def _common_start(prompts: Sequence[list[int]]) -> int:
    """How many tokens all prompts begin with alike; each has one more at least."""
    least, most = min(prompts, default=[]), max(prompts, default=[])
    shortest = min((len(p) for p in prompts), default=1)
    # What the first and the last in order have in common, all between them have too.
    for place, (one, other) in enumerate(zip(least, most, strict=False)):
        if one != other or place == shortest - 1:
            return place
    return 0


class _Start:
    """Keys and values of the tokens that all prompts begin with."""

    def __init__(self, model: PreTrainedModel, ids: list[int]) -> None:
        import torch
        from transformers import DynamicCache

        cache = DynamicCache()
        model.base_model(
            input_ids=torch.tensor([ids], device=model.device),
            past_key_values=cache,
            use_cache=True,
        )
        self.length = len(ids)
        self._layers = [(layer.keys, layer.values) for layer in cache.layers]

    def repeated(self, rows: int) -> DynamicCache:
        """As a cache of its own for so many prompts: what they add to it stays theirs."""
        from transformers import DynamicCache

        return DynamicCache(
            [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in self._layers]
        )


def _score_sequences(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    sequences: Sequence[list[int]],
    vocabulary: int,
    start: _Start | None = None,
) -> torch.Tensor:
    """Log-likelihoods [prompts, sequences]; `prompts` go on where `start` ends, if there is one."""
    import torch

    device, before = model.device, start.length if start else 0
    # Nothing is predicted from a sequence's last token: it isn't fed.
    fed = [t for s in sequences for t in s[:-1]]
    widest = max(len(p) for p in prompts)
    length = widest + len(fed)
    # Prompts are padded on the left, so that all sequences start in the same column.
    ids = torch.zeros(len(prompts), length, dtype=torch.long)
    positions = torch.zeros(len(prompts), length, dtype=torch.long)
    visible = torch.zeros(len(prompts), length, length, dtype=torch.bool)
    ids[:, widest:] = torch.tensor(fed)
    for row, prompt in enumerate(prompts):
        first = widest - len(prompt)
        ids[row, first:widest] = torch.tensor(prompt)
        positions[row, first:widest] = torch.arange(len(prompt))
        visible[row, first:, first:widest] = True
    visible[:, :, :widest] &= torch.ones(length, widest).tril().bool()
    ends = torch.tensor([[len(p)] for p in prompts])
    sources, targets, offset = [], [], widest
    for sequence in sequences:
        size = len(sequence) - 1
        end = offset + size
        visible[:, offset:end, offset:end] = torch.ones(size, size).tril().bool()
        positions[:, offset:end] = ends + torch.arange(size)
        # The first token is predicted by the prompt's last position, the others by the one before.
        sources += [widest - 1, *range(offset, end)]
        targets += sequence
        offset = end
    visible |= torch.eye(length).bool()  # a padding row that sees nothing would be NaN
    if start:
        visible = torch.cat([torch.ones(len(prompts), length, before).bool(), visible], dim=2)
    positions += before
    hidden = model.base_model(
        input_ids=ids.to(device),
        attention_mask=_masks(model, visible, positions),
        position_ids=positions.to(device),
        past_key_values=start.repeated(len(prompts)) if start else None,
        use_cache=start is not None,
    ).last_hidden_state
    weight = output_weight(model)[:vocabulary]  # an embedding padded beyond it holds no tokens
    found = _log_probabilities(hidden, weight, sources, targets)
    sizes = [len(s) for s in sequences]
    return torch.stack([part.sum(dim=1) for part in found.split(sizes, dim=1)], dim=1)


def _masks(model: PreTrainedModel, visible: torch.Tensor, positions: torch.Tensor) -> Any:
    """What a model takes for its attention mask: who sees whom [batch, tokens, all so far], within
    the window of those layers that have one. All there is before `positions` [batch, tokens] comes
    first."""
    import torch

    def bias(seen: torch.Tensor) -> torch.Tensor:
        found = torch.zeros(seen.shape, dtype=model.dtype)
        return found.masked_fill(~seen, torch.finfo(model.dtype).min)[:, None].to(model.device)

    layers = getattr(model.config, "layer_types", None)
    window = getattr(model.config, "sliding_window", None)
    if not window or (layers and "sliding_attention" not in layers):
        return bias(visible)
    before = torch.arange(visible.shape[2] - visible.shape[1]).expand(len(positions), -1)
    distance = positions[:, :, None] - torch.cat([before, positions], dim=1)[:, None]
    near = bias(visible & (distance < window))
    if not layers:
        return near
    return {"full_attention": bias(visible), "sliding_attention": near}


def _log_probabilities(
    hidden: torch.Tensor, weight: torch.Tensor, sources: Sequence[int], targets: Sequence[int]
) -> torch.Tensor:
    """Log-probabilities [batch, targets] of each target token as seen from its source position of
    `hidden` [batch, length, width]; of the whole vocabulary some positions at a time are held."""
    import torch

    result = torch.zeros(len(hidden), len(targets), device=hidden.device)
    columns = sorted(set(sources))
    step = max(1, LOGITS_HELD // (len(hidden) * len(weight)))
    for place in range(0, len(columns), step):
        part = {column: i for i, column in enumerate(columns[place : place + step])}
        log_probs = torch.log_softmax((hidden[:, list(part)] @ weight.T).float(), dim=-1)
        wanted = [i for i, source in enumerate(sources) if source in part]
        rows = [part[sources[i]] for i in wanted]
        result[:, wanted] = log_probs[:, rows, [targets[i] for i in wanted]]
    return result
