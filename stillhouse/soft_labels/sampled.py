"""`sampled`: ids drawn in proportion to their probability, three bytes each, without bias.

The draws come from the whole distribution, so that its tail is in them: the expected gradient is
that of all tokens, which no top-k can offer. After "Sparse Logit Sampling: Accelerating Knowledge
Distillation in LLMs" (Anshumann et al., ACL 2025).

A student with a pruned vocabulary never sees the draws of tokens that it lacks
(`SparseTargets.remap`). Their share is known, but there is nothing to put it on: a bucket of "all
that was not drawn" would hold other tokens each time, and its gradient would be biased for any
fixed target. So nothing is renormalised, and a row weighs as much as is left of it. With P the
teacher's mass on the student's tokens, the expected gradient is that of P times the divergence
from the teacher's distribution among these tokens: unbiased, and least where the teacher says what
the student can't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.errors import UserError
from stillhouse.soft_labels.head import require_finite
from stillhouse.soft_labels.records import LAST_IN_ROW, LabelEncoding, LabelRecords, as_array
from stillhouse.soft_labels.targets import SparseTargets

if TYPE_CHECKING:
    import numpy as np
    import torch

# A drawn id, how often it was drawn (less one), and whether it is the last of its row share 24
# bits: a row takes only as many entries as it has distinct ids.
ID_BITS = 18
COUNT_BITS = 5
MAX_VOCABULARY = 1 << ID_BITS
MAX_DRAWS = 1 << COUNT_BITS

BLOCK = 256  # tokens whose mass is added up first
BELOW_ONE = 1 - 2**-40


def require_room(vocabulary: int) -> None:
    """Raise `UserError` where a token's id would not fit its 18 bits."""
    if vocabulary > MAX_VOCABULARY:
        raise UserError(
            f"a vocabulary of {vocabulary} is too large for sampled soft labels, which hold ids "
            f"below {MAX_VOCABULARY}",
            remedy="set `soft_labels.encoding` to top_k or hidden for this teacher.",
        )


def encode_sampled(
    logits: torch.Tensor,
    temperature: float,
    *,
    draws: int = 12,
    shifts: torch.Tensor | None = None,
) -> LabelRecords:
    """Draw ids from softmax(logits / temperature), float32[rows, vocab], without bias.

    A token of probability p is drawn floor(draws * p) or one more times, draws * p in
    expectation. This is systematic sampling (Madow, 1949): one random number a row, of `shifts`
    (float64[rows], each in [0, 1), by default new ones), moves `draws` evenly spaced marks along
    the cumulated distribution. No other unbiased count varies less a token, and nothing but the
    ids and counts has to be kept. At most 3 * draws bytes a row, less where the teacher is sure.

    Raises UserError as `require_room` does, and where logits are not finite.
    """
    import torch

    require_room(logits.shape[1])
    if not 1 <= draws <= MAX_DRAWS:
        raise ValueError(f"draws must be between 1 and {MAX_DRAWS}: {draws}")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive: {temperature}")
    if shifts is None:
        shifts = torch.rand(len(logits), dtype=torch.float64)
    marks = (torch.arange(draws) + shifts[:, None]) / draws
    ids = _at_marks(logits, temperature, marks.to(logits.device))
    return LabelRecords(
        LabelEncoding("sampled", draws, (float(temperature),)),
        {"draws": _packed(as_array(ids, "int64"))},
    )


def _at_marks(logits: torch.Tensor, temperature: float, marks: torch.Tensor) -> torch.Tensor:
    """Ids [rows, marks] where the cumulated distribution passes each of `marks`, which ascend.

    To cumulate a whole vocabulary in float64 would cost as much as a tenth of the teacher. A mark
    is looked for among the masses of blocks first, then in its block. Sums in a block round like
    any float32; only sums of many blocks would shift mass between late tokens, and are float64.
    """
    import torch

    rows, vocabulary = logits.shape
    blocks = -(-vocabulary // BLOCK)
    scaled = logits.new_full((rows, blocks * BLOCK), -torch.inf)
    torch.div(logits, temperature, out=scaled[:, :vocabulary])
    mass = scaled.softmax(1).view(rows, blocks, BLOCK)
    ends = mass.sum(2).double().cumsum(1)
    require_finite(ends[:, -1])
    # Below the end, and searched from the right: never on what has no mass.
    marks = marks.clamp_max(BELOW_ONE) * ends[:, -1:]
    block = torch.searchsorted(ends, marks, right=True)
    starts = torch.nn.functional.pad(ends, (1, 0))
    start, end = starts.gather(1, block), ends.gather(1, block)
    within = mass.gather(1, block[:, :, None].expand(-1, -1, BLOCK)).double().cumsum(2)
    place = ((marks - start) / (end - start)).clamp(0.0, BELOW_ONE)[:, :, None] * within[:, :, -1:]
    found: torch.Tensor = block * BLOCK + torch.searchsorted(within, place, right=True)[:, :, 0]
    return found


def _packed(ids: np.ndarray) -> np.ndarray:
    """uint8[distinct draws, 3] of ids [rows, draws], which ascend in each row."""
    import numpy as np

    # Equal ids are neighbours: each run of them becomes one entry.
    starts_run = np.ones(ids.shape, dtype=bool)
    starts_run[:, 1:] = ids[:, 1:] != ids[:, :-1]
    starts = np.flatnonzero(starts_run)
    counts = np.diff(starts, append=ids.size)
    row = starts // ids.shape[1]
    last = np.append(row[1:] != row[:-1], True) if len(row) else np.zeros(0, dtype=bool)
    words = ids.reshape(-1)[starts] | (counts - 1) << ID_BITS | last * (LAST_IN_ROW << 16)
    return np.ascontiguousarray(words.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3])


def decode_sampled(records: LabelRecords, temperature: float) -> SparseTargets:
    """The shares of the draws; they say nothing of what was not drawn, so no tail is left."""
    import numpy as np
    import torch

    packed = records.arrays["draws"].astype(np.int64)
    words = packed[:, 0] | packed[:, 1] << 8 | packed[:, 2] << 16
    ends = records.row_ends()
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
