"""Personal data out, pseudonyms in: the same value gets the same pseudonym in every document.

A text is scanned, and scanned again with pseudonyms in place of what was found, whose form is
known. What the project's operators put there instead (`operators.py`) is written last: so the same
is found whatever stands there, and nothing that was written is taken for a find.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from stillhouse.corpus.pii.agreement import agreed
from stillhouse.corpus.pii.detect import Detector
from stillhouse.corpus.pii.keyed import normal
from stillhouse.corpus.pii.names import (
    beside,
    like_a_name,
    lines_of,
    names_in_addresses,
    repeated_names,
)
from stillhouse.corpus.pii.operators import Operators, in_force, stands_for_one, untouchable
from stillhouse.corpus.pii.parts import find_apart
from stillhouse.corpus.pii.recognizers import listed_pattern
from stillhouse.corpus.pii.settings import DEFAULT_THRESHOLD, LISTED, MaskSettings
from stillhouse.corpus.pii.spans import Finding
from stillhouse.corpus.pii.vault import VaultEntry, key_id
from stillhouse.storage.files import digest

# Texts that are held at a time.
BLOCK = 256

# How often masked texts are scanned again, and what is found is masked as well.
MORE_ROUNDS = 2


@dataclass(frozen=True)
class Entity:
    """What was found: `[start, end)` in the original text, and what stands there now."""

    kind: str
    start: int
    end: int
    score: float
    pseudonym: str


@dataclass(frozen=True)
class Masked:
    """The masked text, and what was masked in the order of the original text."""

    text: str = field(repr=False)
    entities: list[Entity]

    def then(self, again: Masked) -> Masked:
        """Both in one: `again` is what masking this text once more gave."""
        # Where in this text each pseudonym ends, and by how much it and those before it grew.
        grown = list(
            itertools.accumulate(len(e.pseudonym) - (e.end - e.start) for e in self.entities)
        )
        ends = [e.end + by for e, by in zip(self.entities, grown, strict=True)]

        def place(at: int) -> int:
            """Where the character at `at`, which is in no pseudonym, stood in the original."""
            before = bisect_right(ends, at)
            return at - (grown[before - 1] if before else 0)

        later = [replace(e, start=place(e.start), end=place(e.end - 1) + 1) for e in again.entities]
        return Masked(again.text, sorted([*self.entities, *later], key=lambda e: e.start))


Cleaned = tuple[Masked, Masked]
"""A masked text, and what one more scan of it finds."""


class Masker:
    """Masks texts under `settings`; `key` makes the pseudonyms and must stay secret.

    Raises:
        UserError: an unknown kind or model, or a wrong pattern.
    """

    def __init__(self, settings: MaskSettings, key: bytes) -> None:
        self.settings = settings
        self._key = key
        self._allowed = _any_of(settings.allow_list)
        chosen, kinds = settings.operator, settings.kinds()
        self._operators = Operators(chosen, key, settings.syllables)
        self._untouched = untouchable(chosen, kinds, settings.syllables)
        self._pseudonyms_stay = in_force(chosen, kinds) == "pseudonymize"

    @cached_property
    def _detector(self) -> Detector:
        return Detector(self.settings)

    def fingerprint(self) -> str:
        """As the settings', and changes with the key too; doesn't reveal the key."""
        return digest(self.settings.fingerprint(), key_id(self._key))

    def mask(self, text: str) -> Masked:
        """One text; many are faster together, with `mask_many`."""
        return next(self.mask_many([text]))

    def mask_many(self, texts: Iterable[str]) -> Iterator[Masked]:
        """The texts masked, in their order."""
        texts = iter(texts)
        while block := list(itertools.islice(texts, BLOCK)):
            masked = self._mask_block(block)
            yield from (self._written(*both) for both in zip(block, masked, strict=True))

    def clean_many(self, texts: Iterable[str]) -> Iterator[Cleaned]:
        """Each text masked until a scan finds nothing more, and what the last scan still found.

        See `pool.clean_in_processes` for many texts.
        """
        texts = iter(texts)
        while block := list(itertools.islice(texts, BLOCK)):
            cleaned = self.until_clean(self._mask_block(block))
            for text, (masked, left) in zip(block, cleaned, strict=True):
                yield self._written(text, masked), left

    def until_clean(self, texts: list[Masked]) -> list[Cleaned]:
        """The texts with what more scans find masked too, and what the last scan found in each;
        in all of them stand pseudonyms.

        A recognizer of names reads a text otherwise once its neighbours are pseudonyms. It may
        then find what it missed, or take a harmless word for part of a name; both are masked, if
        what is found beside a pseudonym looks like a name by itself.
        """
        texts = list(texts)
        left = self._mask_block([text.text for text in texts])
        for _ in range(MORE_ROUNDS):
            unclean = [i for i, found in enumerate(left) if found.entities]
            for i in unclean:
                texts[i] = texts[i].then(left[i])
            again = self._mask_block([texts[i].text for i in unclean])
            for i, found in zip(unclean, again, strict=True):
                left[i] = found
        return list(zip(texts, left, strict=True))

    def residual(self, text: str) -> list[Entity]:
        """What still looks like personal data in a masked text; empty is good.

        A recognizer of names sees other names in a text without the first ones: expect a few
        false finds, and look at the share of texts that have any.
        """
        return self.mask(text).entities

    def pseudonym(self, kind: str, value: str) -> str:
        """What stands for this value, whatever its case and spacing, while texts are scanned."""
        return self._operators.pseudonym(kind, value)

    def _written(self, original: str, masked: Masked) -> Masked:
        """The text with what its kind's operator writes in place of each pseudonym."""
        if self._pseudonyms_stay:
            return masked
        parts, entities, end = [], [], 0
        for entity in masked.entities:
            value = original[entity.start : entity.end]
            stands = self._operators.written(entity.kind, value, original)
            parts += [original[end : entity.start], stands]
            entities.append(replace(entity, pseudonym=stands))
            end = entity.end
        return Masked("".join([*parts, original[end:]]), entities)

    def _mask_block(self, texts: list[str]) -> list[Masked]:
        distinct = list(dict.fromkeys(texts))
        masked = {
            text: self._masked(text, findings)
            for text, findings in zip(distinct, find_apart(self._detector, distinct), strict=True)
        }
        return [masked[text] for text in texts]

    def _masked(self, text: str, findings: list[Finding]) -> Masked:
        ours = [match.span() for match in self._untouched.finditer(text)]
        left = (part for finding in findings for part in beside(finding, ours))
        by_line = [part for finding in left for part in lines_of(text, finding)]
        wanted = [f for f in by_line if self._counts(text, f)]
        if "PERSON" in self.settings.entities:
            wanted += [f for f in names_in_addresses(text, wanted) if self._counts(text, f)]
            wanted += [f for f in repeated_names(text, wanted) if self._asked_for(text, f)]
        found = agreed(text, wanted, ours, lambda f: self._asked_for(text, f))
        entities = [
            Entity(f.kind, f.start, f.end, f.score, self.pseudonym(f.kind, text[f.start : f.end]))
            for f in found
        ]
        parts, end = [], 0
        for entity in entities:
            parts += [text[end : entity.start], entity.pseudonym]
            end = entity.end
        return Masked("".join([*parts, text[end:]]), entities)

    def _asked_for(self, text: str, finding: Finding) -> bool:
        """Sure enough, and not allowed."""
        threshold = self.settings.thresholds.get(finding.kind, DEFAULT_THRESHOLD)
        value = normal("", text[finding.start : finding.end])
        allowed = finding.kind != LISTED and self._allowed.fullmatch(value)
        return finding.score >= threshold and not allowed

    def _counts(self, text: str, finding: Finding) -> bool:
        value = text[finding.start : finding.end]
        if not self._asked_for(text, finding):
            return False
        if finding.kind == "PHONE_NUMBER":
            return sum(c.isdigit() for c in value) >= 6
        return finding.kind != "PERSON" or like_a_name(value)


def vault_entries(original: str, masked: Masked) -> list[VaultEntry]:
    """What the vault should know of a masked text."""
    return [
        VaultEntry(entity.pseudonym, entity.kind, original[entity.start : entity.end])
        for entity in masked.entities
        if stands_for_one(entity.pseudonym)
    ]


def _any_of(values: Iterable[str]) -> re.Pattern[str]:
    """Any of the values, in their normal form, with `*` and `?`."""
    return re.compile("|".join(listed_pattern(normal("", value)) for value in values) or r"(?!)")
