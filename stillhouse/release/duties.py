"""What the teacher's licence asks of whoever passes the student on."""

from __future__ import annotations


def duties_of(licence: str) -> tuple[str, ...]:
    """A sentence each. The student stands under its teacher's terms until somebody who has read
    them says otherwise."""
    return (
        f"Its teacher is under {licence}: keep that licence's text and notices with the model, and "
        "read in them what they ask of models that were made with its outputs.",
    )
