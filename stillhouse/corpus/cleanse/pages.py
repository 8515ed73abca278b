"""Page numbers and running headers in the midst of a document's text, and cookie banners."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from stillhouse.corpus.cleanse.lines import NUMBER, PAGE, Line, exact

# A number that counts pages comes so often; a bare one stands so many letters after the one before.
PAGES, BARE_PAGES, BARE_DISTANCE = 2, 3, 500
BARE = re.compile(r"^\s*(\d{1,4})\s*$")
# A header comes back beside so many of the page numbers.
HEADER_TIMES, HEADER_SHARE = 3, 0.5
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
    """Lines beside page numbers (within two) that come back beside many of them."""
    beside: dict[int, str] = {}
    for number in breaks:
        for other in (number - 2, number - 1, number + 1, number + 2):
            if 0 <= other < len(lines) and other not in breaks:
                line = lines[other]
                if line.words <= MOST_WORDS and line.letters >= 2 and not line.introduces:
                    beside[other] = exact(line.text)
    times = Counter(beside.values())
    needed = max(HEADER_TIMES, HEADER_SHARE * len(breaks))
    return {number for number, said in beside.items() if times[said] >= needed}


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
