"""What a causal LM would say next: among some tokens, or among some whole sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stillhouse.lm.batches import collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Example
from stillhouse.models.loading import output_weight
from stillhouse.progress import track

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import PreTrainedModel

LIFT_EXAMPLES = 64
LIFT_MARGIN = 3.0  # nats

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
    batch_size: int = 8,
    description: str = "Scoring",
) -> np.ndarray:
    """Probabilities [examples, sequences] from the likelihood of each whole sequence of tokens as
    what follows the prompt, among the first `vocabulary` tokens.

    All sequences follow the prompt in one row; each attends to the prompt and to itself only and
    counts its positions from the prompt's end. So the prompt is read once, not once a sequence,
    and those that share their first tokens are told apart.
    """
    import numpy as np
    import torch

    result = np.zeros((len(examples), len(sequences)))
    batches = plan_batches([len(e.ids) for e in examples], batch_size)
    with torch.inference_mode():
        for indices in track(batches, description, unit="batches"):
            prompts = [examples[i].ids[: examples[i].response_start] for i in indices]
            scores = _score_sequences(model, prompts, sequences, vocabulary)
            result[indices] = torch.softmax(scores.float(), dim=-1).cpu().numpy()
    return result


def _score_sequences(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    sequences: Sequence[list[int]],
    vocabulary: int,
) -> torch.Tensor:
    """Log-likelihoods [prompts, sequences] of each sequence after each prompt."""
    import torch

    device, tail = model.device, [t for s in sequences for t in s]
    widest = max(len(p) for p in prompts)
    length = widest + len(tail)
    # Prompts are padded on the left, so that all sequences start in the same column.
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
    for sequence in sequences:
        end = offset + len(sequence)
        visible[:, offset:end, offset:end] = torch.ones(len(sequence), len(sequence)).tril().bool()
        for row, prompt in enumerate(prompts):
            positions[row, offset:end] = len(prompt) + torch.arange(len(sequence))
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
    for sequence in sequences:
        # The first token is predicted by the prompt's last position, the others by the one before.
        sources = [0, *range(offset + 1, offset + len(sequence))]
        scores.append(log_probs[:, sources, sequence].sum(dim=-1))
        offset += len(sequence)
    return torch.stack(scores, dim=1)
