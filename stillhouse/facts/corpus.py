"""Facts of the steps from files to unique documents."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SourceFilesFacts:
    """`unread` counts what was seen and is no input, by reason (see corpus/sources.py)."""

    digest: str
    files: int
    bytes: int
    by_source: dict[str, int]
    unread: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ParsedDocumentsFacts:
    """`computed`, `reused` and `dropped` count input files.

    `ocr_documents` have pages that were read off pictures, `ocr_pages` in all, with the mean
    `ocr_confidence` (0 to 1); lines of less confidence than is asked for, and pages of nothing
    else, are counted and left out.
    """

    digest: str
    documents: int
    quarantined: int
    quarantined_by_category: dict[str, int]
    pages: int
    characters: int
    dropped_characters: int
    computed: int
    reused: int
    dropped: int
    ocr_documents: int = 0
    ocr_pages: int = 0
    ocr_illegible_pages: int = 0
    ocr_dropped_lines: int = 0
    ocr_confidence: float | None = None


@dataclass(frozen=True)
class DocumentConfidentialityFacts:
    """Documents by their level, and by what gave it: "source", "folder", "marking", "property",
    "rule", or "lowered" where a person's rule set it below what all others say."""

    digest: str
    documents: int
    by_level: dict[str, int]
    by_reason: dict[str, int]


@dataclass(frozen=True)
class CleansedDocumentsFacts:
    """`documents` go on; `left_out` counts the others by why. `removals` and `removed_characters`
    count by reason what was taken out of those that go on (see corpus/cleanse/edits.py); `touched`
    are documents. `by_language` counts documents, `passages_by_language` passages, "unknown" those
    too short to tell. `computed`, `reused` and `dropped` count documents."""

    digest: str
    documents: int
    left_out: dict[str, int]
    touched: int
    removals: dict[str, int]
    removed_characters: dict[str, int]
    by_language: dict[str, int]
    passages_by_language: dict[str, int]
    computed: int
    reused: int
    dropped: int


@dataclass(frozen=True)
class MaskedDocumentsFacts:
    """`computed`, `reused` and `dropped` count documents."""

    digest: str
    documents: int
    documents_with_entities: int
    entities: int
    entities_by_kind: dict[str, int]
    computed: int
    reused: int
    dropped: int


@dataclass(frozen=True)
class PiiQualityFacts:
    """What masking finds in texts whose personal data is marked; without any, shares are None.

    `masked` spans are covered wholly, by findings of whatever kind, `partly_masked` not wholly.
    `recall` is the share of the former, `recall_low` and `recall_high` its 95 % interval; strict
    figures ask for the same kind. `not_looked_for` are kinds that were marked and that the settings
    don't mask. `unmarked` counts texts that nobody has read yet.
    """

    digest: str
    texts: int
    unmarked: int
    spans: int
    masked: int
    partly_masked: int
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    precision: float | None
    f2: float | None
    strict_recall: float | None
    strict_precision: float | None
    strict_f2: float | None
    recall_by_kind: dict[str, float]
    not_looked_for: list[str]


@dataclass(frozen=True)
class UniqueDocumentsFacts:
    """`unique` counts clusters, `withheld` those of them in which a document is more confidential
    than what is trained on; `label_conflicts` those whose members carry different labels."""

    digest: str
    documents: int
    unique: int
    exact_duplicates: int
    near_duplicates: int
    label_conflicts: int
    by_label: dict[str, int]
    withheld: int = 0


@dataclass(frozen=True)
class ReidentificationRiskFacts:
    """k, l and t of what is detected in the documents (see corpus/reidentification_risk.py): the
    least `k` and `l` and the largest `t` of all, and shares of documents.

    `unique_share` have k = 1 (`unique_documents` of them), `below_5_share` k < 5; those
    `..._without_words` when nobody knows rare words. `one_label_share` of the documents that are
    not unique are told apart by their label: all that something known fits have the same.
    """

    digest: str
    documents: int
    documents_with_any: int
    unique_documents: int
    unique_share: float
    below_5_share: float
    unique_share_without_words: float
    below_5_share_without_words: float
    k: int | None
    l: int | None  # noqa: E741 - its name in the literature
    t: float | None
    one_label_share: float | None
    computed: int
