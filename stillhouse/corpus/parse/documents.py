"""One file of a source to its documents: one of most kinds, many of mailboxes and archives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stillhouse.corpus.parse.archives import gz_parts, tar_parts, tgz_parts, zip_parts
from stillhouse.corpus.parse.data import jsonl_parts
from stillhouse.corpus.parse.elements import AS_USUAL, How, ParsedFile
from stillhouse.corpus.parse.files import parse_data, parse_file, refuse_blank
from stillhouse.corpus.parse.kinds import kind_of
from stillhouse.corpus.parse.mail import eml_parts, mbox_parts
from stillhouse.corpus.parse.outlook import msg_parts
from stillhouse.corpus.parse.parts import (
    MAX_DEPTH,
    Budget,
    Exhausted,
    Holder,
    Member,
    Part,
    of_the_disk,
)
from stillhouse.corpus.parse.unparsable import Unparsable, unreadable
from stillhouse.corpus.parse.xml import xml_parts
from stillhouse.errors import UserError

HOLDERS: dict[str, Callable[[Holder], Iterator[Part]]] = {
    ".eml": eml_parts,
    ".mbox": mbox_parts,
    ".msg": msg_parts,
    ".zip": zip_parts,
    ".tar": tar_parts,
    ".tgz": tgz_parts,
    ".gz": gz_parts,
    ".jsonl": jsonl_parts,
    ".ndjson": jsonl_parts,
    ".xml": xml_parts,
}


Parse = Callable[[bytes, str], ParsedFile]

BLANK_BYTES = 4096  # a larger file holds something


@dataclass(frozen=True)
class Found:
    """A document, or why there is none.

    `place` counts from 1 at each level of files that hold others: (3, 2) is the second part of the
    third; () is the file itself. `suffix` is that of what was read.
    """

    place: tuple[int, ...]
    suffix: str
    outcome: ParsedFile | Unparsable


def documents_of(path: Path, *, nlp_model: str, how: How = AS_USUAL) -> Iterator[Found]:
    """What a file holds, in its order: at least one.

    Raises:
        Unparsable: the file as a whole can't be read, or unpacks to more than any should.
        UserError: there is no such spaCy model, or a library is missing.
    """
    kind = kind_of(path.name)
    if kind not in HOLDERS:
        yield Found((), kind, parse_file(path, nlp_model=nlp_model, how=how))
        return
    try:
        with path.open("rb") as stream:
            holder = Holder(path.name, stream, path.stat().st_size)
            if holder.size <= BLANK_BYTES:
                refuse_blank(stream.read())
                stream.seek(0)
            parse = partial(parse_data, nlp_model=nlp_model, how=how)
            yield from _opened(holder, (), parse)
    except OSError as error:
        raise unreadable(error) from error


def _opened(holder: Holder, place: tuple[int, ...], parse: Parse) -> Iterator[Found]:
    kind = kind_of(holder.name)
    number = 0
    try:
        for number, part in enumerate(HOLDERS[kind](holder), start=1):
            holder.budget.count()
            yield from _found(part, kind, (*place, number), holder.budget, parse)
    except (Exhausted, UserError, MemoryError):
        raise
    except Unparsable as error:
        yield Found(place, kind, error)
        return
    except Exception as error:
        if of_the_disk(error):
            raise
        yield Found(place, kind, _broken(error))
        return
    if not number:
        empty = Unparsable("empty", "there is nothing in it to read", remedy="remove it.")
        yield Found(place, kind, empty)


def _found(
    part: Part, kind: str, place: tuple[int, ...], budget: Budget, parse: Parse
) -> Iterator[Found]:
    if not isinstance(part, Member):
        yield Found(place, kind, part)
        return
    kind = kind_of(part.name)
    if kind not in HOLDERS:
        yield Found(place, kind, _parsed(part.data, kind, parse))
    elif len(place) >= MAX_DEPTH:
        nested = f"files within files, more than {MAX_DEPTH} deep"
        remedy = "take the inner ones out and put them here."
        yield Found(place, kind, Unparsable("too_large", nested, remedy=remedy))
    else:
        yield from _opened(Holder.of(part, budget), place, parse)


def _parsed(data: bytes, kind: str, parse: Parse) -> ParsedFile | Unparsable:
    try:
        return parse(data, kind)
    except Unparsable as error:
        return error


def _broken(error: Exception) -> Unparsable:
    return Unparsable(
        "corrupt",
        f"damaged, or broken off ({type(error).__name__})",
        remedy="make or copy it again; what was read before the damage is used.",
    )
