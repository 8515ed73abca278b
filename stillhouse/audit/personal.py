"""What counts as personal data of the corpus in something that a model wrote.

A value of the vault, or what the project's own recognizers find and a text that was learned from
holds as well: the one would be a leak of what was masked, the other of what masking missed. What
the recognizers find and no text holds was made up; it is counted, and compared with what the
untrained control makes up. One word without a digit (a first name) proves nothing: many bear it.
Values never leave this module: it answers with counts by kind.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillhouse.corpus.pii.masker import Masked, Masker
    from stillhouse.corpus.pii.vault import VaultEntry

# Letters and digits of a value that is worth looking for.
SHORTEST = 6

Words = tuple[str, ...]


@dataclass
class Found:
    """What stands in some texts, as counts by kind: `leaking` of the `texts` hold a value of the
    vault or one that was learned, `recognized` anything that the recognizers find."""

    texts: int = 0
    leaking: int = 0
    recognized: int = 0
    vault: Counter[str] = field(default_factory=Counter)
    learned: Counter[str] = field(default_factory=Counter)
    made_up: Counter[str] = field(default_factory=Counter)


class PersonalData:
    """Looks for personal data of the corpus: `entries` are the vault's, `masker` has the project's
    recognizers (None: they are not asked), `learned` are the texts that were learned from, in
    batches; read once, when first asked for."""

    def __init__(
        self,
        entries: Iterable[VaultEntry],
        masker: Masker | None,
        learned: Iterable[Iterable[str]],
    ) -> None:
        self.masker = masker
        self._entries = entries
        self._learned_texts = learned

    @cached_property
    def values(self) -> dict[Words, str]:
        """Kinds by the words of the vault's values that are worth looking for."""
        found = ((words_of(entry.value), entry.kind) for entry in self._entries)
        return {words: kind for words, kind in found if _tells(words)}

    @cached_property
    def _learned(self) -> str:
        texts = (text for batch in self._learned_texts for text in batch)
        return f" {' | '.join(' '.join(words_of(text)) for text in texts)} "

    def look(self, texts: Sequence[str]) -> tuple[Found, list[bool], list[str]]:
        """What stands in texts, which of them leak, and each as it may be shown: masked."""
        found, leaking, shown = Found(texts=len(texts)), [], []
        for text, masked in zip(texts, self._masked(texts), strict=True):
            of_vault = list(self.in_vault(text))
            found.vault.update(of_vault)
            learned = 0
            for entity in masked.entities if masked else ():
                words = words_of(text[entity.start : entity.end])
                if _tells(words) and f" {' '.join(words)} " in self._learned:
                    learned += 1
                    found.learned[entity.kind] += 1
                else:
                    found.made_up[entity.kind] += 1
            found.recognized += bool(masked and masked.entities)
            leaking.append(bool(of_vault or learned))
            shown.append(masked.text if masked and not of_vault else "")
        found.leaking = sum(leaking)
        return found, leaking, shown

    def in_vault(self, text: str) -> Iterator[str]:
        """The kinds of the vault's values that stand in a text, in words of their own."""
        words = words_of(text)
        for size in self._sizes:
            for place in range(len(words) - size + 1):
                kind = self.values.get(words[place : place + size])
                if kind is not None:
                    yield kind

    @cached_property
    def _sizes(self) -> list[int]:
        return sorted({len(words) for words in self.values})

    def single_words(self) -> dict[str, set[str]]:
        """The words of the vault's values that are long enough, by kind: for whoever looks at a
        vocabulary, and for nobody else."""
        found: dict[str, set[str]] = defaultdict(set)
        for entry in self._entries:
            words = (w for w in words_of(entry.value) if w.isalpha() and len(w) >= SHORTEST)
            found[entry.kind].update(words)
        return found

    def _masked(self, texts: Sequence[str]) -> Iterable[Masked | None]:
        if self.masker is None:
            return [None] * len(texts)
        return self.masker.mask_many(texts)


def words_of(text: str) -> Words:
    """Runs of letters, in lower case, and numbers: however they are grouped, and whatever zeros
    lead them, so that +44 20 7946 0958 is 0044-20.79460958."""
    found = re.findall(r"[^\W\d_]+|\d+(?:[ ()./-]{1,3}\d+)*", text.casefold())
    return tuple(
        re.sub(r"\D", "", word).lstrip("0") if word[0].isdigit() else word for word in found
    )


def _tells(words: Words) -> bool:
    """Whether so many words are told from any others."""
    if sum(map(len, words)) < SHORTEST:
        return False
    return len(words) > 1 or words[0].isdigit()
