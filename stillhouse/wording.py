"""Values as a person reads them: rounded numbers, sizes, and text without anything invisible."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

MISSING = "–"


def plain(value: str) -> str:
    """One line of text: control characters, lone surrogates and overrides of the writing direction
    become spaces. They break files, or make a terminal or a page show what isn't there."""
    return " ".join("".join(" " if _is_control(c) else c for c in value).split())


def plain_lines(value: str) -> str:
    """The same line by line; empty lines go."""
    return "\n".join(filter(None, map(plain, value.splitlines())))


def visible(value: str) -> str:
    """A text in which nothing turns the writing direction or hides; its lines and tabs stay."""
    return "".join(" " if _is_control(c) and c not in "\n\t" else c for c in value)


def _is_control(character: str) -> bool:
    # Joiners are format characters too, but many scripts and emoji need them.
    unwanted = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return unwanted and character not in "\u200c\u200d"


def shortened(text: str, length: int) -> str:
    """At most `length` characters; what is cut off at the end shows as "…"."""
    return text if len(text) <= length else text[: length - 1] + "…"


def named(names: Sequence[str], most: int = 8, length: int = 60) -> str:
    """Names in a sentence: the first of them, each cut where it is very long, and how many more."""
    said = ", ".join(shortened(plain(name), length) for name in names[:most])
    return f"{said} and {len(names) - most} more" if len(names) > most else said


def number(value: float | None, digits: int = 3) -> str:
    """With so many significant digits, never in scientific notation from 0.0001 on."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def setting(value: Any) -> str:
    """A setting of the project file, one line."""
    if value is None or value in ([], {}, ""):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {setting(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value))
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def human_count(value: int | None) -> str:
    """1,234 -> "1.2 k"; three significant digits at most."""
    return _scaled(value, ["", " k", " M", " B"])


def human_bytes(value: int | None) -> str:
    """Decimal units, as disks are sold."""
    return _scaled(value, [" B", " kB", " MB", " GB", " TB"])


def _scaled(value: int | None, units: Sequence[str]) -> str:
    if value is None:
        return MISSING
    scaled, step = float(value), 0
    while scaled >= 999.5 and step < len(units) - 1:
        scaled, step = scaled / 1000, step + 1
    digits = 0 if step == 0 or scaled >= 99.95 else 1
    return f"{scaled:.{digits}f}{units[step]}"


def about(value: int) -> int:
    """Rounded up to two digits: what is no more than an estimate."""
    step = 10 ** max(0, len(str(value)) - 2)
    return -(-value // step) * step
