"""Soft labels: a teacher's logits in a few bytes a token, and back into training targets.

Three encodings, one record per supervised token:

- `top_k`: the k likeliest ids with log-probabilities, and the mass of all others (the tail) at
  every temperature asked for. Deterministic. The tail is part of the label: the k alone,
  renormalised, teach the student that everything else is impossible.
- `sampled`: ids drawn in proportion to their probability, three bytes each, without bias: the
  expected gradient is that of the whole distribution, which no top-k can offer. After "Sparse
  Logit Sampling: Accelerating Knowledge Distillation in LLMs" (Anshumann et al., ACL 2025).
- `label_distribution`: for classification, every class's log-probability and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stillhouse.errors import UserError
from stillhouse.soft_labels.targets import Kind, SparseTargets

if TYPE_CHECKING:
    import numpy as np
    import torch

# A drawn id, how often it was drawn (less one), and whether it is the last of its row share 24
# bits. Rows then need no lengths, and a row takes only as many entries as it has distinct ids.
ID_BITS = 18
COUNT_BITS = 5
LAST_IN_ROW = 1 << (ID_BITS + COUNT_BITS)
MAX_VOCABULARY = 1 << ID_BITS
MAX_DRAWS = 1 << COUNT_BITS

# Logits worked on at once; bounds the float32 copies to a few tens of MiB.
CHUNK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class LabelEncoding:
    """What a record means; written into every shard's header.

    `entries` is k, the number of draws, or the number of classes. `label_ids` holds the classes'
    token ids (`label_distribution` only). A `sampled` record follows the one temperature it was
    drawn at, a `top_k` record those listed; a `label_distribution` is complete and follows any,
    so it lists none.
    """

    kind: Kind
    entries: int
    temperatures: tuple[float, ...] = ()
    label_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class LabelRecords:
    """Encoded rows. All `arrays` share their first axis, on which rows lie in order.

    top_k: `ids` uint32[rows, k], `log_probs` float32[rows, k] (at temperature 1),
    `tails` float32[rows, temperatures]. sampled: `draws` uint8[distinct draws, 3].
    label_distribution: `log_probs` float32[rows, classes].
    """

    encoding: LabelEncoding
    arrays: dict[str, np.ndarray]

    @property
    def entries(self) -> int:
        """Length of the arrays' first axis: rows, or for `sampled` distinct draws."""
        return len(next(iter(self.arrays.values())))

    @property
    def rows(self) -> int:
        return len(self._row_ends())

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def split(self, lengths: Sequence[int]) -> list[LabelRecords]:
        """Cut into consecutive pieces of `lengths` rows, say one per pair of a batch."""
        ends = self._row_ends()
        if sum(lengths) != len(ends):
            raise ValueError(f"lengths add up to {sum(lengths)}, there are {len(ends)} rows")
        pieces, row, start = [], 0, 0
        for length in lengths:
            row += length
            stop = int(ends[row - 1]) if row else 0
            pieces.append(self.slice(start, stop))
            start = stop
        return pieces

    def slice(self, start: int, stop: int) -> LabelRecords:
        """Entries `start` to `stop` of the first axis."""
        return replace(self, arrays={name: a[start:stop] for name, a in self.arrays.items()})

    @staticmethod
    def concatenate(pieces: Sequence[LabelRecords]) -> LabelRecords:
        import numpy as np

        first = pieces[0]
        if any(piece.encoding != first.encoding for piece in pieces):
            raise ValueError("records of different encodings do not concatenate; decode them first")
        return replace(
            first,
            arrays={
                name: np.concatenate([p.arrays[name] for p in pieces]) for name in first.arrays
            },
        )

    def _row_ends(self) -> np.ndarray:
        import numpy as np

        if self.encoding.kind == "sampled":
            # The flag is the top bit of a draw's last byte.
            return np.flatnonzero(self.arrays["draws"][:, 2] >= LAST_IN_ROW >> 16) + 1
        return np.arange(1, self.entries + 1)


def encode_top_k(
    logits: torch.Tensor,
    k: int,
    temperatures: Sequence[float],
    *,
    valid_vocab: int | None = None,
) -> LabelRecords:
    """Keep the k likeliest of `logits` [rows, vocab], and the others' mass at each temperature.

    Columns from `valid_vocab` on are padding of the teacher's embedding and take no part.
    """
    import torch

    encoding = LabelEncoding("top_k", k, tuple(float(t) for t in temperatures))
    if not encoding.temperatures or min(encoding.temperatures) <= 0:
        raise ValueError(f"temperatures must be positive and at least one: {temperatures}")
    if not 1 <= k <= (valid_vocab or logits.shape[1]):
        raise ValueError(f"k={k} of {valid_vocab or logits.shape[1]} tokens")
    ids, log_probs, tails = [], [], []
    for chunk in _float_chunks(logits, valid_vocab):
        kept, kept_ids = chunk.topk(k, dim=1)
        log_probs.append(kept - chunk.logsumexp(1, keepdim=True))
        ids.append(kept_ids)
        # From the others themselves: 1 - sum(kept) has no digit left when the teacher is sure.
        others = chunk.scatter(1, kept_ids, float("-inf"))
        tails.append(
            torch.stack(
                [
                    ((others / t).logsumexp(1) - (chunk / t).logsumexp(1)).exp()
                    for t in encoding.temperatures
                ],
                dim=1,
            )
        )
    return LabelRecords(
        encoding,
        {
            "ids": _stack(ids, (k,)).astype("uint32"),
            "log_probs": _stack(log_probs, (k,)).astype("float32"),
            "tails": _stack(tails, (len(encoding.temperatures),)).astype("float32"),
        },
    )


def encode_sampled(
    logits: torch.Tensor,
    temperature: float,
    *,
    draws: int = 12,
    generator: torch.Generator | None = None,
    valid_vocab: int | None = None,
) -> LabelRecords:
    """Draw ids from softmax(logits / temperature), [rows, vocab], without bias.

    A token of probability p is drawn floor(draws * p) or one more times, draws * p in
    expectation. This is systematic sampling (Madow, 1949): one random number a row shifts `draws`
    evenly spaced marks along the cumulated distribution. No other unbiased count varies less a
    token, and nothing but the ids and counts has to be kept. At most 3 * draws bytes a row, less
    where the teacher is sure.

    `generator` lives on the CPU. Raises UserError when an id would not fit its 18 bits.
    """
    import numpy as np
    import torch

    vocabulary = valid_vocab or logits.shape[1]
    if vocabulary > MAX_VOCABULARY:
        raise UserError(
            f"a vocabulary of {vocabulary} is too large for sampled labels, which hold ids below "
            f"{MAX_VOCABULARY}",
            remedy="use top-k labels for this teacher",
        )
    if not 1 <= draws <= MAX_DRAWS:
        raise ValueError(f"draws must be between 1 and {MAX_DRAWS}: {draws}")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive: {temperature}")
    drawn = []
    for chunk in _float_chunks(logits, valid_vocab):
        # float64: the rounding of a long float32 sum would shift mass between late tokens.
        cumulated = (chunk / temperature).softmax(1).double().cumsum(1)
        shift = torch.rand(len(chunk), 1, generator=generator, dtype=torch.float64)
        marks = (torch.arange(draws) + shift).to(chunk.device) / draws * cumulated[:, -1:]
        # right=True never lands on a token without mass.
        drawn.append(torch.searchsorted(cumulated, marks, right=True).clamp_max(vocabulary - 1))
    ids = _stack(drawn, (draws,))
    # Marks ascend, so equal ids are neighbours: each run of them becomes one entry.
    starts_run = np.ones(ids.shape, dtype=bool)
    starts_run[:, 1:] = ids[:, 1:] != ids[:, :-1]
    starts = np.flatnonzero(starts_run)
    counts = np.diff(starts, append=ids.size)
    row = starts // draws
    last = np.append(row[1:] != row[:-1], True) if len(row) else np.zeros(0, dtype=bool)
    words = ids.reshape(-1)[starts] | (counts - 1) << ID_BITS | last * LAST_IN_ROW
    packed = words.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return LabelRecords(
        LabelEncoding("sampled", draws, (float(temperature),)),
        {"draws": np.ascontiguousarray(packed)},
    )


def encode_label_distribution(logits: torch.Tensor, label_ids: Sequence[int]) -> LabelRecords:
    """One distribution over the classes: softmax over the logits of their tokens.

    `logits` is [rows, vocab], or [rows, classes] in the order of `label_ids` when the classes
    were scored in another way (a zero-shot teacher scores the names as sequences). Complete, so
    that every temperature can be had from it.
    """
    label_ids = tuple(int(i) for i in label_ids)
    if len(set(label_ids)) != len(label_ids) or not label_ids:
        raise ValueError(f"classes need distinct tokens: {label_ids}")
    scores = logits if logits.shape[1] == len(label_ids) else logits[:, list(label_ids)]
    log_probs = [chunk.log_softmax(1) for chunk in _float_chunks(scores, None)]
    return LabelRecords(
        LabelEncoding("label_distribution", len(label_ids), label_ids=label_ids),
        {"log_probs": _stack(log_probs, (len(label_ids),)).astype("float32")},
    )


def decode(records: LabelRecords, temperature: float) -> SparseTargets:
    """Turn records into targets at `temperature`, exactly: softmax(teacher logits / T).

    Raises UserError when the records do not hold that temperature.
    """
    import torch

    encoding = records.encoding
    if encoding.temperatures and temperature not in encoding.temperatures:
        held = ", ".join(f"{t:g}" for t in encoding.temperatures)
        raise UserError(
            f"distillation.temperature is {temperature:g}, the soft labels hold {held}",
            remedy=f"set the temperature to one of {held}, or label again with {temperature:g}",
        )
    if encoding.kind == "sampled":
        return _decode_sampled(records, temperature)
    log_probs = torch.from_numpy(records.arrays["log_probs"].astype("float32")) / temperature
    if encoding.kind == "label_distribution":
        return SparseTargets(
            ids=torch.tensor(encoding.label_ids).repeat(len(log_probs), 1),
            probs=log_probs.softmax(1),
            tail=torch.zeros(len(log_probs)),
            temperature=temperature,
            kind="label_distribution",
        )
    column = encoding.temperatures.index(temperature)
    tail = torch.from_numpy(records.arrays["tails"][:, column].astype("float32"))
    return SparseTargets(
        ids=torch.from_numpy(records.arrays["ids"].astype("int64")),
        # The normaliser at this temperature, out of the tail that was measured with it.
        probs=log_probs.softmax(1) * (1 - tail)[:, None],
        tail=tail,
        temperature=temperature,
    )


def _decode_sampled(records: LabelRecords, temperature: float) -> SparseTargets:
    import numpy as np
    import torch

    packed = records.arrays["draws"].astype(np.int64)
    words = packed[:, 0] | packed[:, 1] << 8 | packed[:, 2] << 16
    ends = records._row_ends()
    lengths = np.diff(ends, prepend=0)
    row = np.repeat(np.arange(len(ends)), lengths)
    column = np.arange(len(words)) - np.repeat(ends - lengths, lengths)
    width = int(lengths.max(initial=1))
    ids = np.full((len(ends), width), -1, dtype=np.int64)
    probs = np.zeros((len(ends), width), dtype=np.float32)
    ids[row, column] = words & (MAX_VOCABULARY - 1)
    counts = (words >> ID_BITS & (MAX_DRAWS - 1)) + 1
    probs[row, column] = counts / records.encoding.entries
    return SparseTargets(
        ids=torch.from_numpy(ids),
        probs=torch.from_numpy(probs),
        tail=torch.zeros(len(ends)),
        temperature=temperature,
        kind="sampled",
    )


def _float_chunks(logits: torch.Tensor, valid_vocab: int | None) -> Iterator[torch.Tensor]:
    import torch

    if logits.ndim != 2 or logits.shape[1] < (valid_vocab or 1):
        raise ValueError(f"logits [rows, vocab] expected, got {tuple(logits.shape)}")
    rows = max(1, CHUNK_ELEMENTS // logits.shape[1])
    for chunk in logits[:, :valid_vocab].detach().split(rows):
        chunk = chunk.float()
        # -inf is a mask; a row of nothing else, NaN or +inf is a broken forward pass.
        if not bool(torch.isfinite(chunk.amax(1)).all()):
            raise UserError(
                "the teacher's logits are not finite",
                remedy="label with the teacher in float32 or bfloat16; float16 overflows",
            )
        yield chunk


def _stack(chunks: list[torch.Tensor], trailing: tuple[int, ...]) -> np.ndarray:
    import torch

    joined = torch.cat(chunks) if chunks else torch.zeros(0, *trailing)
    array: np.ndarray = joined.cpu().numpy()
    return array
