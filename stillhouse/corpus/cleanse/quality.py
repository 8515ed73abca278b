"""How much of a text is words: what bad character recognition leaves, and runs of symbols.

No dictionary is asked, so that names, part numbers and languages that nobody thought of pass.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import regex  # type: ignore[import-untyped]

from stillhouse.corpus.cleanse.lines import CELLS, Line, exact

# A line of fewer pieces is never noise: a formula, a code, an emoticon.
ENOUGH = 8
# From so many pieces that say nothing on, a line is noise.
NOISY = 0.6
# What is longer is no word, but an address or what a program wrote.
LONGEST = 100
# A letter by itself, and letters that can only just be read aloud ("vlk"), say half as much.
HALF = 0.5
# A line of one symbol, so often or more, parts or underlines.
SYMBOLS = regex.compile(r"^\s*([^\w\s])(?:\s*\1){4,}\s*$|^\s*([^\w\s])\2{4,}\s*$")
# So often in a row, a line says it once.
REPEATED = 4

VOWELS = frozenset("aeiouy")
LIQUIDS = frozenset("lr")
# What stands by itself between words.
BETWEEN = frozenset(("-", "–", "—", "&", "+", "/", "=", "<", ">", "•", "·", "*", "...", "…"))
WORD = regex.compile(r"[\p{L}\p{M}]+(?:['’\-‐.·/][\p{L}\p{M}]+)*")
# What has a digit may be a number, a measure, a date, a part: "M8x40", "AX-4471/B", "12,50", "#3".
SIGNS = r"[\p{L}\p{M}\p{N}.,:;/+\-–—_#%°€$£¥×*()=@\\]*"
NUMBER = regex.compile(rf"{SIGNS}\p{{N}}{SIGNS}")
# Names of files, addresses, fields of programs.
PART = r"[\p{L}\p{M}\p{N}]"
PATH = regex.compile(rf"/?{PART}{{2,}}(?:(?:://|::|->|=>|[./\\@:_=\-])+{PART}+)+[(),;]*")
AROUND = "\"'`´‘’“”„‚«»‹›()[]{}<>.,:;!?…¡¿、。，．：；！？「」『』（）【】《》・*_#|•·–—-"
CROWD = regex.compile(r"[bcdfghjklmnpqrstvwxz]{7,}", regex.IGNORECASE)
CAMEL = regex.compile(r"\p{Lu}*\p{Ll}+(?:\p{Lu}\p{Ll}+)*\p{Lu}?")  # "iPhone", "McDonald"
# What programs are written with, and bad scans are not: an opened bracket that is closed, an
# operator of two signs, a statement's end.
CODE = regex.compile(
    r"\w\([^()]*\)|\[[^\[\]]*\]|[=!<>+\-*/]=|=>|\$[\w({]|->|::|</?\w+|&&|\|\||;\s*$|[{}]\s*;?\s*$|"
    r"^\s*[$>#]\s*\w|"
    r"\b(?:SELECT|FROM|WHERE|def|return|import|function|var|const|class|if|else|for|while)\b"
)


def noise_of(line: Line) -> float | None:
    """The share of a line's pieces that are neither words nor numbers, 0 to 1; None where there is
    too little to tell, and in lines of programs. What parts the cells of a table is no piece."""
    pieces = [piece for piece in line.text.split() if piece != "|"]
    if len(pieces) < ENOUGH or CODE.search(line.text):
        return None
    return sum(map(_noise, pieces)) / len(pieces)


def is_symbols(line: Line) -> bool:
    return SYMBOLS.match(line.text) is not None


def repeated(lines: Sequence[Line]) -> set[int]:
    """Of each run of the same line, all but the first; lines of code and of tables stay."""
    gone: set[int] = set()
    numbered = list(enumerate(lines))
    for said, group in groupby(numbered, key=lambda pair: exact(pair[1].text)):
        run = [number for number, _ in group]
        first = lines[run[0]]
        words = first.letters >= 4 and CELLS not in first.text and not CODE.search(first.text)
        if said and len(run) >= REPEATED and words:
            gone.update(run[1:])
    return gone


def quality_of(lines: Sequence[Line], noise: Sequence[float | None]) -> float:
    """How much of a text is words, 0 to 1: the mean over its lines, by their length; 1 where there
    is too little to tell."""
    told = [(n, len(line.text)) for line, n in zip(lines, noise, strict=True) if n is not None]
    length = sum(size for _, size in told)
    return 1 - sum(n * size for n, size in told) / length if length else 1.0


@lru_cache(maxsize=1 << 16)
def _noise(piece: str) -> float:
    """1 for what is neither a word nor a number, 0 for what is, something between for letters."""
    if piece in BETWEEN or len(piece) > LONGEST:
        return 0.0
    bare = piece.strip(AROUND)
    if not bare:
        return 1.0
    if NUMBER.fullmatch(bare) or PATH.fullmatch(bare):
        return 0.0
    if not any(map(_is_latin, bare)):
        letters = sum(unicodedata.category(c)[0] in "LM" for c in bare)
        return float(letters < HALF * len(bare))
    if len(bare) == 1:
        return HALF
    if not WORD.fullmatch(bare):
        return 1.0
    return max(map(_noise_of_word, regex.findall(r"[\p{L}\p{M}]+", bare)))


def _noise_of_word(word: str) -> float:
    """Words can be read aloud, or are written in capitals; capitals don't stand in their midst."""
    if word.isupper() or len(word) == 1:
        return 0.0
    plain = unicodedata.normalize("NFD", word)
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    if not letters.isascii():
        return 0.0  # not for us to say
    if not CAMEL.fullmatch(letters) or CROWD.search(letters):
        return 1.0
    lower = frozenset(letters.lower())
    return 0.0 if lower & VOWELS else HALF if lower & LIQUIDS else 1.0


def _is_latin(character: str) -> bool:
    return (character.isascii() and character.isalpha()) or "À" <= character <= "ɏ"
