"""The form in which documents are compared: what they say themselves, whoever is named in it.

Deduplication and splits look at texts through this; what is trained on stays as it is.
"""

# Queries are composed of numbers and column names of our own.
# ruff: noqa: S608

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.corpus.pii.invented import WORD

if TYPE_CHECKING:
    import duckdb

# A pseudonym (see corpus/pii/masker.py): its kind, and three or more syllables. "E-mobile" has the
# same form; in comparison it counts as "E", which does no harm.
# Or a hash (`hash`). Of surrogates, invented words are known again, in names and addresses; numbers
# and dates that were drawn set texts apart as any others do.
PSEUDONYM = r"\b([A-Z][A-Za-z0-9]*)-(?:(?:[bdfhjklmnprstvz][aeiou]){3,}|0x[0-9a-f]{12})\b"
SURROGATE = rf"(?i)\b{WORD}(?:(?:, |[ ._-]){WORD})*\b"

# A paragraph is boilerplate when so many documents of a source, and this share of them, have it
# among the first or last two. What stands in the middle is none: twenty versions of one handbook
# share nearly all their paragraphs, and must stay near-duplicates.
REPEATED_DOCUMENTS = 20
REPEATED_SHARE = 0.05
ENDS = 2


def without_pseudonyms(column: str) -> str:
    """SQL for a text in which each pseudonym is its kind: who is named makes no other text."""
    kinds = f"regexp_replace({column}, '{PSEUDONYM}', '\\1', 'g')"
    return f"regexp_replace({kinds}, '{SURROGATE}', 'Person', 'g')"


def content_key(column: str) -> str:
    """SQL for 128 bits (hex) of what a text says: case, spacing, punctuation and names aside.

    It depends on the text alone, not on the file, the other documents or the pseudonyms' key. A
    text of punctuation alone keeps it.
    """
    words = f"trim(regexp_replace({without_pseudonyms(column)}, '[\\s\\p{{P}}]+', ' ', 'g'))"
    return f"md5(lower(nfc_normalize(coalesce(nullif({words}, ''), {column}))))"


def asked_key(texts: str) -> str:
    """SQL for 128 bits (hex) of a list of texts, case, spacing and punctuation aside; '' for an
    empty one. Names count: two questions on one passage may ask for two people."""
    plain = f"regexp_replace(array_to_string({texts}, chr(31)), '[\\s\\p{{P}}]+', ' ', 'g')"
    return f"CASE WHEN len({texts}) > 0 THEN md5(lower(nfc_normalize(trim({plain})))) ELSE '' END"


def create_paragraphs(db: duckdb.DuckDBPyConnection) -> None:
    """Create paragraphs(doc_id, source, text, parts, ends) of the relation read_documents(doc_id,
    source, read).

    Paragraphs end at blank lines; in a text that has none, lines are taken. `ends` are digests of
    those that may be boilerplate, null for a text of one paragraph.
    """
    blank = "chr(10) || chr(10)"
    db.execute(
        f"""CREATE VIEW paragraphs AS
        SELECT doc_id, source, text, parts,
               CASE WHEN len(parts) > 1 THEN list_distinct(list_transform(
                   list_concat(parts[:{ENDS}], parts[-{ENDS}:]), lambda p: {_same("p")}
               )) END AS ends
        FROM (
            SELECT doc_id, source, text,
                   string_split(text, CASE WHEN blank THEN {blank} ELSE chr(10) END) AS parts
            FROM (SELECT doc_id, source, {without_pseudonyms("read")} AS text,
                         contains(read, {blank}) AS blank FROM read_documents))"""
    )


def create_boilerplate(db: duckdb.DuckDBPyConnection) -> None:
    """Create boilerplate(source, known, version) of the relation ended(source, ends): a row for
    each document, with the `ends` of its paragraphs. `version` is a digest of `known`."""
    db.execute(
        f"""CREATE TABLE boilerplate AS
        SELECT source, list(part ORDER BY part) AS known, md5(known::VARCHAR) AS version FROM (
            SELECT source, part FROM (SELECT source, unnest(ends) AS part FROM ended)
            JOIN (SELECT source, count(*) AS size FROM ended GROUP BY source) USING (source)
            GROUP BY source, part
            HAVING count(*) >= greatest({REPEATED_DOCUMENTS}, {REPEATED_SHARE} * any_value(size))
        ) GROUP BY source"""
    )


def create_compared(db: duckdb.DuckDBPyConnection) -> None:
    """Create compared(doc_id, text) of the relations paragraphs and boilerplate.

    Left out is boilerplate: a letterhead, greeting or disclaimer on every twentieth document of a
    source would make its short documents near-duplicates of each other. A text of nothing else is
    compared whole.
    """
    own = f"list_filter(parts, lambda p: NOT list_contains(known, {_same('p')}))"
    db.execute(
        f"""CREATE VIEW compared AS
        SELECT doc_id, CASE WHEN known IS NULL OR len(parts) = 1 THEN text
            ELSE coalesce(nullif(trim(array_to_string({own}, chr(10) || chr(10))), ''), text)
            END AS text
        FROM paragraphs LEFT JOIN boilerplate USING (source)"""
    )


def _same(paragraph: str) -> str:
    return f"hash(lower(trim({paragraph})))"
