"""Names of people: which finds are none, and which others the finds give away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from stillhouse.corpus.pii.not_names import ACRONYMS, NOT_NAMES
from stillhouse.corpus.pii.spans import Finding

ADDRESS_SCORE = 0.6


def lines_of(text: str, finding: Finding) -> Iterator[Finding]:
    """A name doesn't run over a line end; what looks so are two, or a name and a heading."""
    if finding.kind != "PERSON":
        yield finding
        return
    start = finding.start
    for line in text[finding.start : finding.end].split("\n"):
        if line.strip():
            yield Finding(finding.kind, start, start + len(line), finding.score)
        start += len(line) + 1


def beside(finding: Finding, taken: Iterable[tuple[int, int]]) -> Iterator[Finding]:
    """What is left of a name without the spans that are `taken`: beside a pseudonym, a recognizer
    takes it for part of a name together with any word before it, and that word has to look like a
    name by itself."""
    if finding.kind != "PERSON":
        yield finding
        return
    start = finding.start
    for first, last in sorted(taken):
        if first < finding.end and start < last:
            if start < first:
                yield replace(finding, start=start, end=first)
            start = last
    if start < finding.end:
        yield replace(finding, start=start)


def names_in_addresses(text: str, findings: list[Finding]) -> list[Finding]:
    """Names that an e-mail address in the text spells out: "Leila Raman" of leila.raman@..."""
    addresses = [f for f in findings if f.kind == "EMAIL_ADDRESS"]
    spelt = {
        part
        for f in addresses
        for part in re.split(r"[\W\d_]+", text[f.start : f.end].partition("@")[0].casefold())
    }
    if not any(len(part) >= 3 for part in spelt):
        return []
    # "ramanl" and "lraman" are usual too.
    spelt_in_part = {name for part in spelt for name in (part[1:], part[:-1]) if len(name) >= 4}
    found: list[Finding] = []
    for word in re.finditer(r"[^\W\d_]['’\w\-]{2,}", text):
        plain = re.sub(r"\W", "", word[0]).casefold()
        if not (word[0][0].isupper() and (plain in spelt or plain in spelt_in_part)):
            continue
        if found and text[found[-1].end : word.start()] == " ":
            found[-1] = Finding("PERSON", found[-1].start, word.end(), ADDRESS_SCORE)
        else:
            found.append(Finding("PERSON", word.start(), word.end(), ADDRESS_SCORE))
    return found


def repeated_names(text: str, findings: list[Finding]) -> list[Finding]:
    """The other places of the names found: the recognizer misses some.

    A whole name counts however it is written, each part of it as a name or in capitals. One pass
    over the words of the text, whatever the number of names.
    """
    names: dict[tuple[str, ...], float] = {}
    for finding in findings:
        if finding.kind == "PERSON":
            value = text[finding.start : finding.end]
            for name in {value, *value.split()}:
                if name == value or (name.casefold() not in NOT_NAMES and not name.islower()):
                    key = words_of(name)
                    names[key] = max(finding.score, names.get(key, 0.0))
    longest = max(map(len, names), default=0)
    words = list(re.finditer(r"\w+", text)) if longest else []
    shouted = 2 * sum(map(str.isupper, text)) > sum(map(str.isalpha, text))
    plain = [word[0].casefold() for word in words]
    found: list[Finding] = []
    first = 0
    while first < len(words):
        for count in range(min(longest, len(words) - first), 0, -1):
            score = names.get(tuple(plain[first : first + count]))
            start, end = words[first].start(), words[first + count - 1].end()
            if score is not None and _as_a_name(text[start:end], count, shouted):
                found.append(Finding("PERSON", start, end, score))
                first += count - 1
                break
        first += 1
    return found


def words_of(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", name.casefold()))


def _as_a_name(value: str, words: int, shouted: bool) -> bool:
    """Where everything is in capitals (`shouted`), a word in capitals is any word."""
    if words > 1:
        # Not the end of one sentence and the beginning of the next, nor two cells of a table.
        return not re.search(r"[^\w'’.\- ]|\.(?! )| {2}", value)
    return len(value) > 2 and (value.istitle() or (value.isupper() and not shouted))


def like_a_name(value: str) -> bool:
    """Not what the recognizer often takes for names: codes, lower-case words, brands."""
    words = value.split()
    if any(c.isdigit() or c in "_/\\@=<>|{}#" for c in value) or len(words) > 5:
        return False
    if all(word.casefold() in NOT_NAMES | ACRONYMS for word in words):
        return False
    # In a script without capitals a word says nothing by its first letter.
    return any(word[0].isupper() or word[0].lower() == word[0].upper() for word in words)


def acronym(value: str) -> bool:
    """Short and in capitals; on its own it is more often a system or a department than a name."""
    return all(word.isupper() and len(word) <= 4 for word in value.split())
