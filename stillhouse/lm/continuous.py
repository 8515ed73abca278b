"""Answers that come and go while others are written: what a server needs of `Decoder`.

A row joins between two steps and leaves as soon as its answer ends (Yu et al., "Orca: A Distributed
Serving System for Transformer-Based Generative Models", 2022). Each has settings of its own.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stillhouse.lm.decoder import Decoder, attending_to_slots, bytes_a_token
from stillhouse.lm.few_rows import FewRows
from stillhouse.lm.generation import READ_TOKENS, Generated

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from stillhouse.lm.grammar import Constraint

# Tokens of prompt and answer that there is always room for; and bytes of all keys and values.
SHORT, HELD = 512, 256 << 20


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
    step tells the `alternatives` likeliest."""

    prompt: Sequence[int]
    limit: int
    temperature: float = 0.0
    top_p: float = 1.0
    draw: random.Random | None = None
    constraint: Constraint | None = None
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
    and values would take more than `HELD` bytes."""

    def __init__(
        self, model: PreTrainedModel, *, end_ids: Collection[int], vocabulary: int, rows: int
    ) -> None:
        self.model, self.end_ids = model, frozenset(end_ids)
        self.rows: list[Row] = []
        self._most = rows
        self._decoder = Decoder(model, self._size(SHORT), SHORT, vocabulary=vocabulary)

    def _size(self, length: int) -> int:
        return max(1, min(self._most, HELD // (bytes_a_token(self.model) * length)))

    def fitting(self, rows: Sequence[Row]) -> int:
        """How many of `rows`, the first ones, may join now: those that there is room for, and few
        of long prompts, as the rows under way wait while they are read."""
        longest = max((row.most for row in self.rows), default=0)
        read = 0
        for taken, row in enumerate(rows):
            longest, read = max(longest, row.most), read + len(row.prompt)
            room = len(self.rows) + taken < self._size(_rounded(longest))
            if not room or (taken and read > READ_TOKENS):
                return taken
        return len(rows)

    def admit(self, rows: Sequence[Row]) -> list[tuple[Row, Step | None]]:
        """Read the prompts of so many new rows, and write their first tokens."""
        import torch

        first = len(self.rows)
        length = _rounded(max(row.most for row in (*self.rows, *rows)))
        held = self._decoder.kept.shape[4]
        if length > held or (not first and length < held):  # what one long answer took is let go
            self._decoder.resize(self._size(length), length)
        with torch.inference_mode(), attending_to_slots(self.model), FewRows():
            logits = self._decoder.admit([row.prompt for row in rows])
            self.rows += rows
            return self._extended(first, logits)

    def step(self) -> list[tuple[Row, Step | None]]:
        """Write a token to the end of each row; None for a row whose grammar leaves none. Rows that
        are done have left."""
        import torch

        with torch.inference_mode(), attending_to_slots(self.model), FewRows():
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
        rows = self.rows[first:]
        log_probs = logits - logits.logsumexp(-1, keepdim=True)
        most = max(row.alternatives for row in rows)
        likeliest = log_probs.topk(min(most, log_probs.shape[1])) if most else None
        found: list[Step | None] = []
        for place, row in enumerate(rows):
            token = self._next(row, log_probs[place])
            ends = token in self.end_ids
            if token is None or not (ends or _advanced(row, token)):
                row.stuck = True
                found.append(None)
                continue
            log_prob = float(log_probs[place, token])
            row.log_probs.append(log_prob)
            row.ended = ends
            if not ends:
                row.ids.append(token)
            others: tuple[tuple[int, float], ...] = ()
            if likeliest is not None and row.alternatives:
                values = likeliest.values[place, : row.alternatives].tolist()
                tokens = likeliest.indices[place, : row.alternatives].tolist()
                others = tuple(zip(tokens, values, strict=True))
            found.append(Step(token, log_prob, ends, others))
        return found

    def _next(self, row: Row, log_probs: torch.Tensor) -> int | None:
        """The next token by log-probabilities [vocabulary]; None where the grammar leaves none."""
        import torch

        if row.constraint is not None:
            allowed = torch.from_numpy(row.constraint.allowed()).to(log_probs.device)
            if not bool(allowed.any()):
                return None
            log_probs = log_probs.masked_fill(~allowed, -torch.inf)
        if row.draw is None or row.temperature == 0.0:
            return int(log_probs.argmax())
        # The likeliest is 0, which no temperature, however low, makes infinite.
        scaled = (log_probs - log_probs.max()).double() / row.temperature
        ordered, tokens = torch.softmax(scaled, -1).sort(descending=True)
        sums = ordered.cumsum(-1)
        kept = int((sums - ordered < row.top_p * float(sums[-1])).sum())  # the likeliest is in it
        drawn = row.draw.random() * float(sums[kept - 1])
        return int(tokens[min(kept - 1, int((sums <= drawn).sum()))])


def _advanced(row: Row, token: int) -> bool:
    """False where the grammar has grown too large to follow: that ends this row, and no other."""
    if row.constraint is not None:
        try:
            row.constraint.advance(token)
        except ValueError:
            return False
    return True


def _rounded(length: int) -> int:
    """Twice as much each time, so that room is seldom made anew."""
    found = SHORT
    while found < length:
        found *= 2
    return found
