"""Headings: asked only of short paragraphs, and until one is found.

unstructured asks a language model of every paragraph whether it has a verb, and how many sentences.
All that is made of the answers here is a document's title: its first heading, where nothing else
says it. So its questions about a paragraph come in two halves: those that cost nothing, to all, and
the model's to the few that may be headings.
"""

from __future__ import annotations

# What `is_possible_title` of unstructured allows a heading.
MOST_WORDS = 12
LEAST_LETTERS = 0.5


def may_be_heading(text: str) -> bool:
    """What costs nothing of unstructured's `is_possible_title`."""
    from unstructured.nlp.patterns import ENDS_IN_PUNCT_RE
    from unstructured.partition.text_type import under_non_alpha_ratio

    if not text or text.endswith(",") or text.isnumeric():
        return False
    if text.isupper() and ENDS_IN_PUNCT_RE.search(text):
        return False
    return len(text.split(" ")) <= MOST_WORDS and not under_non_alpha_ratio(text, LEAST_LETTERS)


def is_heading(text: str) -> bool:
    """Whether unstructured takes the paragraph for a title (`partition_text`)."""
    from unstructured.partition import text_type

    if not may_be_heading(text):
        return False
    others = (
        text_type.is_bulleted_text,
        text_type.is_email_address,
        text_type.is_us_city_state_zip,
        text_type.is_possible_numbered_list,
        text_type.is_possible_narrative_text,
    )
    return not any(is_other(text) for is_other in others) and text_type.is_possible_title(text)


def ask_less() -> None:
    """Let `partition_html` and `partition_pdf` leave the second half out: the first calls nothing a
    title that isn't marked up as one, the second whatever is short enough."""
    import unstructured.partition.html.parser as html
    import unstructured.partition.text as plain

    html.is_possible_narrative_text = _anything  # type: ignore[assignment]
    plain.is_possible_narrative_text = _too_long  # type: ignore[assignment]
    plain.is_possible_title = _anything  # type: ignore[assignment]


def _too_long(text: str) -> bool:
    return not may_be_heading(text)


def _anything(_: str) -> bool:
    return True
