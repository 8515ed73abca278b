"""Texts of the project for a person to mark: what becomes the gold set of its own documents.

They are not masked: personal data can only be marked where it stands. So they lie in a file of
their own, which only its owner may read, and no step reads it before the project file names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from stillhouse.config.corpus import Confidentiality
from stillhouse.corpus.document_confidentiality import NAME, levels_up_to
from stillhouse.corpus.pii.pieces import pieces_of
from stillhouse.corpus.pii_gold import MARKED, places_of
from stillhouse.errors import UserError
from stillhouse.storage.files import atomic_file, digest, write_private
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import query

Row = dict[str, Any]

# Which document a text is of, so that the one goes with the other.
DOCUMENT = "doc_id"


def write_texts_to_mark(
    layout: Layout, count: int, train_up_to: Confidentiality = "restricted"
) -> tuple[Path, int]:
    """Write texts of up to `count` documents, and what was found in them, as `read_gold` reads it
    once they are marked; returns the file and how many there are.

    None of them is more confidential than `train_up_to`.

    Always the same documents of the same corpus: those with the lowest hashes of their ids. Of a
    long one a piece of some pages, drawn by its id. What was found is marked beforehand by its
    value; a line counts as soon as somebody who has read it sets "marked" to true.

    Raises:
        UserError: nothing was masked yet, or there is such a file, with somebody's work in it.
    """
    path = layout.texts_to_mark
    if path.exists():
        raise UserError(
            f"{path} exists already", remedy="go on marking it, or move it away before another one."
        )
    tables = {name: layout.table(f"{name}_documents") for name in ("cleansed", "masked")}
    tables["levels"] = layout.table(NAME)
    if not all(table.exists() for table in tables.values()):
        raise UserError(
            "no documents were masked yet",
            remedy="run `stillhouse run --until masked_documents` first.",
        )
    allowed = levels_up_to(train_up_to)
    documents = query(
        f"""SELECT doc_id, c.text, m.entities FROM cleansed c JOIN masked m USING (doc_id)
            JOIN levels USING (doc_id) WHERE level IN ({allowed})
            ORDER BY md5(doc_id) LIMIT {int(count)}""",  # noqa: S608 - names of our own
        **tables,
    ).to_pylist()
    lines = [json.dumps(_to_mark(document), ensure_ascii=False) + "\n" for document in documents]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_file(path, replace=False) as temporary:
        write_private(temporary, "".join(lines).encode())
    return path, len(lines)


def _to_mark(document: Row) -> Row:
    pieces = list(pieces_of(document["text"])) or [(0, "")]
    start, text = pieces[int(digest(document["doc_id"]), 16) % len(pieces)]
    spans: dict[tuple[str, str], Row] = {}
    for entity in document["entities"]:
        first, last = entity["start"] - start, entity["end"] - start
        if entity["part"] == "text" and first >= 0 and last <= len(text):
            kind, value = entity["kind"], text[first:last]
            whole = (first, last) in places_of(value, text)  # else no word of its own
            at = {"value": value} if whole else {"start": first, "end": last}
            spans[(kind, value)] = {"kind": kind, **at}
    about = {DOCUMENT: document["doc_id"], MARKED: False}
    return {**about, "text": text, "spans": list(spans.values())}


def forget_texts(layout: Layout, gone: Callable[[list[str]], Container[str]]) -> int:
    """Take the texts of documents that are `gone` (which of these ids are?) out of the file, marked
    or not; returns how many. What somebody moved elsewhere is theirs to look after."""
    path = layout.texts_to_mark
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    documents = [_document_of(line) for line in lines]
    went = gone(documents)
    staying = [line for line, of in zip(lines, documents, strict=True) if of not in went]
    if len(staying) < len(lines):
        with atomic_file(path) as temporary:
            write_private(temporary, b"".join(staying))
    return len(lines) - len(staying)


def _document_of(line: bytes) -> str:
    try:
        return str(json.loads(line)[DOCUMENT])
    except (ValueError, KeyError, TypeError):
        return ""
