"""Class probabilities from a causal LM: by label tokens, or by the labels' names (zero-shot)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stillhouse.lm.batches import collate, plan_batches, response_hidden
from stillhouse.lm.labels import readable
from stillhouse.lm.prompts import Example
from stillhouse.models.loading import output_weight
from stillhouse.progress import track

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LIFT_EXAMPLES = 64
LIFT_MARGIN = 3.0  # nats

# Inputs [length, hidden] that stand in for the token ids of examples, in order.
Embeddings = Callable[[Sequence[Example]], Sequence["torch.Tensor"]]


def label_probabilities(
    model: PreTrainedModel,
    examples: Sequence[Example],
    label_ids: Sequence[int],
    *,
    pad_id: int,
    batch_size: int = 16,
    embeddings: Embeddings | None = None,
    description: str = "Scoring",
) -> np.ndarray:
    """Probabilities [examples, labels]: a softmax over the label tokens, one forward pass each.

    `embeddings` stand in for token ids when the model is only the upper part of one.
    """
    import numpy as np
    import torch

    device = model.device
    weight = output_weight(model)[torch.tensor(list(label_ids), device=device)]
    result = np.zeros((len(examples), len(label_ids)))
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


def lift_labels(
    model: PreTrainedModel,
    label_ids: Sequence[int],
    examples: Sequence[Example],
    *,
    pad_id: int,
    embeddings: Embeddings | None = None,
) -> None:
    """Let all labels start as the equally likely answers, by their rows of the embedding.

    Where prompts of `examples` end, on average, each label gets the logit of the likeliest other
    token and `LIFT_MARGIN` more. Else most of an epoch goes by until a model answers with labels
    at all, before it learns with which.
    """
    import torch

    chosen = list(examples[:LIFT_EXAMPLES])
    batch = collate(
        chosen,
        pad_id=pad_id,
        device=model.device,
        embeddings=embeddings(chosen) if embeddings else None,
    )
    with torch.no_grad():
        weight, ids = output_weight(model), torch.tensor(list(label_ids), device=model.device)
        hidden = response_hidden(model, batch).float().mean(dim=0)
        rows = weight[ids].float()
        others = weight.float() @ hidden
        others[ids] = -torch.inf
        missing = others.max() + LIFT_MARGIN - rows @ hidden
        weight[ids] = (rows + missing[:, None] * hidden / (hidden @ hidden)).to(weight.dtype)


def name_probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    labels: Sequence[str],
    *,
    batch_size: int = 8,
) -> np.ndarray:
    """Zero-shot probabilities [examples, labels] from the likelihood of each label's whole name.

    All names follow the prompt in one sequence; each attends to the prompt and to itself only and
    counts its positions from the prompt's end. So the prompt is read once, not once a label, and
    names that share their first tokens are told apart.
    """
    import numpy as np
    import torch

    names = [tokenizer(" " + readable(n), add_special_tokens=False).input_ids for n in labels]
    result = np.zeros((len(examples), len(labels)))
    batches = plan_batches([len(e.ids) for e in examples], batch_size)
    with torch.inference_mode():
        for indices in track(batches, "Scoring zero-shot", unit="batches"):
            prompts = [examples[i].ids[: examples[i].response_start] for i in indices]
            scores = _score_names(model, prompts, names, len(tokenizer))
            result[indices] = torch.softmax(scores.float(), dim=-1).cpu().numpy()
    return result


def _score_names(
    model: PreTrainedModel, prompts: list[list[int]], names: list[list[int]], vocabulary: int
) -> torch.Tensor:
    """Log-likelihoods [prompts, names] of `names`, among `vocabulary` tokens, after each prompt."""
    import torch

    device, tail = model.device, [t for name in names for t in name]
    widest = max(len(p) for p in prompts)
    length = widest + len(tail)
    # Prompts are padded on the left, so that all names start in the same column.
    ids = torch.zeros(len(prompts), length, dtype=torch.long)
    positions = torch.zeros(len(prompts), length, dtype=torch.long)
    visible = torch.zeros(len(prompts), length, length, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        start = widest - len(prompt)
        ids[row, start:widest] = torch.tensor(prompt)
        ids[row, widest:] = torch.tensor(tail)
        positions[row, start:widest] = torch.arange(len(prompt))
        visible[row, start:, start:widest] = True
    visible[:, :, :widest] &= torch.ones(length, widest).tril().bool()
    offset = widest
    for name in names:
        end = offset + len(name)
        visible[:, offset:end, offset:end] = torch.ones(len(name), len(name)).tril().bool()
        for row, prompt in enumerate(prompts):
            positions[row, offset:end] = len(prompt) + torch.arange(len(name))
        offset = end
    visible |= torch.eye(length).bool()  # a padding row that sees nothing would be NaN
    bias = torch.zeros(visible.shape, dtype=model.dtype).masked_fill(
        ~visible, torch.finfo(model.dtype).min
    )
    hidden = model.base_model(
        input_ids=ids.to(device),
        attention_mask=bias[:, None].to(device),
        position_ids=positions.to(device),
        use_cache=False,
    ).last_hidden_state[:, widest - 1 :]
    weight = output_weight(model)[:vocabulary]  # an embedding padded beyond it holds no tokens
    log_probs = torch.log_softmax((hidden @ weight.T).float(), dim=-1)
    scores, offset = [], 0
    for name in names:
        # The first token is predicted by the prompt's last position, the others by the one before.
        sources = [0, *range(offset + 1, offset + len(name))]
        scores.append(log_probs[:, sources, name].sum(dim=-1))
        offset += len(name)
    return torch.stack(scores, dim=1)
