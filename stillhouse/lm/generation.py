"""What a causal LM writes after its prompts, token by token, many at once."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from stillhouse.lm.batches import plan_batches
from stillhouse.lm.decoder import Decoder, attending_to_slots, rows_at_once
from stillhouse.progress import track

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from stillhouse.lm.grammar import Constraint

# So many of a batch's places are free before the next prompts are read: read alone, a short one
# costs almost as much as a few together.
REFILL = 1 / 8
SHORT = 16  # tokens: what is no longer may stand beside anything
READ_TOKENS = 1 << 14  # of prompts at once, which hold more memory than the rows under way


@dataclass(frozen=True)
class Generated:
    """What a model wrote.

    `ids` come without the end token. `log_probs` are the model's own, at temperature 1 and with
    nothing barred, of each token written; where the answer `ended`, that of the end token is the
    last.
    """

    ids: list[int]
    log_probs: list[float]
    ended: bool


def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    end_ids: Collection[int],
    max_new_tokens: int | Sequence[int],
    vocabulary: int,
    barred: Sequence[int] = (),
    batch_size: int | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    constraints: Callable[[int], Constraint | None] | None = None,
    description: str = "Generating",
) -> list[Generated]:
    """Answers in order of the prompts: the likeliest token each time, or at a `temperature` above
    0 drawn from `seed` and the prompt's number.

    An answer ends before a token of `end_ids`, or is cut off after `max_new_tokens` (one number, or
    one a prompt). Only the first `vocabulary` tokens are written, none of them that is `barred`.
    `batch_size` rows are written
    side by side, by default as many as the device does well; they know nothing of each other, so
    an answer depends on its batch no more than rounding does. `constraints` makes what keeps the
    answer to prompt i within its grammar; where a grammar leaves no token, the answer stops.

    Raises `ValueError` for a prompt without tokens.
    """
    limits = _limits(prompts, max_new_tokens)
    answers = [
        _Answer(i, list(prompt), limit, draw=random.Random(f"{seed} {i}") if temperature else None)
        for i, (prompt, limit) in enumerate(zip(prompts, limits, strict=True))
    ]
    writer = _Writer(model, end_ids, vocabulary, barred, batch_size, temperature, constraints)
    return writer.write(answers, description)


def generate_each(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    constraints: Sequence[Callable[[int], Constraint | None]],
    *,
    end_ids: Collection[int],
    max_new_tokens: int | Sequence[int],
    vocabulary: int,
    barred: Sequence[int] = (),
    batch_size: int | None = None,
    description: str = "Generating",
) -> list[list[Generated]]:
    """What `generate` writes greedily without a constraint, and under each of `constraints`, which
    allow no token that is `barred`: lists in order of the prompts.

    The likeliest of the tokens allowed is the likeliest of all up to the first that is not. So an
    answer is written once for all ways that agree on it; where a grammar bars its next token, a
    second one goes on from there beside it, with the keys and values that it has.
    """
    ways = range(len(constraints) + 1)
    limits = _limits(prompts, max_new_tokens)
    answers = [
        _Answer(i, list(prompt), limit, others=dict.fromkeys(ways[1:]))
        for i, (prompt, limit) in enumerate(zip(prompts, limits, strict=True))
    ]
    writer = _Writer(model, end_ids, vocabulary, barred, batch_size, 0.0, None, constraints)
    writer.write(answers, description)
    found = [answer.by_way() for answer in answers]
    return [[by_way[way] for by_way in found] for way in ways]


def _limits(prompts: Sequence[Sequence[int]], most: int | Sequence[int]) -> Sequence[int]:
    return [most] * len(prompts) if isinstance(most, int) else most


@dataclass(eq=False)
class _Answer:
    """One that is being written: to prompt `index`, of `limit` tokens at most."""

    index: int
    prompt: list[int]
    limit: int
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    ended: bool = False
    draw: random.Random | None = None
    constraint: Constraint | None = None
    # Of several ways to write an answer, this one's own, those that agree so far, the answers of
    # those that don't; and about how many tokens they were asked.
    known: int = 0
    way: int = 0
    others: dict[int, Constraint | None] = field(default_factory=dict)
    forks: list[_Answer] = field(default_factory=list)

    @property
    def generated(self) -> Generated:
        return Generated(self.ids, self.log_probs, self.ended)

    def by_way(self) -> dict[int, Generated]:
        found = dict.fromkeys((self.way, *self.others), self.generated)
        for fork in self.forks:
            found |= fork.by_way()
        return found

    def fork(self) -> _Answer | None:
        """For ways that bar the token that was just written, as far as there are any: the answer as
        it was before."""
        wrote = len(self.log_probs) > self.known
        self.known = len(self.log_probs)
        token = None if not wrote or self.ended else self.ids[-1]
        barred = {
            way: constraint
            for way, constraint in self.others.items()
            if constraint is not None and not (wrote and constraint.takes(token))
        }
        if not barred:
            return None
        self.others = {way: c for way, c in self.others.items() if way not in barred}
        (way, constraint), *rest = barred.items()
        before = len(self.log_probs) - wrote
        so_far = self.ids[:before], self.log_probs[:before]
        fork = _Answer(self.index, self.prompt, self.limit, *so_far, constraint=constraint)
        fork.way, fork.others, fork.known = way, dict(rest), before
        self.forks.append(fork)
        return fork


@dataclass(frozen=True)
class _Writer:
    model: PreTrainedModel
    end_ids: Collection[int]
    vocabulary: int
    barred: Sequence[int]
    batch_size: int | None
    temperature: float
    constraints: Callable[[int], Constraint | None] | None
    each: Sequence[Callable[[int], Constraint | None]] = ()

    def write(self, answers: Sequence[_Answer], description: str) -> list[Generated]:
        """Go on with `answers` until each has ended or is as long as it may be."""
        import torch

        from stillhouse.lm.few_rows import few_rows

        if not all(a.prompt for a in answers):
            raise ValueError("a prompt without tokens: there is nothing to go on from")
        with torch.inference_mode(), attending_to_slots(self.model), few_rows(self.model):
            for _ in track(self._done(answers), description, unit="answers", total=len(answers)):
                pass
        return [answer.generated for answer in answers]

    def _done(self, answers: Sequence[_Answer]) -> Iterator[_Answer]:
        """The answers in the order in which they are done."""
        begun = [a for a in answers if len(a.ids) < a.limit]
        yield from (a for a in answers if len(a.ids) >= a.limit)
        if not begun:
            return
        lengths = [len(a.prompt) + len(a.ids) for a in begun]
        longest = max(len(a.prompt) + a.limit for a in begun)
        most = self.batch_size or rows_at_once(self.model, longest)
        planned = plan_batches(lengths, most)  # rows of like length beside each other
        waiting = deque(begun[i] for batch in planned for i in batch)
        size = min(most, len(begun) * (1 + len(self.each)))
        refill = max(1, int(size * REFILL))
        decoder = Decoder(
            self.model,
            size,
            longest,
            vocabulary=self.vocabulary,
            prefix=_common(begun)[: min(lengths) - 1],
        )
        rows: list[_Answer] = []
        while waiting or rows:
            first = 0
            if size - len(rows) >= min(refill, len(waiting)) > 0:
                first = len(rows)
                few = _read_at_once(waiting, size - first, decoder.prefix)
                rows += [waiting.popleft() for _ in range(few)]
                logits = decoder.admit([self._so_far(a) for a in rows[first:]])
            else:
                logits = decoder.step([a.ids[-1] for a in rows])
            goes_on = self._extend(rows[first:], logits)
            for place, forked in enumerate(map(self._forked, rows[first:], logits)):
                for fork in forked:
                    if len(rows) < size:
                        decoder.fork(first + place)
                        rows.append(fork)
                        goes_on.append(True)
                    else:  # read again as soon as there is room
                        waiting.appendleft(fork)
            # From the end, so that the row that moves to the place of another was seen before it.
            for row in reversed(range(first, len(rows))):
                if not goes_on[row - first]:
                    decoder.leave(row)
                    done, rows[row] = rows[row], rows[-1]
                    rows.pop()
                    done.constraint, done.others = None, dict.fromkeys(done.others)
                    if not done.way:
                        yield done

    def _so_far(self, answer: _Answer) -> list[int]:
        """Prompt and answer up to here; one that begins gets its grammars."""
        if self.constraints is not None:
            answer.constraint = self.constraints(answer.index)
        if not answer.way:
            answer.others = {way: make(answer.index) for way, make in enumerate(self.each, 1)}
        return answer.prompt + answer.ids

    def _forked(self, answer: _Answer, logits: torch.Tensor) -> list[_Answer]:
        """Answers that go on beside this one, by logits [vocabulary]: each has its next token."""
        found = []
        fork = answer.fork() if answer.others else None
        if fork is not None:
            if self._extend([fork], logits[None]) == [True]:
                found.append(fork)
            found += self._forked(fork, logits)
        return found

    def _extend(self, rows: Sequence[_Answer], logits: torch.Tensor) -> list[bool]:
        """Add to each row its next token, by logits [rows, vocabulary]; which ones go on."""
        allowed, scores = self._allowed(rows, logits), self._unbarred(logits)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, float("-inf"))
        tokens = self._choose(rows, scores)
        log_probs = logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
        stuck = [False] * len(rows) if allowed is None else (~allowed.any(-1)).tolist()
        goes_on = []
        for answer, token, log_prob, no_token in zip(
            rows, tokens.tolist(), log_probs.tolist(), stuck, strict=True
        ):
            if not no_token:
                answer.log_probs.append(log_prob)
                answer.ended = token in self.end_ids
                if not answer.ended:
                    answer.ids.append(token)
                    if answer.constraint is not None:
                        answer.constraint.advance(token)
            goes_on.append(not no_token and not answer.ended and len(answer.ids) < answer.limit)
        return goes_on

    def _allowed(self, rows: Sequence[_Answer], logits: torch.Tensor) -> torch.Tensor | None:
        """Which tokens each row's grammar allows [rows, vocabulary]; None when all may come."""
        import numpy as np
        import torch

        if all(a.constraint is None for a in rows):
            return None
        allowed = np.ones(logits.shape, dtype=bool)
        for row, answer in enumerate(rows):
            if answer.constraint is not None:
                allowed[row] = answer.constraint.allowed()
        return torch.from_numpy(allowed).to(logits.device)

    def _unbarred(self, logits: torch.Tensor) -> torch.Tensor:
        import torch

        if not self.barred:
            return logits
        barred = torch.tensor(self.barred, device=logits.device)
        return logits.index_fill(-1, barred, float("-inf"))

    def _choose(self, rows: Sequence[_Answer], scores: torch.Tensor) -> torch.Tensor:
        import torch

        draws = [a.draw.random() for a in rows if a.draw]
        if not draws:
            return scores.argmax(-1)
        sums = torch.softmax(scores.double() / self.temperature, -1).cumsum(-1)
        drawn = torch.tensor(draws, dtype=sums.dtype, device=sums.device)[:, None] * sums[:, -1:]
        return (sums <= drawn).sum(-1).clamp(max=scores.shape[-1] - 1)


def _read_at_once(waiting: Collection[_Answer], room: int, prefix: int) -> int:
    """How many of those that wait are read next, behind the `prefix` that is read already. Padding
    costs as much as text: what is less than half as long as another comes with the next ones."""
    shortest, longest = math.inf, 0
    for count, answer in enumerate(islice(waiting, room)):
        length = len(answer.prompt) + len(answer.ids) - prefix
        shortest, longest = min(shortest, length), max(longest, length)
        full = (count + 1) * (prefix + longest) > READ_TOKENS
        if count and (full or longest > max(2 * shortest, SHORT)):
            return count
    return min(room, len(waiting))


def _common(answers: Sequence[_Answer]) -> list[int]:
    """What their prompts begin with alike; nothing if there is but one, which is read at once."""
    columns = zip(*(a.prompt for a in answers), strict=False)
    alike = [column[0] for column in takewhile(lambda c: len(set(c)) == 1, columns)]
    return alike if len(answers) > 1 else []
