"""What pages and sites put around a text: page numbers, running headers, banners, paths, marks."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from itertools import pairwise

from stillhouse.corpus.cleanse.lines import NUMBER, PAGE, Line, exact

# A number that counts pages comes so often; a bare one stands so many letters after the one before.
PAGES, BARE_PAGES, BARE_DISTANCE = 2, 3, 500
BARE = re.compile(r"^\s*(\d{1,4})\s*$")
# A header comes back beside so many of the page numbers.
HEADER_TIMES, HEADER_SHARE, HEADER_LINES = 3, 0.5, 3
MOST_WORDS = 15

BANNER = re.compile(
    r"\b(?:we|this (?:web)?site|our (?:web)?site|wir|diese (?:web)?seite|diese website|"
    r"unsere website|nous|ce site|notre site|este sitio|esta (?:página )?web|"
    r"questo sito|deze (?:web)?site|wij|denna (?:webb)?(?:plats|sida))\b.{0,40}"
    r"\b(?:uses?|using|(?:ver|be)?nutz(?:t|en)|verwendet?|verwenden|setzen|utilis\w+|us[ao]n?|"
    r"utiliz\w+|gebrui\w+|använder)\b.{0,40}\bcookies?\b|(?:クッキー|cookie).{0,20}使用|使用.{0,20}cookie",
    re.IGNORECASE,
)
CONSENT = re.compile(
    r"\b(?:accept|agree|consent|allow all|got it|akzeptier|zustimm|einwillig|alle annehmen|"
    r"accepte|aceptar|accett|accepter|accepteren|godkänn)|同意",
    re.IGNORECASE,
)
BUTTON = re.compile(
    r"^\W*(?:accept(?: all)?(?: cookies)?|(?:i )?agree|reject(?: all)?|decline|allow(?: all)?|ok|"
    r"okay|got it|close|(?:cookie|privacy) (?:settings|policy|preferences)|manage (?:cookies|"
    r"preferences|settings)|(?:show |learn )?more(?: information)?|only necessary|necessary only|"
    r"(?:alle )?akzeptieren|(?:alle )?ablehnen|zustimmen|einverstanden|nur notwendige|"
    r"(?:cookie-?)?einstellungen|datenschutz(?:erklärung)?|(?:tout )?accepter|(?:tout )?refuser|"
    r"paramètres|en savoir plus|(?:aceptar|rechazar)(?: todo)?|configurar|同意する|拒否)\W*$",
    re.IGNORECASE,
)
# A banner stands among the first or last lines, and is no longer than this.
BANNER_LINES, BANNER_WORDS = 8, 90

# "Home > IT Service > VPN", before the title or first line that it leads to.
PATH = re.compile(r"^[^>»›]{1,40}(?:\s*[>»›]\s*[^>»›]{1,60}){1,8}$")
# The link beside a heading of a wiki.
EDIT_MARK = re.compile(
    r"\s*\[\s*(?:edit(?: source)?|bearbeiten|quelltext bearbeiten|modifier(?: le code)?|editar|"
    r"modifica|bewerken|редактировать|править|編集|编辑|แก้ไข)\s*"
    r"(?:\|\s*(?:edit source|quelltext bearbeiten|modifier le code|ソースを編集)\s*)?\]\s*$",
    re.IGNORECASE,
)


def page_numbers(lines: Sequence[Line]) -> set[int]:
    """Lines that say which page it is, in a document whose pages are counted through."""
    by_shape: dict[str, list[tuple[int, int]]] = defaultdict(list)
    bare: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        if line.words > MOST_WORDS:
            continue
        if found := BARE.match(line.text):
            bare.append((number, int(found[1])))
        elif found := PAGE.search(line.text):
            page = int(next(filter(None, found.groups())))
            by_shape[exact(NUMBER.sub("0", line.text))].append((number, page))
    chosen: set[int] = set()
    for pages in by_shape.values():
        if len(pages) >= PAGES and _counts_up(pages):
            chosen.update(number for number, _ in pages)
    apart = [lines[b].start - lines[a].start for (a, _), (b, _) in pairwise(bare)]
    if len(bare) >= BARE_PAGES and _by_one(bare) and min(apart) >= BARE_DISTANCE:
        chosen.update(number for number, _ in bare)
    return chosen


def _counts_up(pages: list[tuple[int, int]]) -> bool:
    return all(a < b for (_, a), (_, b) in pairwise(pages))


def _by_one(pages: list[tuple[int, int]]) -> bool:
    return all(b - a == 1 for (_, a), (_, b) in pairwise(pages))


def running_headers(lines: Sequence[Line], breaks: set[int]) -> set[int]:
    """Lines beside page numbers that come back beside many of them, and lines beside those."""
    chosen: set[int] = set()
    needed = max(HEADER_TIMES, HEADER_SHARE * len(breaks))
    for step in (1, -1):
        beside = {number + step for number in breaks}
        for _ in range(HEADER_LINES):
            said = {n: exact(lines[n].text) for n in beside if _may_be_header(lines, n, breaks)}
            times = Counter(said.values())
            found = {number for number, what in said.items() if times[what] >= needed}
            chosen |= found
            beside = {number + step for number in found}
    return chosen


def _may_be_header(lines: Sequence[Line], number: int, breaks: set[int]) -> bool:
    if not 0 <= number < len(lines) or number in breaks:
        return False
    line = lines[number]
    return line.words <= MOST_WORDS and line.letters >= 2 and not line.introduces


def cookie_banner(lines: Sequence[Line]) -> set[int]:
    """A banner that asks to accept cookies, with its buttons, where it stands at an end.

    A text about cookies asks for nothing: there is no button.
    """
    for number, line in enumerate(lines):
        far = min(number, len(lines) - 1 - number) >= BANNER_LINES
        if far or line.words > BANNER_WORDS or line.introduces or not BANNER.search(line.text):
            continue
        buttons = set()
        for step in (1, -1):
            other = number + step
            while 0 <= other < len(lines) and BUTTON.match(lines[other].text):
                buttons.add(other)
                other += step
        first_or_last = number < 2 or number >= len(lines) - 2
        if buttons or (first_or_last and CONSENT.search(line.text)):
            return {number, *buttons} if len(buttons) + 1 < len(lines) else set()
    return set()


def path_of_page(lines: Sequence[Line], title: str, gone: Container[int]) -> set[int]:
    """Where in its site a page lies: the first line that is its own, if it ends with the title or
    with what the next line says."""
    first = next((number for number in range(len(lines)) if number not in gone), None)
    if first is None or first + 1 >= len(lines) or not PATH.match(lines[first].text):
        return set()
    leads_to = exact(re.split("[>»›]", lines[first].text)[-1])
    near = {exact(title), exact(lines[first + 1].text)}
    return {first} if leads_to and any(said.startswith(leads_to) for said in near) else set()


def edit_mark(line: Line) -> tuple[int, int] | None:
    """Where in the text the link stands that edits a section."""
    found = EDIT_MARK.search(line.text)
    return (line.start + found.start(), line.end) if found and found.start() else None
