"""Texts through a decoder without padding, and what they begin with alike only once.

In a causal model a token's hidden state depends on nothing but the tokens up to it. So a batch is
a tree: texts share the rows of their common beginning (an instruction, the shots of a prompt), and
nothing stands for padding. All tokens lie in one row `[1, rows]` for what works on each token
alone, which is nearly everything; attention alone sees texts side by side.

Works through the attention interface of transformers, with the library's own modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from stillhouse.models.precision import rows_multiple

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

# Decoders whose layers mix tokens in attention alone, and know it as `self_attn`; each is tested.
MODEL_TYPES = ("llama", "mistral", "phi3", "qwen2", "qwen3", "smollm3")

ATTENTION = "stillhouse_packed"


@dataclass(frozen=True)
class Packing:
    """Where the tokens of texts lie when each common beginning is there once.

    `grid` [texts, longest] holds the row of each token, and anything beyond a text's end. `places`
    [rows] says where in the flattened grid a row stands first, `first` [rows] the same in the
    texts one after another.
    """

    grid: torch.Tensor
    places: torch.Tensor
    first: torch.Tensor

    @property
    def positions(self) -> torch.Tensor:
        """How many tokens come before each row's in its texts, [rows]."""
        return self.places % self.grid.shape[1]

    def to(self, device: torch.device) -> Packing:
        return Packing(*(getattr(self, f.name).to(device) for f in fields(self)))

    def rounded(self, multiple: int) -> Packing:
        """With copies of the first row that nobody reads, up to a multiple of rows."""
        return replace(
            self,
            places=_extended(self.places, multiple),
            first=_extended(self.first, multiple),
        )


def pack(texts: Sequence[Sequence[int]]) -> Packing:
    """How to pack `texts`, none of them empty."""
    import torch

    longest = max(len(text) for text in texts)
    rows: dict[tuple[int, int], int] = {}  # by the row of the token before and the token
    grid: list[list[int]] = []
    places: list[int] = []
    first: list[int] = []
    start = 0
    for number, text in enumerate(texts):
        before, line = -1, []
        for column, token in enumerate(text):
            row = rows.setdefault((before, token), len(places))
            if row == len(places):
                places.append(number * longest + column)
                first.append(start + column)
            line.append(row)
            before = row
        grid.append(line + [0] * (longest - len(line)))
        start += len(text)
    return Packing(*map(torch.tensor, (grid, places, first)))


def can_pack(decoder: PreTrainedModel) -> bool:
    return decoder.config.model_type in MODEL_TYPES


def run_packed(
    decoder: PreTrainedModel,
    inputs: torch.Tensor,
    packing: Packing,
    *,
    needed: torch.Tensor | None = None,
) -> torch.Tensor:
    """Last hidden states [rows, hidden] of the tokens (int64 [tokens]) of texts one after another,
    or of their embeddings [tokens, hidden].

    `needed` (int64, each once) are the rows that are read: of the last layer the others get no
    more than their keys and values, and what is returned for them means nothing.
    """
    multiple = rows_multiple(decoder.dtype, inputs.device)
    packing = packing.rounded(multiple)
    name = "inputs_embeds" if inputs.is_floating_point() else "input_ids"
    reading = _reading_only(decoder.layers[-1], needed, len(packing.places), multiple)
    with _packed_attention(decoder.config), reading:
        found = decoder(
            **{name: inputs[packing.first][None]},
            position_ids=packing.positions[None],
            packing=packing,
            use_cache=False,
        )
    hidden: torch.Tensor = found.last_hidden_state[0]
    return hidden


def _extended(indices: torch.Tensor, multiple: int) -> torch.Tensor:
    """With copies of the first one up to a multiple."""
    import torch

    missing = -len(indices) % multiple
    return torch.cat([indices, indices[:1].expand(missing)]) if missing else indices


@contextmanager
def _packed_attention(config: Any) -> Iterator[None]:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attend)
    before = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,  # noqa: ARG001 (none is made for this attention)
    *,
    packing: Packing,
    scaling: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention over [1, heads, rows, width], side by side in the grid.

    No text looks at what comes later, hence none at what fills the grid behind it: there is
    nothing to mask.
    """
    import torch
    from torch.nn.functional import embedding, scaled_dot_product_attention

    from stillhouse.lm.attention import is_short, short_attention

    texts, longest = packing.grid.shape

    def spread(rows: torch.Tensor) -> torch.Tensor:
        """[texts, heads, longest, width]"""
        _, heads, count, width = rows.shape
        # A gather whose gradient adds up in the same order every time, on a GPU too.
        found = embedding(packing.grid, rows[0].transpose(0, 1).reshape(count, heads * width))
        return found.view(texts, longest, heads, width).transpose(1, 2)

    mask = None
    if sliding_window is not None and sliding_window < longest:
        seen = torch.ones(longest, longest, dtype=torch.bool, device=query.device)
        mask = seen.tril() & seen.triu(1 - sliding_window)
    q, k, v = spread(query), spread(key), spread(value)
    dropped = dropout if module.training else 0.0
    if mask is None and not dropped and is_short(q):
        found = short_attention(q, k, v, scaling)
    else:
        found = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropped, is_causal=mask is None, scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
    flat = found.transpose(1, 2).reshape(texts * longest, *found.shape[1::2])
    return flat.index_select(0, packing.places)[None], None


@contextmanager
def _reading_only(
    layer: torch.nn.Module, needed: torch.Tensor | None, rows: int, multiple: int
) -> Iterator[None]:
    """Let what works on each of `rows` alone in `layer` work on those that are needed."""
    if needed is None:
        yield
        return
    taken, hooks = _extended(needed, multiple), []

    def take(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0][:, taken], *inputs[1:])

    def give(_: torch.nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
        whole = output.new_zeros(1, rows, output.shape[2])
        return whole.index_copy(1, needed, output[:, : len(needed)])

    attention: Any = layer.self_attn
    for module in (getattr(attention, "q_proj", None), attention.o_proj, layer.mlp):
        if module is not None:
            hooks += [module.register_forward_pre_hook(take), module.register_forward_hook(give)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
