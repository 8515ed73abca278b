"""How much of a canary a model keeps: its exposure (Carlini et al., "The Secret Sharer", 2019).

The exposure is log2 |R| - log2 rank: by how many bits the model shortens the search for a secret of
the space R. Its rank among all of R is not counted but estimated: of m secrets drawn evenly from
R, k are likelier than the canary's own, so the rank is about |R| (k + 1) / (m + 1), and the
exposure log2 (m + 1) - log2 (k + 1), at most log2 (m + 1). Its interval is that of the share k / m
by Clopper and Pearson. A model that never saw the secret gives it any rank as likely, and 1.44 bits
on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING

from stillhouse.audit.bounds import Bounded, mean_exposure, rate
from stillhouse.audit.scores import score_tokens
from stillhouse.lm.prompts import Encoder
from stillhouse.student.canaries import Canary, bits, others

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Exposed:
    """A canary's exposure in bits with its interval, and its mean log-probability a token."""

    key: str
    form: str
    written: bool
    repeats: int
    bits: float
    exposure: Bounded
    log_prob: float


def exposures(
    model: PreTrainedModel,
    encoder: Encoder,
    canaries: Sequence[Canary],
    *,
    candidates: int,
    seed: int,
) -> list[Exposed]:
    """The exposure of each canary, against so many secrets that it might have had."""
    import numpy as np

    found = []
    for canary in canaries:
        secrets = [canary.secret, *others(canary, candidates, seed)]
        # The place alone leads to the secret: whatever else a prompt says, all share it.
        scored = score_tokens(
            model,
            canary.spelled(encoder, secrets),
            pad_id=encoder.tokenizer.pad_token_id,
            vocabulary=len(encoder.tokenizer),
            batch_size=candidates + 1,
            description=f"Exposure of {canary.key}",
        )
        own, *rest = [float(s.log_probs.sum()) for s in scored]
        # Ties count half: a model that says the same of all secrets tells none.
        likelier = float((np.array(rest) > own).sum() + (np.array(rest) == own).sum() / 2)
        found.append(
            Exposed(
                canary.key, canary.form, canary.written, canary.repeats,
                bits=bits(canary.form),
                exposure=exposure_of(likelier, candidates),
                log_prob=float(scored[0].log_probs.mean()),
            )
        )  # fmt: skip
    return found


def exposure_of(likelier: float, candidates: int) -> Bounded:
    """The exposure of a secret than which so many of the candidates are likelier."""
    share = rate(round(likelier), candidates)
    most = log2(candidates + 1)
    high = most if share.low == 0 else min(most, -log2(share.low))
    value = log2(candidates + 1) - log2(likelier + 1)
    return Bounded(value, min(value, max(0.0, -log2(share.high))), max(value, high), candidates)


def by_repeats(found: Sequence[Exposed]) -> dict[tuple[bool, int], Bounded]:
    """The mean exposure of canaries in answers (True) and in texts, by how often they stood."""
    groups: dict[tuple[bool, int], list[Bounded]] = {}
    for one in sorted(found, key=lambda e: (e.written, e.repeats)):
        groups.setdefault((one.written, one.repeats), []).append(one.exposure)
    return {
        group: mean_exposure([e.value for e in of], log2(max(e.tried for e in of) + 1))
        for group, of in groups.items()
    }
