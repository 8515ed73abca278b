"""Text made regular: one Unicode form, no control characters, whole words and plain spaces.

For tickets also without what others wrote: quoted replies and signatures.
"""

from __future__ import annotations

import re
import unicodedata

# Zero-width and direction marks, byte order marks and soft hyphens: invisible, and each makes a
# different token of the same word. The zero-width joiner and non-joiner stay: scripts need them.
INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
# Control (Cc, but tab and line feed), surrogate (Cs) and private-use (Co) characters; unassigned
# ones may be newer than this Python.
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\U000f0000-\U000ffffd"
    "\U00100000-\U0010fffd]"
)
LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
SPACES = re.compile(r"[^\S\n]+")
BLANK_LINES = re.compile(r"\n{3,}")
# A word broken at a line end: the second half starts in lower case, or it was a dash.
# After a dash at a line's end, these are no half of a word: "Vor-" and, below it, "und Nachteile".
SUSPENDED = {"und", "oder", "bzw", "sowie", "and", "et", "ou", "och", "eller"}
HYPHENATED = re.compile(r"(?<=[^\W\d_]{2})[-\u2010]\n[^\S\n]*(?=[^\W\d_]{2})")

QUOTE_HEADS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # The digit is the date's: "On start-up the server wrote:" is no quote.
        r"^on\b(?=.*\d).{4,200}\bwrote:\s*$",
        r"^am\b(?=.*\d).{4,200}\bschrieb\b.{0,100}:\s*$",
        r"^le\b(?=.*\d).{4,200}\ba écrit\s?:\s*$",
        r"^el\b(?=.*\d).{4,200}\bescribió:\s*$",
        r"^il\b(?=.*\d).{4,200}\bha scritto:\s*$",
        r"^-{2,}\s*(original message|forwarded message|ursprüngliche nachricht|"
        r"message d'origine)\s*-{2,}\s*$",
    )
)
MAIL_HEADER = re.compile(r"^(from|sent|to|cc|date|subject|von|gesendet|an|betreff):\s", re.I)
SENT_FROM = re.compile(
    r"^(sent from (my|the) .{2,40}|get outlook for (ios|android).*|von meinem .{2,40} gesendet|"
    r"envoyé de mon .{2,40}|enviado desde mi .{2,40})$",
    re.IGNORECASE,
)
SIGNATURE_DASHES = re.compile(r"^(--|—) ?$")
MAX_SIGNATURE_LINES = 12


# What is UTF-8 and was read as Latin-1 (or, where the euro sign is, as Windows-1252).
READ_AS_LATIN_1 = re.compile(
    "(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf\u20ac][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{3})+"
)
C1 = re.compile("[\x80-\x9f]")


def clean_text(text: str) -> str:
    """NFC, without control or invisible characters, hyphenation joined, whitespace regular.

    Lines and paragraphs stay: at most one blank line between them. Applying it twice changes
    nothing more.
    """
    if not text.isascii():
        text = READ_AS_LATIN_1.sub(_as_utf_8, text)
    text = LINE_ENDS.sub("\n", text)
    if not text.isascii():
        text = INVISIBLE.sub("", text)
    text = CONTROL.sub("", text)
    text = SPACES.sub(" ", text)
    text = "\n".join(line.strip() for line in text.split("\n"))
    text = unicodedata.normalize("NFC", _join_hyphenated(text))
    return BLANK_LINES.sub("\n\n", text).strip()


def _as_utf_8(found: re.Match[str]) -> str:
    """With control characters in it, it is nothing else; without, it may be meant ("Ã¼")."""
    if not C1.search(found[0]):
        return found[0]
    try:
        return found[0].replace("\u20ac", "\x80").encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return found[0]


_WORD_END = re.compile(r"[^\W\d_]+$")
_WORD_START = re.compile(r"[^\W\d_]+")
_WITH_DASH = re.compile(r"([^\W\d_]+)-(?=([^\W\d_]+))")


def _join_hyphenated(text: str) -> str:
    """Nothing for a word broken by its typesetter, a dash for one that is written with it."""
    if HYPHENATED.search(text) is None:
        return text
    # Looked up, since a search of the text for each broken word takes time by the square.
    with_dash = set(_WITH_DASH.findall(text))

    def join(match: re.Match[str]) -> str:
        before = _WORD_END.search(text, max(0, match.start() - 40), match.start())
        after = _WORD_START.match(text, match.end())
        if before is None or after is None or not after[0][0].islower():
            return "-"
        if after[0] in SUSPENDED:
            return "- "
        return "-" if (before[0], after[0]) in with_dash else ""

    return HYPHENATED.sub(join, text)


def strip_quoted_reply(text: str) -> str:
    """Drop what was quoted: `> ` lines, and all below "On ... wrote:" or a copied mail header.

    A reply written below the quote stays. Never empties a text: then it returns it as it was.
    """
    lines = text.split("\n")
    marked = [line.lstrip().startswith(">") for line in lines]
    last_mark = max((number for number, is_marked in enumerate(marked) if is_marked), default=-1)
    kept: list[str] = []
    for number, line in enumerate(lines):
        if marked[number]:
            continue
        if _starts_quote(lines, number):
            # With "> " marks, what isn't marked further down is the reply.
            if last_mark > number:
                continue
            break
        kept.append(line)
    return _unless_empty("\n".join(kept), text)


def _starts_quote(lines: list[str], number: int) -> bool:
    line = lines[number].strip()
    following = lines[number + 1].strip() if number + 1 < len(lines) else ""
    if any(head.match(line) for head in QUOTE_HEADS):
        return True
    # Mail programs break "On <date>, <name> wrote:" over two lines.
    if following.endswith(":") and any(h.match(f"{line} {following}") for h in QUOTE_HEADS):
        return True
    block = [other.strip() for other in lines[number : number + 4]]
    return sum(bool(MAIL_HEADER.match(other)) for other in block) >= 3 and bool(
        MAIL_HEADER.match(line)
    )


def strip_signature(text: str) -> str:
    """Drop what follows a `-- ` line, and "Sent from my ..." lines.

    Never empties a text: then it returns it as it was.
    """
    lines = [line for line in text.split("\n") if not SENT_FROM.match(line.strip())]
    for number in range(len(lines) - 1, -1, -1):
        if SIGNATURE_DASHES.match(lines[number].strip()) and number > 0:
            if len(lines) - number - 1 <= MAX_SIGNATURE_LINES:
                lines = lines[:number]
            break
    return _unless_empty("\n".join(lines), text)


def _unless_empty(shorter: str, original: str) -> str:
    shorter = BLANK_LINES.sub("\n\n", shorter).strip()
    return shorter or original.strip()
