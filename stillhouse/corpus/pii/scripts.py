"""A few words in another script within a Latin text: whose name or address, hardly a thing's.

"Please call 山田太郎 about it", "Σμαράγδα Χονδρούδη signed": recognizers of one language know none
of these, and what else a mail in Latin letters holds of them is rare.
"""

from __future__ import annotations

from stillhouse.corpus.pii.spans import Finding

SCORE = 0.5
# Where more of a text's letters are foreign, they are its language: in a script with capitals
# these still tell a name.
MOST_FOREIGN = {True: 0.85, False: 0.6}
LONGEST_NAME = 40

_FOREIGN = r"[[\p{L}]--[\p{Latin}ªº]]"
RUN = (
    rf"(?V1)(?:〒?\d[\d\-/]*[ ]?)?{_FOREIGN}"
    rf"(?:[\p{{M}}\d\s,.\-−–・ー'’()/№]{{0,6}}(?:{_FOREIGN}|\p{{M}}))*+(?:[ ,]*\d[\d\-/]*)*"
)


def foreign_runs(text: str) -> list[Finding]:
    """Each run, a PERSON, or an ADDRESS where digits belong to it."""
    import regex  # type: ignore[import-untyped]

    if text.isascii():
        return []
    foreign = len(regex.findall(f"(?V1){_FOREIGN}", text))
    share = foreign / max(1, sum(map(str.isalpha, text)))
    found: list[Finding] = []
    for run in regex.finditer(RUN, text):
        value = run[0]
        letters = len(regex.findall(f"(?V1){_FOREIGN}", value))
        cased = any(c.lower() != c.upper() for c in value)
        if letters < 2 or share > MOST_FOREIGN[cased]:
            continue
        if any(map(str.isdigit, value)):
            found.append(Finding("ADDRESS", run.start(), run.end(), SCORE))
        elif len(value) <= LONGEST_NAME and _written_as_names(value):
            found.append(Finding("PERSON", run.start(), run.end(), SCORE))
    return found


def _written_as_names(value: str) -> bool:
    """In a script with capitals each word has one."""
    words = value.split()
    return len(words) <= 4 and not any(word[0].islower() for word in words)
