"""Personal data of the corpus is told from what was made up, and never repeated."""

from __future__ import annotations

import pytest

from stillhouse.audit.personal import PersonalData
from stillhouse.audit.vocabulary import kept
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.vault import VaultEntry

ENTRIES = [
    VaultEntry("Person-kuvora", "PERSON", "Maria Gonzalez"),
    VaultEntry("Person-bemilo", "PERSON", "Maria"),
    VaultEntry("Phone-1", "PHONE_NUMBER", "+44 20 7946 0958"),
    VaultEntry("Person-x", "PERSON", "Li Wu"),
]
LEARNED = [["Write to ann.lee@corp.test today.", "An answer."], ["Nothing here."]]


@pytest.fixture(scope="module")
def personal() -> PersonalData:
    masker = Masker(
        MaskSettings(entities=("EMAIL_ADDRESS",), patterns={}), b"sixteen bytes and more"
    )
    return PersonalData(ENTRIES, masker, LEARNED)


def test_what_leaks_is_of_the_vault_or_stood_in_a_text_that_was_learned(
    personal: PersonalData,
) -> None:
    texts = [
        "I asked MARIA\n gonzalez, twice",  # however it is written
        "call 0044 20-7946.0958",
        "call +44 (20) 7946 0959",  # another number
        "Maria is a name that many bear",
        "write to Ann.Lee@corp.test",
        "write to bob.ray@corp.test",  # made up
        "Li Wu",  # too short to be told from chance
    ]
    found, leaking, shown = personal.look(texts)
    assert leaking == [True, True, False, False, True, False, False]
    assert found.vault == {"PERSON": 1, "PHONE_NUMBER": 1}
    assert found.learned == {"EMAIL_ADDRESS": 1}
    assert found.made_up == {"EMAIL_ADDRESS": 1}
    assert (found.texts, found.leaking, found.recognized) == (7, 3, 2)
    # Nothing that is shown holds any of it.
    everything = " ".join(shown).casefold()
    for value in ("gonzalez", "7946.0958", "ann.lee", "bob.ray"):
        assert value not in everything
    assert "a name that many bear" in everything


def test_words_of_the_vault_in_a_vocabulary(personal: PersonalData) -> None:
    words = personal.single_words()
    assert words["PERSON"] == {"gonzalez"}
    assert kept(words, {"gonzalez", "the"}).by_kind == {"PERSON": 1}
    pieces = kept(words, {"gonz", "alez", "the"})
    assert (pieces.words, pieces.tokens, pieces.pieces) == (1, 0, 1)
    assert kept(words, {"gon", "zalez"}).pieces == 0
    assert kept({}, {"the"}).words == 0
