"""From what stands on a document to a level: only whole lines and whole cells mean anything.

"The parties keep this confidential" marks nothing; "Acme AG | Vertraulich | Seite 3 von 9" does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from stillhouse.config.corpus import CONFIDENTIALITY_ORDER, Confidentiality
from stillhouse.corpus.confidentiality.marks import EDGE, PROPERTY
from stillhouse.corpus.confidentiality.words import LABEL_KEYS, LEVELS, WEAK, key

# Parts of a line: cells, pieces of a footer, what stands in brackets.
BREAKS = re.compile(
    r"[|\t•·‣;；|【】〔〕《》\[\]{}<>]|\s[-\u2010-\u2015−/]{1,3}\s|\*{2,}|/{2,}|\s{3,}"
)
FINER = re.compile(r"[,()（）、:：/／\\]|\s[-\u2010-\u2015−]{1,3}\s?")
# A form's boxes; what is not ticked is not meant.
BOXES = re.compile(r"([☐☑☒✓✔✗✘□■▣○●◯◉]|\[[ xX✓]?\]|\([xX ]\))")
TICKED = set("☑☒✓✔✗✘■▣●◉xX")
LABELLED = re.compile(r"^\s*([^:：=|]{2,60}?)\s*[:：=|]\s*(.+)$")
NUMBERING = re.compile(
    r"^((page|seite|p|s|blatt|slide|folie|ページ|頁|หน้า|ver|version|v)\.?\s*)?\d[\d\s./-]*"
    r"((of|von|sur|de|/|จาก)\s*\d+)?$|"
    r"\b(page|seite|blatt|slide|folie|หน้า)\s*\d+(\s*(of|von|sur|de|/|จาก)\s*\d+)?\s*$",
    re.IGNORECASE,
)
# Names of a file's properties that hold a level; the others hold words, of which one may be one.
TELLING = re.compile(
    r"classif|klassifi|sensitiv|confidential|vertraulich|einstufung|schutzklasse|geheim|securitylabel"
    r"|sicherheitsstufe|msip|dissemination|機密|秘密|格付|ชั้นความลับ|protectivemarking",
)
NEGATIONS = {"not", "non", "no", "nicht", "kein", "keine", "nie", "pas", "never", "un"}
OTHER_WORDS = 8  # beside a marking in a line of text; more is a sentence
AFFIX_WORDS = 4  # "Acme Robotics Ltd Confidential"
VALUE_WORDS = 10
GRAM = 8
LEGEND = 3  # so many levels in one place explain levels, and are none


_LABELS = tuple(LABEL_KEYS)


@dataclass(frozen=True)
class Lookup:
    """What markings mean, by `key`; `own` are those that a project names itself."""

    levels: Mapping[str, Confidentiality]
    own: frozenset[str] = frozenset()

    def get(self, text: str) -> Confidentiality | None:
        return self.levels.get(key(text))

    def strong(self, text: str) -> Confidentiality | None:
        """None for a word that may be about anything, unless the project says what it means."""
        found = key(text)
        return None if found in WEAK and found not in self.own else self.levels.get(found)


def highest(levels: Iterable[Confidentiality | None]) -> Confidentiality | None:
    """None where there is none."""
    return max((x for x in levels if x), key=CONFIDENTIALITY_ORDER.index, default=None)


def lookup_with(own: Mapping[str, Confidentiality]) -> Lookup:
    """What markings mean, a project's own among them: these can raise a level and not lower it."""
    found = dict(LEVELS)
    for text, level in own.items():
        found[key(text)] = highest([found.get(key(text)), level]) or level
    return Lookup(found, frozenset(map(key, own)))


def level_of(place: str, name: str, text: str, lookup: Lookup) -> Confidentiality | None:
    """The level that a mark stands for (see `marks.Mark`), None for one that is no marking."""
    if place == PROPERTY:
        if TELLING.search(key(name)):
            return _in_value(text, lookup)
        return highest(lookup.strong(piece) for piece in re.split(r"[,;|:\[\]()【】、]", text))
    return _in_line(text, lookup, edge=place == EDGE)


def level_of_folder(name: str, lookup: Lookup) -> Confidentiality | None:
    """The level that the name of a folder stands for: "Vertraulich", "03_Strictly-Confidential"."""
    return lookup.strong(name) or lookup.strong(re.sub(r"^[\d\W_]+|[\d\W_]+$", "", name))


def _in_line(line: str, lookup: Lookup, *, edge: bool) -> Confidentiality | None:
    plain = lookup.get if edge else lookup.strong
    if whole := plain(line):
        return whole
    if BOXES.search(line):
        return _ticked(line, lookup)
    cells = [cell.strip() for cell in BREAKS.split(line) if cell.strip()]
    if labelled := _labelled(line, cells, lookup):
        return labelled
    if edge:
        cells = [piece for cell in cells for piece in _finer(cell, lookup)]
    found: list[Confidentiality] = []
    others = 0
    for cell in cells:
        cell = NUMBERING.sub("", cell).strip()
        level = plain(cell) or _beside_a_name(cell, lookup)
        if level:
            found.append(level)
        else:
            others += len(cell.split())
    if (not edge and others > OTHER_WORDS) or len(set(found)) >= LEGEND:
        return None
    return highest(found)


def _finer(cell: str, lookup: Lookup) -> list[str]:
    """The parts of a cell at smaller breaks, where it is no marking as it stands ("TLP:RED")."""
    if lookup.get(cell):
        return [cell]
    return [piece.strip() for piece in FINER.split(cell) if piece.strip()]


def _labelled(line: str, cells: list[str], lookup: Lookup) -> Confidentiality | None:
    """ "Classification: C3", also as two cells, or with nothing between."""
    whole = LABELLED.match(line)
    pairs = [*pairwise(cells), *((m[1], m[2]) for c in cells if (m := LABELLED.match(c)))]
    pairs += [(whole[1], whole[2])] if whole else []
    found = [_in_value(value, lookup) for label, value in pairs if key(label) in LABEL_KEYS]
    if not found:
        for cell in cells:
            squeezed = key(cell)
            if not squeezed.startswith(_LABELS):  # as nearly all: no need to look at each
                continue
            found += [
                lookup.get(squeezed.removeprefix(label))
                for label in LABEL_KEYS
                if squeezed.startswith(label)
            ]
    return highest(found)


def _in_value(value: str, lookup: Lookup) -> Confidentiality | None:
    """The highest level named in a value that is known to tell one: "Acme Highly Confidential"."""
    if whole := lookup.get(value):
        return whole
    if BOXES.search(value):
        return _ticked(value, lookup)
    pieces = [p for p in FINER.split(value) if p.strip()]
    exact = [lookup.get(piece) for piece in pieces]
    words = re.findall(r"[^\W_]+", value)
    if len(words) > VALUE_WORDS:
        return highest(exact)
    found, taken = list(exact), [False] * len(words)
    for size in range(min(GRAM, len(words)), 0, -1):
        for at in range(len(words) - size + 1):
            if any(taken[at : at + size]) or (at and words[at - 1].casefold() in NEGATIONS):
                continue
            if level := lookup.get(" ".join(words[at : at + size])):
                found.append(level)
                taken[at : at + size] = [True] * size
    return highest(found)


def _ticked(line: str, lookup: Lookup) -> Confidentiality | None:
    """Of a form's levels those with a cross; where none has one, nothing is said."""
    pieces = BOXES.split(line)
    boxes = pieces[1::2]
    return highest(
        lookup.get(text) for box, text in zip(boxes, pieces[2::2], strict=True) if set(box) & TICKED
    )


def _beside_a_name(cell: str, lookup: Lookup) -> Confidentiality | None:
    """ "Acme Robotics Ltd Confidential": a name before or behind it, all of it in capitals."""
    words = cell.split()
    if not 2 <= len(words) <= AFFIX_WORDS + GRAM or not all(_capital(w) for w in words):
        return None
    if any(word.casefold() in NEGATIONS for word in words):
        return None
    for beside in range(1, min(AFFIX_WORDS, len(words) - 1) + 1):
        for part in (words[beside:], words[:-beside]):
            level = lookup.get(" ".join(part))
            # "Acme Public Relations" and "Internal Audit" are departments.
            if level in ("confidential", "restricted") and _strong(part):
                return level
    return None


def _capital(word: str) -> bool:
    first = next((c for c in word if c.isalpha()), "")
    return not first or not first.islower() or word.casefold() in ("and", "und", "et", "&")


def _strong(words: list[str]) -> bool:
    """Words that name no department or thing beside a name, as "Private Bank" or "Secret Key"."""
    said = key(" ".join(words))
    return any(s in said for s in ("confiden", "vertraulich", "秘", "ลับ", "dienstgebrauch", "tlp"))
