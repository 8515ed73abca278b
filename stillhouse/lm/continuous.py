"""Answers that come and go while others are written: what a server needs of `Decoder`.

A row joins between two steps and leaves as soon as its answer ends (Yu et al., "Orca: A Distributed
Serving System for Transformer-Based Generative Models", 2022). Each has settings of its own.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stillhouse.lm.decoder import (
    SERVED_SHARE,
    Decoder,
    attending_to_slots,
    bytes_a_token,
    roomy,
)
from stillhouse.lm.few_rows import few_rows
from stillhouse.lm.generation import READ_TOKENS, Generated

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from stillhouse.lm.grammar import Constraint

HELD = 256 << 20  # bytes of all keys and values on a processor


@dataclass(frozen=True)
class Step:
    """A token that was written: its log-probability, and the likeliest of all with theirs; both are
    the model's own, as in `Generated`. The end token is one, and has `ends`."""

    token: int
    log_prob: float
    ends: bool
    likeliest: tuple[tuple[int, float], ...] = ()


@dataclass(eq=False)
class Row:
    """An answer of at most `limit` tokens to `prompt`: greedily, or at a `temperature` above 0
    drawn by `draw` from the likeliest tokens that have `top_p` of the probability together. Each
    step tells the `alternatives` likeliest. Tokens that are `barred` are not written."""

    prompt: Sequence[int]
    limit: int
    temperature: float = 0.0
    top_p: float = 1.0
    draw: random.Random | None = None
    constraint: Constraint | None = None
    barred: Sequence[int] = ()
    alternatives: int = 0
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    ended: bool = False
    stuck: bool = False

    @property
    def most(self) -> int:
        """Tokens of prompt and answer, at most."""
        return len(self.prompt) + self.limit

    @property
    def done(self) -> bool:
        return self.ended or self.stuck or len(self.ids) >= self.limit

    @property
    def generated(self) -> Generated:
        return Generated(self.ids, self.log_probs, self.ended)


class Continuous:
    """The rows under way of one model, at most `rows`; fewer where they are so long that their keys
    and values would take more than `HELD` bytes, or on a GPU `SERVED_SHARE` of what was free."""

    def __init__(
        self, model: PreTrainedModel, *, end_ids: Collection[int], vocabulary: int, rows: int
    ) -> None:
        self.model, self.end_ids = model, frozenset(end_ids)
        self.rows: list[Row] = []
        self._most, self._held = rows, HELD
        if model.device.type == "cuda":
            import torch

            self._held = int(SERVED_SHARE * torch.cuda.mem_get_info(model.device)[0])
        least = roomy(0)
        self._decoder = Decoder(model, self._size(least), least, vocabulary=vocabulary)

    def _size(self, length: int) -> int:
        return max(1, min(self._most, self._held // (bytes_a_token(self.model) * length)))

    def fitting(self, rows: Sequence[Row]) -> int:
        """How many of `rows`, the first ones, may join now: those that there is room for, and few
        of long prompts, as the rows under way wait while they are read."""
        longest = max((row.most for row in self.rows), default=0)
        read = 0
        for taken, row in enumerate(rows):
            longest, read = max(longest, row.most), read + len(row.prompt)
            room = len(self.rows) + taken < self._size(roomy(longest))
            if not room or (taken and read > READ_TOKENS):
                return taken
        return len(rows)

    def admit(self, rows: Sequence[Row]) -> list[tuple[Row, Step | None]]:
        """Read the prompts of so many new rows, and write their first tokens."""
        import torch

        first = len(self.rows)
        length = roomy(max(row.most for row in (*self.rows, *rows)))
        held = self._decoder.kept.shape[4]
        if length > held or (not first and length < held):  # what one long answer took is let go
            self._decoder.resize(self._size(length), length)
        with torch.inference_mode(), attending_to_slots(self.model), few_rows(self.model):
            logits = self._decoder.admit([row.prompt for row in rows])
            self.rows += rows
            return self._extended(first, logits)

    def step(self) -> list[tuple[Row, Step | None]]:
        """Write a token to the end of each row; None for a row whose grammar leaves none. Rows that
        are done have left."""
        import torch

        with torch.inference_mode(), attending_to_slots(self.model), few_rows(self.model):
            return self._extended(0, self._decoder.step([row.ids[-1] for row in self.rows]))

    def leave(self, unwanted: Collection[Row]) -> None:
        """Take rows out that nobody waits for."""
        for place in reversed(range(len(self.rows))):
            if self.rows[place] in unwanted:
                self._leave(place)

    def _extended(self, first: int, logits: torch.Tensor) -> list[tuple[Row, Step | None]]:
        found = list(zip(self.rows[first:], self._written(first, logits), strict=True))
        # From the end, so that the row that moves to the place of another was seen before it.
        for place in reversed(range(first, len(self.rows))):
            if self.rows[place].done:
                self._leave(place)
        return found

    def _leave(self, place: int) -> None:
        self._decoder.leave(place)
        self.rows[place] = self.rows[-1]
        self.rows.pop()

    def _written(self, first: int, logits: torch.Tensor) -> list[Step | None]:
        """A token of each row; what a GPU has found is asked for once for all of them, as each
        question waits for it."""
        rows = self.rows[first:]
        log_probs = logits - logits.logsumexp(-1, keepdim=True)
        scores, stuck = self._allowed(rows, log_probs)
        tokens = self._chosen(rows, scores)
        values = log_probs.gather(-1, tokens[:, None])[:, 0]
        most = max(row.alternatives for row in rows)
        others = _likeliest(log_probs, most) if most else [()] * len(rows)
        found: list[Step | None] = []
        for row, none, token, log_prob, likeliest in zip(
            rows, stuck, tokens.tolist(), values.tolist(), others, strict=True
        ):
            ends = token in self.end_ids
            if none or not (ends or _advanced(row, token)):
                row.stuck = True
                found.append(None)
                continue
            row.log_probs.append(log_prob)
            row.ended = ends
            if not ends:
                row.ids.append(token)
            found.append(Step(token, log_prob, ends, likeliest[: row.alternatives]))
        return found

    def _allowed(
        self, rows: Sequence[Row], log_probs: torch.Tensor
    ) -> tuple[torch.Tensor, list[bool]]:
        """The log-probabilities [rows, vocabulary] of what each row's grammar allows and nothing
        bars, and which rows it leaves no token."""
        import torch

        stuck = [False] * len(rows)
        # Few are, of a whole vocabulary: named one by one, they are soon on a GPU.
        barred = [(place, token) for place, row in enumerate(rows) for token in row.barred]
        if barred:
            places = torch.tensor(barred, device=log_probs.device).unbind(1)
            log_probs = log_probs.index_put(places, log_probs.new_tensor(-torch.inf))
        constrained = [place for place, row in enumerate(rows) if row.constraint is not None]
        if not constrained:
            return log_probs, stuck
        out = torch.zeros(log_probs.shape, dtype=torch.bool)
        for place in constrained:
            allowed = rows[place].constraint.allowed()  # type: ignore[union-attr]
            stuck[place] = not allowed.any()
            out[place] = ~torch.from_numpy(allowed)
        return log_probs.masked_fill(out.to(log_probs.device), -torch.inf), stuck

    def _chosen(self, rows: Sequence[Row], scores: torch.Tensor) -> torch.Tensor:
        """The next token of each row [rows], by what `_allowed` gives."""
        import torch

        tokens = scores.argmax(-1)
        drawing = [(i, r, r.draw) for i, r in enumerate(rows) if r.draw and r.temperature > 0]
        if not drawing:
            return tokens

        def numbers(values: Sequence[float]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float64, device=scores.device)[:, None]

        places = torch.tensor([place for place, _, _ in drawing], device=scores.device)
        scores = scores[places].double()
        # The likeliest is 0, which no temperature, however low, makes infinite.
        scores -= scores.max(-1, keepdim=True).values
        scores /= numbers([row.temperature for _, row, _ in drawing])
        ordered, ids = torch.softmax(scores, -1).sort(descending=True)
        sums = ordered.cumsum(-1)
        top = numbers([row.top_p for _, row, _ in drawing]) * sums[:, -1:]
        # The likeliest is in it, and so is one where nothing is allowed, which is not looked at.
        last = ((sums - ordered < top).sum(-1, keepdim=True) - 1).clamp_min(0)
        drawn = numbers([draw.random() for _, _, draw in drawing]) * sums.gather(-1, last)
        place = torch.minimum(last, (sums <= drawn).sum(-1, keepdim=True))
        tokens[places] = ids.gather(-1, place)[:, 0]
        return tokens


def _likeliest(log_probs: torch.Tensor, most: int) -> list[tuple[tuple[int, float], ...]]:
    """So many tokens of each row with their log-probabilities, the likeliest first."""
    values, tokens = log_probs.topk(min(most, log_probs.shape[1]))
    return [
        tuple(zip(ids, found, strict=True))
        for ids, found in zip(tokens.tolist(), values.tolist(), strict=True)
    ]


def _advanced(row: Row, token: int) -> bool:
    """False where the grammar has grown too large to follow: that ends this row, and no other."""
    if row.constraint is not None:
        try:
            row.constraint.advance(token)
        except ValueError:
            return False
    return True
