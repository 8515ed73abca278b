"""Which of a document's lines are boilerplate, given which of them its source repeats.

That a line comes back is not enough: headings do, and so do greetings and the labels of forms. What
goes are runs of repeated lines, at a document's ends, or long ones in its midst; the shorter a run,
the more documents have to have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from stillhouse.corpus.cleanse.lines import LONG, Line, exact, shape_of, weight_of

# Words of a run, and the level (see repetition.py) that its lines have to have.
FEW, SOME = 4, 25
# A run between lines of the document's own has at least so many words, and the prose in all such
# runs is at most this share of it: versions of one document share more.
BETWEEN, BETWEEN_SHARE = 12, 0.3
# Lines of a document's own beyond a run that still counts as one at its end: "Retrieved from ...",
# a title above the menu. Such a run has at least so many words, and two lines.
BEYOND, NEAR_WORDS = 2, 6
# So much prose in one run is no boilerplate; a menu may be longer, of short lines.
MOST_PROSE = 400
# Letters that have to be left of a document.
LEFT = 10
# Headings with which a text may begin, in any of a source's documents.
HEADINGS = {
    *("summary", "abstract", "overview", "introduction", "background", "contents", "purpose"),
    *("scope", "description", "problem", "solution", "notes", "conclusion", "question"),
    *("answer", "symptoms", "cause", "resolution", "steps", "prerequisites", "zusammenfassung"),
    *("überblick", "übersicht", "einleitung", "hintergrund", "inhalt", "zweck", "beschreibung"),
    *("lösung", "hinweise", "fazit", "frage", "antwort", "ursache", "voraussetzungen"),
    *("schritte", "résumé", "sommaire", "contexte", "contenu", "objet", "problème", "remarques"),
    *("resumen", "introducción", "descripción", "problema", "solución", "notas", "sommario"),
    *("introduzione", "descrizione", "samenvatting", "inleiding", "beschrijving"),
    *("概要", "はじめに", "目的", "要約", "摘要", "概述", "简介", "目录", "สรุป", "บทนำ"),
}


@dataclass(frozen=True)
class Known:
    """What is known of a document besides its lines: `levels` of its repeated shapes, its title,
    and texts (of answers) that have to stay in it."""

    levels: Mapping[int, int]
    is_record: bool
    title: str = ""
    kept: Sequence[str] = ()


def boilerplate_of(lines: Sequence[Line], known: Known) -> list[range]:
    """Runs of lines that are boilerplate, by their numbers; none where nothing else would be
    left."""
    if not known.levels:
        return []
    levels = [_level(line, known) for line in lines]
    runs = [run for run in _runs(lines, levels) if _is_boilerplate(run, lines, levels, known)]
    total = sum(map(weight_of, lines))
    between = [run for run in runs if not _at_end(run, lines)]
    prose = (lines[n].letters for run in between for n in run if lines[n].letters >= LONG)
    if sum(prose) > BETWEEN_SHARE * total:
        runs = [run for run in runs if run not in between]
    gone = {n for run in runs for n in run}
    left = sum(line.letters for n, line in enumerate(lines) if n not in gone)
    return runs if left >= LEFT else []


def _level(line: Line, known: Known) -> int:
    level = known.levels.get(shape_of(line, digits=known.is_record), 0)
    if not level:
        return 0
    said = exact(line.text)
    # A title that others have too, but for a number.
    if said == exact(known.title) and level < 4:
        return 0
    if any(answer in said for answer in known.kept):
        return 0
    if line.is_field and level < 4:
        return 0  # a value that not all have says something
    return level


def _runs(lines: Sequence[Line], levels: Sequence[int]) -> Iterator[range]:
    """Repeated lines that follow each other; those that too few have for a run so short are taken
    out of it, until none is left or all have enough."""
    open_runs = list(_groups(range(len(lines)), [level > 0 for level in levels]))
    while open_runs:
        run = open_runs.pop(0)
        needed = _needed(sum(lines[n].words for n in run))
        enough = [levels[n] >= needed for n in run]
        if all(enough):
            yield run
        else:
            open_runs += _groups(run, enough)


def _groups(numbers: range, chosen: Sequence[bool]) -> Iterator[range]:
    for is_chosen, group in groupby(zip(numbers, chosen, strict=True), key=lambda pair: pair[1]):
        if is_chosen:
            found = [number for number, _ in group]
            yield range(found[0], found[-1] + 1)


def _needed(words: int) -> int:
    return 3 if words < FEW else 2 if words < SOME else 1


def _at_end(run: range, lines: Sequence[Line]) -> bool:
    return run.start == 0 or run.stop == len(lines)


def _is_boilerplate(run: range, lines: Sequence[Line], levels: Sequence[int], known: Known) -> bool:
    chosen = [lines[n] for n in run]
    words = sum(line.words for line in chosen)
    if sum(line.words for line in chosen if line.letters >= LONG) > MOST_PROSE:
        return False
    if run.stop < len(lines) and chosen[-1].introduces:
        return False
    if not _at_end(run, lines):
        near = run.start <= BEYOND or run.stop >= len(lines) - BEYOND
        if near and not known.is_record and len(chosen) > 1 and words >= NEAR_WORDS:
            return True
        introduces = any(line.introduces for line in chosen)
        return words >= BETWEEN and not introduces and min(levels[n] for n in run) >= 2
    if words >= FEW:
        return True
    if known.is_record:
        return False  # a greeting
    return len(chosen) > 1 or exact(chosen[0].text) not in HEADINGS
