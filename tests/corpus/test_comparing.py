from __future__ import annotations

import duckdb

from stillhouse.corpus.comparing import content_key
from stillhouse.corpus.pii.operators import Operators

KEY = b"a key of more than sixteen bytes"


def key_of(text: str) -> object:
    return duckdb.execute(f"SELECT {content_key('t')} FROM (SELECT ? AS t)", [text]).fetchall()


def test_who_is_named_makes_no_other_text() -> None:
    for operator in ("pseudonymize", "surrogate", "hash"):
        stands = Operators(operator, KEY, 3).written
        texts = [
            f"Call {stands('PERSON', name, '')}, or write to {stands('EMAIL_ADDRESS', mail, '')}."
            for name, mail in [("Tom Baker", "tom.baker@acme.test"), ("Li Wei", "li_wei@abc.test")]
        ]
        assert texts[0] != texts[1]
        assert key_of(texts[0]) == key_of(texts[1])
        assert key_of(texts[0].replace("Call", "Ask")) != key_of(texts[0])
