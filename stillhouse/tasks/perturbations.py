"""Small changes of a text that change nothing of what it says: what a model should not mind.

Each function is given a text, the pieces that must stay as they are, and a source of chance; it
returns None where it has nothing to change. (Ribeiro, Wu, Guestrin and Singh 2020, "Beyond
Accuracy: Behavioral Testing of NLP Models with CheckList".)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from stillhouse.tasks.edge_texts import FOOTER, JARGON, LETTERS

Perturbation = Callable[[str, Sequence[str], Random], "str | None"]

WORD = re.compile(r"[^\W\d_]{4,}")
# One word in so many gets a typo, and so much of a text's end is cut off.
WORDS_PER_TYPO = 6
CUT_OFF = 0.15


def typos(text: str, kept: Sequence[str], random: Random) -> str | None:
    """Letters swapped or left out, within words and never at their beginning."""
    found = [m for m in WORD.finditer(text) if not _within(m.start(), m.end(), text, kept)]
    if not found:
        return None
    chosen = random.sample(found, max(1, len(found) // WORDS_PER_TYPO))
    for match in sorted(chosen, key=lambda m: -m.start()):
        at = random.randrange(match.start() + 1, match.end() - 1)
        swapped = text[at + 1] + text[at]
        changed = swapped if swapped != text[at : at + 2] and random.random() < 0.5 else text[at]
        text = text[:at] + changed + text[at + 2 :]
    return text


def case(text: str, kept: Sequence[str], random: Random) -> str | None:
    """All small letters, or all capitals."""
    change = str.lower if random.random() < 0.5 else str.upper
    changed = _outside(text, kept, change)
    return changed if changed != text else None


def white_space(text: str, kept: Sequence[str], random: Random) -> str | None:
    """Wider gaps, and lines broken elsewhere."""

    def wider(piece: str) -> str:
        return re.sub(r" ", lambda _: random.choice((" ", "  ", "\n", "\u00a0")), piece)

    return f"\n  {_outside(text, kept, wider)} \n"


def jargon(text: str, kept: Sequence[str], random: Random) -> str | None:  # noqa: ARG001
    """Words as people write them in a hurry, from a short table."""
    words = "|".join(sorted(map(re.escape, JARGON), key=len, reverse=True))

    def written(piece: str) -> str:
        return re.sub(rf"(?i)\b(?:{words})\b", lambda found: JARGON[found[0].lower()], piece)

    changed = _outside(text, kept, written)
    return changed if changed != text else None


def other_language(text: str, kept: Sequence[str], random: Random) -> str | None:  # noqa: ARG001
    """A letter that begins and ends in another language."""
    opening, closing = random.choice(LETTERS)
    return f"{opening}\n\n{text}\n\n{closing}"


def cut_off(text: str, kept: Sequence[str], random: Random) -> str | None:  # noqa: ARG001
    """The last words are missing, as where a form has too little room; never what must stay."""
    end = max([text.rfind(piece) + len(piece) for piece in kept if piece in text], default=0)
    at = text.rfind(" ", 0, max(end, int(len(text) * (1 - CUT_OFF))) + 1)
    return text[:at] if end <= at < len(text) and at > 0 else None


def very_long(text: str, characters: int) -> str:
    """The text, and so many characters below it that say nothing."""
    return f"{text}\n\n{FOOTER * (characters // len(FOOTER) + 1)}"


PERTURBATIONS: dict[str, Perturbation] = {
    "typos": typos,
    "case": case,
    "white space": white_space,
    "jargon": jargon,
    "other language": other_language,
    "cut off": cut_off,
}


def _spans(text: str, kept: Sequence[str]) -> list[tuple[int, int]]:
    return [
        (m.start(), m.end()) for piece in kept if piece for m in re.finditer(re.escape(piece), text)
    ]


def _within(start: int, end: int, text: str, kept: Sequence[str]) -> bool:
    return any(start < last and end > first for first, last in _spans(text, kept))


def _outside(text: str, kept: Sequence[str], change: Callable[[str], str]) -> str:
    """The text changed where no kept piece stands."""
    pieces = sorted({p for p in kept if p}, key=len, reverse=True)
    if not pieces:
        return change(text)
    parts = re.split(f"({'|'.join(map(re.escape, pieces))})", text)
    return "".join(part if place % 2 else change(part) for place, part in enumerate(parts))
