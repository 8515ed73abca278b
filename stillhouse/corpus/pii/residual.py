"""What a last scan still finds in the masked texts, and whether that may be."""

from __future__ import annotations

from dataclasses import dataclass

from stillhouse.corpus.pii.recognizers import NER_KINDS
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import counts, one_row

NAMES_ALLOWED = 0.01
"""Share of documents in which a last scan may still see a name."""


# Kinds that only a model sees: without a form, it may see them where nothing stands.
SEEN_KINDS = {*NER_KINDS, "ADDRESS"}


@dataclass(frozen=True)
class ResidualFacts:
    """Finds by kind, how many of them are of a kind with a fixed form, and where names are left."""

    documents: int
    residual_of_fixed_form: int
    documents_with_residual_names: int
    by_kind: dict[str, int]

    @property
    def passed(self) -> bool:
        """Nothing of a fixed form is left, and names in at most `NAMES_ALLOWED` of the documents.

        Numbers, mail addresses and what the project's own patterns describe are found again if they
        are there. A recognizer of names sees others in a masked text, where there are none.
        """
        allowed = NAMES_ALLOWED * self.documents
        return not self.residual_of_fixed_form and self.documents_with_residual_names <= allowed


def residual_findings(layout: Layout) -> ResidualFacts:
    """What is left in `masked_documents`: titles, texts and columns."""
    table = layout.table("masked_documents")
    names = ", ".join(f"'{kind}'" for kind in sorted(SEEN_KINDS))
    by_kind = counts(
        "SELECT kind, count(*) FROM (SELECT unnest(residual) AS kind FROM t) "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
        t=table,
    )
    documents = one_row(
        "SELECT count(*) AS n, "  # noqa: S608 - names of our own
        f"count(*) FILTER (list_has_any(residual, [{names}])) AS named FROM t",
        t=table,
    )
    fixed = sum(n for kind, n in by_kind.items() if kind not in SEEN_KINDS)
    return ResidualFacts(documents["n"], fixed, documents["named"], by_kind)
