"""The one way to write an extraction's answer: as a grammar, as a writer, as a reader.

An answer is a compact JSON object: no spaces, fields in the schema's order, absent where there is
nothing to say; a list of one value is the bare value. So a model has one form to learn.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from stillhouse.config.dataset import AnswerField
from stillhouse.tasks.numerals import numbers_in

MOST_CHARACTERS = 1_000  # of a string that need not stand in the text
MOST_VALUES = 64  # in a list
DIGITS = 18  # of a whole number, which 64 bits hold

# Words, marks and white space of a text, each a link of the chains that are its pieces. Scripts
# that put no spaces between words are cut into characters.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
LINKS = rf"(?V1)[{UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}_]--[{UNSPACED}]]+|[\s\x1c-\x1f]+|."

# White space at the beginning, as it is or escaped; or nothing at all.
BLANK_START = r"(([\s]|\\[nrtf]|\\u000b|\\u001[c-f])(?s:.*))?"

INTEGER = rf"-?(0|[1-9][0-9]{{0,{DIGITS - 1}}})"
NUMBER = rf"({INTEGER}(\.[0-9]{{1,24}})?|-?[1-9](\.[0-9]{{1,24}})?e[-+][0-9]{{2}})"
ESCAPED = r"\\u00(0[0-8e-f]|1[0-9ab])"  # control characters that are no white space
FIRST = rf'[^\s"\\\x00-\x1f]|\\["\\b]|{ESCAPED}'
FURTHER = r'[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f]'
TERMINALS = {
    "STRING": rf'/"({FIRST})({FURTHER}){{0,{MOST_CHARACTERS - 1}}}"/',
    "INTEGER": f"/{INTEGER}/",
    "NUMBER": f"/{NUMBER}/",
    "BOOLEAN": "/true|false/",
}


def grammar_of(fields: Mapping[str, AnswerField], text: str | None) -> str:
    """The answers that `fields` allow, in llguidance's dialect of Lark.

    With the `text` that they were found in, `grounded` fields say what stands in it: numbers one of
    its numbers, strings a piece of it, whole words and marks as they follow each other there, with
    the white space between them. A piece may end in white space, which `parsed` takes away. Where
    the text has no number, or no word, fields that are to say one are absent.
    """
    standing = {} if text is None else _standing(text)
    told = {n: f for n, f in fields.items() if not f.is_grounded or standing.get(f.type) != ""}
    # A rule for what may follow when no field has been written yet, and one for when some have.
    rules, terminals = dict[str, str](), dict[str, str]()
    for place, (name, field) in enumerate(told.items()):
        value = field.type.upper()
        if field.is_grounded and standing:
            value = f"{value}_OF_TEXT"
            terminals[value] = standing[field.type]
        if field.values is not None:
            value = f"VALUE{place}"
            terminals[value] = _any_of(field.values)
        if value in TERMINALS:
            terminals[value] = TERMINALS[value]
        key = f"{compact(name)}:"
        if field.many:
            more = f'"[" {value} ("," {value}){{1,{MOST_VALUES - 1}}} "]"'
            one, value = value, f"{value.lower()}_or_more"
            rules[value] = f"{one} | {more}"
        for rule, before in (("none", ""), ("some", ",")):
            rules[f"{rule}{place}"] = f"{_literal(before + key)} {value} some{place + 1}"
            if field.optional:
                rules[f"{rule}{place}"] += f" | {rule}{place + 1}"
    rules |= {f"none{len(told)}": '""', f"some{len(told)}": '""'}
    if "STRING_OF_TEXT" in terminals:
        terminals |= {"LINKS": standing["string"], "STRING_OF_TEXT": r'"\"" LINKS "\""'}
    # Some tokenizers, such as Llama 2's, begin every text with a space.
    rules = {"start": '" "? "{" none0 "}"'} | rules
    return "".join(f"{name}: {rule}\n" for name, rule in (rules | terminals).items())


def passage_grammar(passage: str, no_answer: str) -> str:
    """Answers that are a piece of the passage, as it stands there, or say that there is none."""
    none, pieces = _literal(no_answer), _pieces(passage, in_json=False)
    if not pieces:
        return f'start: " "? {none}\n'
    return f'start: " "? (LINKS | NONE)\nNONE: {none}\nLINKS: {pieces}\n'


def canonical(answer: Mapping[str, Any], fields: Mapping[str, AnswerField]) -> str:
    """The answer as it is written: what `grammar_of` accepts if grounded values stand in the text.

    Values that are missing (None, empty, blank) are left out, strings lose the white space around
    them, and types are mended where nothing is lost by it ("3" is an integer, 3 a string). Raises
    `ValueError` that names the field, and no value, when one is unknown, missing, of another type,
    too long, or none of its `values`.
    """
    found = _answer(answer, fields)
    bare = {n: v[0] if fields[n].many and len(v) == 1 else v for n, v in found.items()}
    return compact(bare)


def parsed(text: str, fields: Mapping[str, AnswerField]) -> dict[str, Any] | None:
    """A model's answer read back, in order of `fields`, fields that are lists always as lists.

    As lenient as `canonical` with types and missing values, and with white space and order; None
    for what is no JSON object of these fields.
    """
    try:
        answer = json.loads(text, object_pairs_hook=_once_each, parse_constant=_refuse)
        return _answer(answer, fields) if isinstance(answer, dict) else None
    except (ValueError, RecursionError):
        return None


def _answer(answer: Mapping[str, Any], fields: Mapping[str, AnswerField]) -> dict[str, Any]:
    if unknown := [name for name in answer if name not in fields]:
        raise ValueError(f"{unknown[0]!r}: no field of the schema")
    found = {}
    for name, field in fields.items():
        values = [_value(name, field, v) for v in _present(answer.get(name))]
        if not values and not field.optional:
            raise ValueError(f"{name!r}: missing")
        if len(values) > (MOST_VALUES if field.many else 1):
            raise ValueError(f"{name!r}: {len(values)} values, and there may be fewer")
        if values:
            found[name] = values if field.many else values[0]
    return found


def _present(value: Any) -> Iterator[Any]:
    """The values there are, of a list or alone; none that is empty or blank."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if item is not None and not (isinstance(item, str) and not item.strip()):
            yield item


def _value(name: str, field: AnswerField, value: Any) -> Any:
    read: dict[str, Callable[[Any], Any]] = {
        "string": _string,
        "integer": _whole,
        "number": _number,
        "boolean": _boolean,
    }
    if field.values is not None and value in field.values:
        return value
    try:
        found = read[field.type](value)
    except (ValueError, OverflowError, RecursionError):
        raise ValueError(f"{name!r}: not of type {field.type}") from None
    if field.values is not None and found not in field.values:
        raise ValueError(f"{name!r}: none of its `values`")
    if field.type == "string" and len(found) > MOST_CHARACTERS and not field.is_grounded:
        raise ValueError(f"{name!r}: over {MOST_CHARACTERS} characters")
    if field.type in ("integer", "number") and not re.fullmatch(NUMBER, compact(found)):
        raise ValueError(f"{name!r}: too large or too small a number")
    return found


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return compact(_number(value))
    raise ValueError


def _number(value: Any) -> int | float:
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    # Whole numbers are written without a point, as far as a float counts them one by one.
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _whole(value: Any) -> int:
    if not isinstance(found := _number(value), int):
        raise ValueError
    return found


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ValueError
    return value


def _standing(text: str) -> dict[str, str]:
    """By type, a terminal for what stands in the text; empty where nothing does."""
    numbers = [number for number in numbers_in(text) if re.fullmatch(NUMBER, compact(number))]
    return {
        "string": _pieces(text, in_json=True),
        "integer": _any_of([n for n in numbers if re.fullmatch(INTEGER, compact(n))]),
        "number": _any_of(numbers),
    }


def _any_of(values: Iterable[Any]) -> str:
    return " | ".join(_literal(compact(value)) for value in values)


def _pieces(text: str, *, in_json: bool) -> str:
    """A terminal for what stands in the text; empty when nothing does."""
    import regex  # type: ignore[import-untyped]

    links = regex.findall(LINKS, text)
    if all(link.isspace() for link in links):
        return ""
    if in_json:
        links = [compact(link)[1:-1] for link in links]
    chain = json.dumps({"substring_chunks": links})
    return f"%regex {chain} & ~/{BLANK_START}/"


def _literal(text: str) -> str:
    """A string of the grammar. JSON in ASCII is one, and whatever the text says, stays inside."""
    return json.dumps(text)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _refuse(_: str) -> Any:
    """NaN and Infinity are no JSON."""
    raise ValueError
