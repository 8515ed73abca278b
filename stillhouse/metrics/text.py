"""How well a written answer matches the gold one: from the strings alone, all within 0..1.

Each function knows one gold answer a text. Empty answers say that there is none.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_WORD = re.compile(r"[^\W_]+")


def normalise_answer(text: str) -> str:
    """Lower case, without punctuation, English articles and more than single spaces.

    A text that is nothing else, such as the grade "A" or a minus, stays as it is: it is an answer,
    and no other one.

    (Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text".) Beside
    ASCII's punctuation that of Unicode goes too, as typographic quotes are common in documents
    (Lewis et al. 2020, "MLQA: Evaluating Cross-lingual Extractive Question Answering"). Other ASCII
    texts come out as in SQuAD's own evaluation.
    """
    kept = "".join(c for c in text.lower() if not _is_punctuation(c))
    return " ".join(_ARTICLES.sub(" ", kept).split() or text.lower().split())


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def exact_match(candidate: str, gold: str) -> bool:
    """Whether both are the same once normalised."""
    return normalise_answer(candidate) == normalise_answer(gold)


def token_f1(candidate: str, gold: str) -> float:
    """F1 over the words that both have, as often as both have them (Rajpurkar et al. 2016).

    Where either has no word: 1 if both have none, else 0 (Rajpurkar et al. 2018, "Know What You
    Don't Know: Unanswerable Questions for SQuAD").
    """
    said, wanted = normalise_answer(candidate).split(), normalise_answer(gold).split()
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def rouge_l(candidate: str, reference: str) -> float:
    """ROUGE-L's F: how long a sequence of words both have in this order, gaps allowed.

    (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", with recall and precision
    weighed alike.) Words are runs of letters and digits in lower case, without stemming: for ASCII
    the words of the package rouge-score. In a script without spaces a whole phrase is one word;
    read chrF there. 0 where either has no word.
    """
    said, wanted = (_WORD.findall(text.lower()) for text in (candidate, reference))
    if not said or not wanted:
        return 0.0
    return 2 * longest_common_subsequence(said, wanted) / (len(said) + len(wanted))


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Its length, by the bits of one long integer instead of a table of len(first) x len(second).

    (Hyyrö 2004, "Bit-parallel LCS-length computation revisited".)
    """
    places: dict[str, int] = {}
    for i, item in enumerate(first):
        places[item] = places.get(item, 0) | 1 << i
    everywhere = (1 << len(first)) - 1
    # A bit of `free` is 0 where the length grows by one within `first`, for `second` so far.
    free = everywhere
    for item in second:
        met = free & places.get(item, 0)
        free = (free + met | free - met) & everywhere
    return len(first) - free.bit_count()


def chrf(candidate: str, reference: str) -> float:
    """chrF of one text: F2 over its character n-grams, of lengths up to 6.

    (Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"; as sacrebleu
    computes it.)
    """
    return float(_chrf().sentence_score(candidate, [reference]).score) / 100


def corpus_chrf(candidates: Sequence[str], references: Sequence[str]) -> float:
    """chrF of all texts together: their n-grams are counted before F is taken.

    Raises ValueError when they are empty or misaligned.
    """
    if len(candidates) != len(references) or not candidates:
        raise ValueError(f"need as many texts; got {len(candidates)} and {len(references)}")
    found = _chrf().corpus_score(list(candidates), [list(references)])
    return float(found.score) / 100


def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()


@dataclass(frozen=True)
class Abstention:
    """Where it is said that there is no answer: None where there is nothing to take a share of.

    `precision`: of the texts left unanswered, the share that have no answer; `recall`: of the texts
    without an answer, the share left unanswered.
    """

    without_answer: int
    left_unanswered: int
    precision: float | None
    recall: float | None


def abstention(candidates: Sequence[str], gold: Sequence[str]) -> Abstention:
    """Compare where candidates and gold answers are empty (white space aside)."""
    said = [not text.strip() for text in candidates]
    true = [not text.strip() for text in gold]
    both = sum(a and b for a, b in zip(said, true, strict=True))
    return Abstention(
        without_answer=sum(true),
        left_unanswered=sum(said),
        precision=both / sum(said) if any(said) else None,
        recall=both / sum(true) if any(true) else None,
    )
