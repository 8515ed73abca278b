"""A document with what cleansing took out of it or mended, for a person to judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stillhouse.corpus.cleanse.edits import MENDS, Edit
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import connected


@dataclass(frozen=True)
class Shown:
    """A document as it was parsed, NOT masked; `edits` are those of its text, in order, `others`
    those of its title and columns by part."""

    doc_id: str
    source: str
    status: str
    reason: str | None
    language: str | None
    quality: float
    original: str
    edits: list[Edit]
    others: list[tuple[str, Edit]]

    @property
    def counted(self) -> dict[str, int]:
        """How many pieces were taken out or mended, by reason."""
        return dict(Counter(e.reason for e in [*self.edits, *(e for _, e in self.others)]))


def document(layout: Layout, name: str) -> Shown:
    """The document whose id is `name`, or begins with it.

    Raises:
        UserError: nothing was cleansed yet, there is no such document, or there are several.
    """
    tables = {n: layout.table(f"{n}_documents") for n in ("parsed", "cleansed")}
    if not all(table.exists() for table in tables.values()):
        raise UserError(
            "no documents were cleansed yet",
            remedy="run `stillhouse run --until cleansed_documents` first.",
        )
    with connected(tables) as db:
        found = db.sql(
            """SELECT c.doc_id, p.source, c.status, c.reason, c.language, c.quality,
                      p.text AS original, c.edits
               FROM cleansed c JOIN parsed p USING (doc_id)
               WHERE starts_with(doc_id, ?) ORDER BY doc_id = ? DESC LIMIT 2""",
            params=[name, name],
        )
        rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
    if not name or not rows:
        raise UserError(
            "there is no such document",
            remedy="name it by its `doc_id`, as the tables of documents and of pairs do.",
        )
    if len(rows) > 1 and rows[0]["doc_id"] != name:
        raise UserError(
            "several documents have ids that begin so", remedy="give more of the one you mean."
        )
    parts = [(edit.pop("part"), Edit(**edit)) for edit in rows[0].pop("edits")]
    return Shown(
        **rows[0],
        edits=sorted(edit for part, edit in parts if part == "text"),
        others=[(part, edit) for part, edit in parts if part != "text"],
    )


def marked_lines(shown: Shown) -> Iterator[tuple[str | None, str]]:
    """The text line by line, each with the reason for which it was taken out, or None; what was
    changed within a line stands as "[-before-]{+after+}"."""
    at, kept = 0, ""
    for edit in shown.edits:
        kept += shown.original[at : edit.start]
        at = edit.end
        if edit.reason in MENDS:
            removed = edit.removed.replace("\n", "↵")
            kept += f"[-{removed}-]" + (f"{{+{edit.put}+}}" if edit.put else "")
            continue
        yield from _lines(None, kept)
        yield from _lines(edit.reason, edit.removed)
        kept = ""
    yield from _lines(None, kept + shown.original[at:])


def _lines(reason: str | None, text: str) -> Iterator[tuple[str | None, str]]:
    yield from ((reason, line) for line in text.strip("\n").split("\n") if text.strip("\n"))
