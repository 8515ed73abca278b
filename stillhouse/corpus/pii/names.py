"""Names of people: which finds are none, and which others the finds give away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stillhouse.corpus.pii.detect import Finding
from stillhouse.corpus.pii.not_names import NOT_NAMES

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
    found: list[Finding] = []
    for word in re.finditer(r"[^\W\d_]['’\w\-]{2,}", text):
        plain = re.sub(r"\W", "", word[0]).casefold()
        # "ramanl" and "lraman" are usual too.
        spelt_out = plain in spelt or (
            len(plain) >= 4 and any(part in (part[:1] + plain, plain + part[-1:]) for part in spelt)
        )
        if not (spelt_out and word[0][0].isupper()):
            continue
        if found and text[found[-1].end : word.start()] == " ":
            found[-1] = Finding("PERSON", found[-1].start, word.end(), ADDRESS_SCORE)
        else:
            found.append(Finding("PERSON", word.start(), word.end(), ADDRESS_SCORE))
    return found


def repeated_names(text: str, findings: list[Finding]) -> list[Finding]:
    """The other places of the names found, whole or in part: the recogniser misses some."""
    names: dict[str, float] = {}
    for finding in findings:
        if finding.kind == "PERSON":
            value = text[finding.start : finding.end]
            for name in {value, *(value.split() if " " in value else ())}:
                if " " in name or (len(name) > 2 and name.istitle()):
                    names[name] = max(finding.score, names.get(name, 0.0))
    return [
        Finding("PERSON", match.start(), match.end(), score)
        for name, score in names.items()
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    ]


def like_a_name(value: str) -> bool:
    """Not what the recogniser often takes for names: acronyms, codes, lower-case words, brands."""
    words = value.split()
    if any(c.isdigit() or c in "_/\\@=<>|{}#" for c in value) or len(words) > 5:
        return False
    if all(word.casefold() in NOT_NAMES for word in words):
        return False
    capitals = [word for word in words if word[0].isupper()]
    return bool(capitals) and not all(word.isupper() and len(word) <= 4 for word in words)
