"""What stands in the text in the end. What is found has nothing to do with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

import pytest

from stillhouse.config.corpus import Operator
from stillhouse.corpus.pii.masker import Entity, Masker, vault_entries
from stillhouse.corpus.pii.operators import Operators
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.surrogates import FORMS
from stillhouse.offline import go_offline

KEY = b"a key of more than sixteen bytes"
TEXTS = [
    "Hi Sarah, John Smith says the invoice 2024-118 is open.\n\nRegards,\nLeila Raman",
    "Ask Leila Raman, leila.raman@acme.test or +44 20 7946 0958, from 10.20.30.40.",
    "IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111, my SSN 536-22-8726.",
    "Our account with you: BW-711824-3. The contracts look terrible. Call Tom Baker, Sarah.",
    "The printer on floor 3 jams.",
]
OPERATORS = get_args(Operator)
NOTHING_FOUND = [0, 0, 0, 0, 0]

Masking = Callable[[Any], Masker]


@pytest.fixture(scope="module")
def masking() -> Masking:
    """Maskers by operator, over one recognizer."""
    go_offline()
    first = Masker(MaskSettings(), KEY)

    def masker(operator: Any) -> Masker:
        other = Masker(MaskSettings(operator=operator), KEY)
        vars(other)["_detector"] = first._detector
        return other

    return masker


def places(entities: list[Entity]) -> list[tuple[str, int, int]]:
    return [(entity.kind, entity.start, entity.end) for entity in entities]


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_same_is_found_and_nothing_of_what_was_written(
    masking: Masking, operator: Operator
) -> None:
    usual = [masked for masked, _ in masking("pseudonymize").clean_many(TEXTS)]
    cleaned = list(masking(operator).clean_many(TEXTS))
    assert [len(left.entities) for _, left in cleaned] == NOTHING_FOUND
    assert sum(len(masked.entities) for masked in usual) >= 13
    for text, before, (masked, _) in zip(TEXTS, usual, cleaned, strict=True):
        assert places(masked.entities) == places(before.entities)
        built, end = "", 0
        for entity in masked.entities:
            built += text[end : entity.start] + entity.pseudonym
            end = entity.end
            assert entity.pseudonym != text[entity.start : entity.end]
        assert masked.text == built + text[end:]


@pytest.mark.parametrize("operator", ["pseudonymize", "mask", "mask_last_4", "hash", "replace"])
def test_a_text_that_was_masked_elsewhere_stays_as_it_is(
    masking: Masking, operator: Operator
) -> None:
    masker = masking(operator)
    for masked, _ in masker.clean_many(TEXTS):
        assert masker.mask(masked.text).text == masked.text


def test_surrogates_that_only_we_write_stay_as_they_are(masking: Masking) -> None:
    masker = masking("surrogate")
    for masked, _ in masker.clean_many(TEXTS):
        left = masker.mask(masked.text).entities
        assert not {entity.kind for entity in left} & set(FORMS)
        # Else an invented name in somebody's text would be as safe under the other operators.
    assert masking("pseudonymize").mask("Regards, Ranavidor Talindagal").entities


def test_one_value_has_one_surrogate_in_all_documents(masking: Masking) -> None:
    first, second, *_ = masking("surrogate").clean_many(TEXTS)
    leila = first[0].entities[-1].pseudonym
    assert leila in second[0].text and leila.replace(" ", ".").lower() in second[0].text
    assert "Leila" not in first[0].text + second[0].text


def test_each_kind_has_its_operator(masking: Masking) -> None:
    chosen = {
        "default": "redact",
        "PERSON": "surrogate",
        "CREDIT_CARD": "mask_last_4",
        "US_SSN": "mask",
        "IBAN_CODE": "hash",
        "ACCOUNT_NUMBER": "pseudonymize",
        "IP_ADDRESS": "replace",
    }
    masked = {e.kind: e for text in masking(chosen).mask_many(TEXTS) for e in text.entities}
    stands = {kind: entity.pseudonym for kind, entity in masked.items()}
    assert stands["EMAIL_ADDRESS"] == stands["PHONE_NUMBER"] == ""
    assert stands["CREDIT_CARD"] == "************1111"
    assert stands["US_SSN"] == "*********"
    assert re.fullmatch(r"Iban-0x[0-9a-f]{12}", stands["IBAN_CODE"])
    assert re.fullmatch(r"Account-[a-z]{6}", stands["ACCOUNT_NUMBER"])
    assert stands["IP_ADDRESS"] == "<IP_ADDRESS>"
    kinds = {e.kind for t in TEXTS for e in vault_entries(t, masking(chosen).mask(t))}
    assert kinds == {"PERSON", "IBAN_CODE", "ACCOUNT_NUMBER"}


def test_only_numbers_keep_their_end() -> None:
    kept = Operators("mask_last_4", KEY, 3)
    assert kept.written("PERSON", "Maria Gonzalez", "") == "***** ********"
    assert kept.written("IBAN_CODE", "DE89 3704 0044 0532 0130 00", "") == "*" * 18 + "3000"
    assert kept.written("ACCOUNT_NUMBER", "4711-08", "") == "******"


def test_a_hash_is_the_keys() -> None:
    mine, other = Operators("hash", KEY, 3), Operators("hash", KEY[::-1], 3)
    written = [mine.written("PERSON", name, "") for name in ("Tom Baker", "TOM  BAKER", "Tim")]
    assert written[0] == written[1] != written[2]
    assert other.written("PERSON", "Tom Baker", "") != written[0]


def test_fingerprints_follow_the_operators_of_kinds_that_are_masked() -> None:
    def fingerprint(operator: Any) -> str:
        return MaskSettings(entities=("PERSON", "URL"), operator=operator).fingerprint()

    usual = fingerprint("pseudonymize")
    same = [{}, {"default": "pseudonymize"}, {"PERSON": "pseudonymize"}, {"US_SSN": "mask"}]
    assert {fingerprint(operator) for operator in same} == {usual}
    both = {"PERSON": "hash", "URL": "hash"}
    assert fingerprint("hash") == fingerprint({"default": "hash"}) == fingerprint(both)
    assert fingerprint({"default": "redact", **both}) == fingerprint("hash")
    different = [{"PERSON": "hash"}, {"URL": "hash"}, "hash", "surrogate", "mask", "redact"]
    assert len({usual, *map(fingerprint, different)}) == 7
