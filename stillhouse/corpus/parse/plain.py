"""Plain text: its paragraphs, as unstructured's `partition_text` parts them."""

from __future__ import annotations

import re

from stillhouse.corpus.parse.elements import SHORT, Element, ParsedFile, assemble
from stillhouse.corpus.parse.headings import may_be_heading


def parse_plain(text: str) -> ParsedFile:
    """List items lose their bullets; the first heading is the title."""
    from unstructured.cleaners.core import auto_paragraph_grouper
    from unstructured.nlp.patterns import PARAGRAPH_PATTERN

    if not text.strip():
        return assemble([])
    paragraphs = re.split(PARAGRAPH_PATTERN, auto_paragraph_grouper(text).strip())
    return assemble([e for p in paragraphs if (e := _paragraph(p.strip())).text.strip()])


def _paragraph(text: str) -> Element:
    from unstructured.cleaners.core import clean_bullets
    from unstructured.partition.text_type import is_bulleted_text

    if text and is_bulleted_text(text):
        return Element("ListItem", "" if len(text) == 1 else clean_bullets(text))
    return Element(SHORT if may_be_heading(text) else "NarrativeText", text)
