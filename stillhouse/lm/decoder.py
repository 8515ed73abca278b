"""Keys and values of the rows that a causal LM writes at once, each as long as it is.

Transformers' caches hold rows of one length, padded on the left. Here each row has a slot and a
length of its own, so a row that is done makes room for the next while the others go on (Yu et al.,
"Orca: A Distributed Serving System for Transformer-Based Generative Models", 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stillhouse.lm.replayed import Replayed
from stillhouse.models.loading import output_weight

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

ATTENTION = "stillhouse"  # among the names that transformers knows kinds of attention by

# A step reads every weight once, however many rows there are: until arithmetic takes as long as
# that, further rows cost nothing. Keys and values of theirs may take so much memory.
MOST_ROWS = {"cpu": 256, "cuda": 512}
# Of a server, whose callers each wait for their own: no more than cost the first of them little.
SERVED_ROWS = {"cpu": 16, "cuda": 64}
# Tokens of prompt and answer that a server has always room for, and its share of a free GPU.
SHORT, SERVED_SHARE = 512, 0.25
CPU_BYTES, GPU_SHARE = 2 << 30, 0.5
# Among fewer rows on a CPU, long ones are not attended to apart; there, a column of theirs costs as
# much as so many, since keys and values are copied.
FEW_ROWS, COPIED = 8, 3


def rows_at_once(model: PreTrainedModel, length: int) -> int:
    """How many rows of at most `length` tokens `model` should write side by side here."""
    import torch

    held = bytes_a_token(model) * length
    cuda = model.device.type == "cuda"
    free = GPU_SHARE * torch.cuda.mem_get_info(model.device)[0] if cuda else CPU_BYTES
    return max(1, min(MOST_ROWS[model.device.type], int(free // held)))


def roomy(length: int) -> int:
    """So many tokens, or more. Twice as many each time, so that room is seldom made anew."""
    found = SHORT
    while found < length:
        found *= 2
    return found


def bytes_a_token(model: PreTrainedModel) -> int:
    """Of keys and values."""
    layers, heads, width = _shape(model)
    return 2 * layers * heads * width * model.dtype.itemsize


class Decoder:
    """The rows under way, in order of their slots.

    Holds `rows` of them at most, each of `length` tokens at most. All begin with `prefix`, which is
    read once. Use it inside of `attending_to_slots`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        rows: int,
        length: int,
        *,
        vocabulary: int,
        prefix: Sequence[int] = (),
    ) -> None:
        import torch

        layers, heads, width = _shape(model)
        self.model, self.prefix, self.lengths = model, len(prefix), list[int]()
        self.weight = output_weight(model)[:vocabulary]  # padded beyond it, it holds no tokens
        # [layers, keys or values, rows, heads, tokens, width]. Zeros: what lies beyond a row's end
        # is weighed by nothing, but nothing times what memory happens to hold may be no number.
        self.kept = torch.zeros(
            (layers, 2, rows, heads, length, width),
            dtype=self.weight.dtype,
            device=model.device,
        )
        self.columns = torch.arange(length, device=model.device)
        self._repeated = self._replayed()
        if prefix:
            self._hidden(torch.tensor([prefix]), _Slots(self.kept[:, :, :1], 0), self.columns[None])
            self.kept[:, :, 1:, :, : self.prefix] = self.kept[:, :, :1, :, : self.prefix]

    def admit(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read prompts into new rows after the others; the logits [prompts, vocabulary] of what
        comes next, in float32. Each prompt begins with the prefix and goes on beyond it."""
        import torch

        first, rest = len(self.lengths), [p[self.prefix :] for p in prompts]
        self.lengths += [len(p) for p in prompts]
        # Padding stands after a prompt, where none of its tokens looks, and is written over later.
        ids = torch.zeros(len(rest), max(map(len, rest)), dtype=torch.long)
        for row, tokens in enumerate(rest):
            ids[row, : len(tokens)] = torch.tensor(tokens)
        slots = _Slots(self.kept[:, :, first : len(self.lengths)], self.prefix)
        hidden = self._hidden(ids, slots, self.columns[None, self.prefix :])
        return self._logits(hidden[range(len(rest)), [len(tokens) - 1 for tokens in rest]])

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Write one token to the end of each row; the logits [rows, vocabulary] after it."""
        import torch

        before, self.lengths = self.lengths, [length + 1 for length in self.lengths]
        if self._repeated is not None:
            return self._logits(self._repeated(self._stepped, tokens, before))
        at = torch.tensor(before, device=self.model.device)[:, None]
        return self._logits(self._stepped(torch.tensor(tokens)[:, None], at, max(self.lengths)))

    def _stepped(self, ids: torch.Tensor, at: torch.Tensor, columns: int) -> torch.Tensor:
        """Hidden states [rows, width] of tokens [rows, 1] written `at` columns [rows, 1], by what
        stands in the first `columns`."""
        import torch

        seen = self.kept.new_zeros(len(ids), 1, 1, columns)
        seen.masked_fill_((self.columns[:columns] > at)[:, None, None], -torch.inf)
        slots = _Slots(self.kept[:, :, : len(ids), :, :columns], at[:, 0])
        return self._hidden(ids, slots, at, seen)[:, 0]

    def _replayed(self) -> Replayed | None:
        """What repeats steps on a GPU, as long as keys and values stay where they are."""
        if self.model.device.type != "cuda":
            return None
        rows, columns = self.kept.shape[2], self.kept.shape[4]
        return Replayed(rows, columns, self.model.device)

    def fork(self, row: int) -> None:
        """A new row after the others, which goes on from what stood in `row` before the token that
        comes next."""
        length, last = self.lengths[row], len(self.lengths)
        self.lengths.append(length)
        self.kept[:, :, last, :, :length] = self.kept[:, :, row, :, :length]

    def leave(self, row: int) -> None:
        """Take a row out; the last one moves to its place."""
        length, last = self.lengths.pop(), len(self.lengths)
        if row < last:
            self.lengths[row] = length
            self.kept[:, :, row, :, :length] = self.kept[:, :, last, :, :length]

    def resize(self, rows: int, length: int) -> None:
        """Make room for so many rows, of so many tokens; those under way have to fit."""
        import torch

        count, used = len(self.lengths), max(self.lengths, default=0)
        layers, both, _, heads, _, width = self.kept.shape
        kept = self.kept.new_zeros((layers, both, rows, heads, length, width))
        kept[:, :, :count, :, :used] = self.kept[:, :, :count, :, :used]
        self.kept, self.columns = kept, torch.arange(length, device=self.model.device)
        self._repeated = self._replayed()

    def _hidden(
        self,
        ids: torch.Tensor,
        slots: _Slots,
        positions: torch.Tensor,
        seen: torch.Tensor | None = None,
    ) -> torch.Tensor:
        found: torch.Tensor = self.model.base_model(
            input_ids=ids.to(self.model.device),
            attention_mask=seen,
            position_ids=positions[:, : ids.shape[1]],
            past_key_values=slots,
            use_cache=True,
        ).last_hidden_state
        return found

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        import torch

        return torch.nn.functional.linear(hidden, self.weight).float()


def _shape(model: PreTrainedModel) -> tuple[int, int, int]:
    """Of its keys: layers, heads, and numbers a head."""
    config = model.config
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    return config.num_hidden_layers, shared, width


class _Slots:
    """What a model takes for its cache: `kept` of some rows, to be written from column `at` on,
    which is one for all rows or a tensor [rows] with each one's own."""

    def __init__(self, kept: torch.Tensor, at: int | torch.Tensor) -> None:
        self.kept, self.at = kept, at

    def get_seq_length(self, layer: int = 0) -> int:  # noqa: ARG002 (transformers' signature)
        return self.at if isinstance(self.at, int) else self.kept.shape[4] - 1

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep keys and values [rows, heads, tokens, width]; all there are so far."""
        import torch

        kept = self.kept[layer]
        if isinstance(self.at, int):
            end = self.at + keys.shape[2]
            kept[0, :, :, self.at : end] = keys
            kept[1, :, :, self.at : end] = values
            kept = kept[:, :, :, :end]
        else:
            rows = torch.arange(len(self.at), device=self.at.device)
            kept[0][rows, :, self.at] = keys[:, :, 0]
            kept[1][rows, :, self.at] = values[:, :, 0]
        return kept[0], kept[1]


def _attend(
    module: Any,  # noqa: ARG001 (transformers' signature)
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Scaled dot-product attention without copying keys for each head that shares them, which
    transformers does whenever there is a mask: a tenth of the time of small models."""
    import torch

    rows, heads, length, width = query.shape
    columns, seen = key.shape[2], attention_mask
    sdpa = torch.nn.functional.scaled_dot_product_attention
    if length == 1 and seen is not None:
        if sliding_window and columns > sliding_window:
            ends = (seen == 0).sum(-1, keepdim=True)
            gone = torch.arange(columns, device=query.device) < ends - sliding_window
            seen = seen.masked_fill(gone, -torch.inf)
        # The heads that share keys stand beside each other, as if they were several tokens.
        grouped = query.reshape(rows, key.shape[1], -1, width)
        near, far = _long_rows(attention_mask)
        found = sdpa(
            grouped, key[:, :, :near], value[:, :, :near], attn_mask=seen[..., :near], scale=scaling
        )
        if far is not None:
            found[far] = sdpa(
                grouped[far], key[far], value[far], attn_mask=seen[far], scale=scaling
            )
        return found.reshape(rows, 1, heads, width), None
    past, window = columns - length, sliding_window or columns
    if past or columns > window:
        seen = torch.ones(length, columns, dtype=torch.bool, device=query.device)
        seen = seen.tril(past).triu(past + 1 - window)
    found = sdpa(
        query, key, value, attn_mask=seen, is_causal=seen is None, scale=scaling, enable_gqa=True
    )
    return found.transpose(1, 2), None


def _long_rows(seen: torch.Tensor) -> tuple[int, torch.Tensor | None]:
    """By what each row sees, zeros of [rows, 1, 1, columns]: columns that suffice most rows, and
    the rows which see more, so that all others need not be weighed against as many. On a GPU, where
    steps are replayed as they were, none does."""
    import torch

    rows, columns = len(seen), seen.shape[-1]
    if seen.device.type != "cpu" or rows < FEW_ROWS:
        return columns, None
    ends = (seen[:, 0, 0] == 0).sum(-1)
    order = ends.sort().values
    longer = torch.arange(rows - 1, -1, -1)
    near = int(order[(rows * order + COPIED * columns * longer).argmin()])
    return near, (ends > near).nonzero()[:, 0] if near < columns else None


@contextmanager
def attending_to_slots(model: PreTrainedModel) -> Iterator[None]:
    """Inside, `model` attends in the way that `Decoder` needs."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attend)
    before = model.config._attn_implementation
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
