"""How people type: slips of the finger, lost capitals, light edits when they send it again."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

WORD = re.compile(r"[a-z]{5,}")


def words(text: str) -> list[str]:
    """The lower-cased words of `text`."""
    return re.findall(r"[a-z0-9']+", text.lower())


def shingle_overlap(one: str, two: str, size: int = 5) -> float:
    """Jaccard similarity of the sets of word `size`-grams."""
    sets = []
    for text in (one, two):
        w = words(text)
        sets.append({tuple(w[i : i + size]) for i in range(max(1, len(w) - size + 1))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def typo(text: str, keep: Iterable[str], rng: random.Random) -> str:
    """`text` with one slip in a longer lower-case word that is part of no value in `keep`."""
    kept = " ".join(keep).lower()
    places = [m for m in WORD.finditer(text) if m[0] not in kept and _free(text, m)]
    if not places:
        return text
    match = rng.choice(places)
    word = match[0]
    at = rng.randrange(1, len(word) - 1)
    slip = rng.choice(["swap", "drop", "double"])
    if slip == "swap":
        wrong = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif slip == "drop":
        wrong = word[:at] + word[at + 1 :]
    else:
        wrong = word[:at] + word[at] + word[at:]
    return text[: match.start()] + wrong + text[match.end() :]


def _free(text: str, match: re.Match[str]) -> bool:
    """Whether the word stands by itself, not inside an address or a capitalised name."""
    around = text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
    return not re.search(r"[\w@.-]", around.rstrip("."))


def casual(parts: list[str], values: dict[str, str], rng: random.Random) -> str:
    """The sentences joined into a message, as carelessly as about a third of people type."""
    text = " ".join(parts)
    if rng.random() < 0.15:
        for _ in range(rng.choice([1, 1, 2, 3])):
            text = typo(text, values.values(), rng)
    if rng.random() < 0.10 and not text.startswith(tuple(values.values())):
        text = text[0].lower() + text[1:]
    if rng.random() < 0.08:
        text = text.rstrip(".")
    if rng.random() < 0.10:
        text = text.replace("'", "")
    if rng.random() < 0.05:
        text = text.replace(". ", "... ", 1)
    return text
