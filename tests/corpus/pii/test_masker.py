from __future__ import annotations

import gc
import itertools
import multiprocessing
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.corpus.pii import pool as mask_pool
from stillhouse.corpus.pii.masker import Entity, Masked, Masker, vault_entries
from stillhouse.corpus.pii.pool import clean_in_processes
from stillhouse.corpus.pii.settings import DEFAULT_ENTITIES, MaskSettings
from stillhouse.corpus.pii.spans import Finding, without_overlaps
from stillhouse.errors import UserError
from stillhouse.offline import go_offline

KEY = b"a key of more than sixteen bytes"
PSEUDONYM = re.compile(r"[A-Z]\w+-([bdfhjklmnprstvz][aeiou]){3}")

# What a person would mark in each text.
SAMPLES: list[tuple[str, list[str]]] = [
    ("Hi, this is Maria Gonzalez from Leeds, my laptop wont boot.", ["Maria Gonzalez"]),
    ("My Outlook keeps asking for the password. Regards, Tom Baker", ["Tom Baker"]),
    ("It works again.\n\nThanks,\nPriya", ["Priya"]),
    ("Hi Sarah, John Smith says the invoice 2024-118 is open.", ["Sarah", "John Smith"]),
    (
        "pls call +44 20 7946 0958 or mail j.doe@corp.local",
        ["+44 20 7946 0958", "j.doe@corp.local"],
    ),
    ("I was told by Mr. Okonkwo in HR to wait.", ["Okonkwo"]),
    ("My name is Ngozi Adeyemi, badge lost.", ["Ngozi Adeyemi"]),
    (
        "If in doubt ask Leila Raman, leila.raman@acme.test.",
        ["Leila Raman", "leila.raman@acme.test"],
    ),
    ("IBAN DE89 3704 0044 0532 0130 00 is new", ["DE89 3704 0044 0532 0130 00"]),
    ("card 4111 1111 1111 1111 got charged twice", ["4111 1111 1111 1111"]),
    ("server at 10.20.30.40 not reachable", ["10.20.30.40"]),
    ("my SSN 536-22-8726 was on the letter", ["536-22-8726"]),
    ("Our account with you: BW-711824-3. Please check.", ["BW-711824-3"]),
    ("Customer no. 44920155 was billed twice for order SO-77812", ["44920155"]),
    ("Fine.\n-- \nElif O'Rourke | sales", ["Elif O'Rourke"]),
    ("Jira and Confluence are down again!!", []),
    ("I need leave for Ramadan and Easter, how does Workday handle that?", []),
    ("MacBook Pro wont charge, Teams says Unknown Error", []),
    ("Recieve error 0x80070005 when instaling Adobe Acrobat", []),
    ("Pls order 3 Logitech mice and a Dell monitor by 12 May 2024", []),
    ("Invoice INV-20391 over 1,250.00 EUR for 10000 units", []),
    ("Password expired, Okta says Account Locked", []),
    ("Thanks,\nthe Helpdesk", []),
    ("Dear Support, Hello Team, the printer on floor 3 jams.", []),
]


@pytest.fixture(scope="module")
def masker() -> Masker:
    go_offline()
    return Masker(MaskSettings(), KEY)


def found(masker: Masker, text: str) -> list[str]:
    return [text[e.start : e.end] for e in masker.mask(text).entities]


@pytest.mark.parametrize(("text", "expected"), SAMPLES, ids=[s[0][:30] for s in SAMPLES])
def test_what_is_found_in_tickets(masker: Masker, text: str, expected: list[str]) -> None:
    assert found(masker, text) == expected


def test_the_text_around_stays_and_the_values_are_gone(masker: Masker) -> None:
    for text, values in SAMPLES:
        masked = masker.mask(text)
        end = position = 0
        for entity in masked.entities:
            before = text[end : entity.start]
            assert masked.text[position:].startswith(before + entity.pseudonym)
            position += len(before) + len(entity.pseudonym)
            end = entity.end
            assert PSEUDONYM.fullmatch(entity.pseudonym)
        assert masked.text[position:] == text[end:]
        assert not any(value in masked.text for value in values)


def test_one_value_has_one_pseudonym_however_it_is_written(masker: Masker) -> None:
    same = masker.pseudonym("PERSON", "Maria Gonzalez")
    assert masker.pseudonym("PERSON", "MARIA  GONZALEZ") == same
    assert masker.pseudonym("PERSON", "Maria Gonzales") != same
    card = masker.pseudonym("CREDIT_CARD", "4111 1111 1111 1111")
    assert masker.pseudonym("CREDIT_CARD", "4111-1111-1111-1111") == card
    texts = ["Regards, Tom Baker", "Tom Baker wrote to me on Monday about the pump."]
    first, second = (m.entities[0].pseudonym for m in masker.mask_many(texts))
    assert first == second == masker.pseudonym("PERSON", "tom baker")


def test_the_key_decides(masker: Masker) -> None:
    other = Masker(masker.settings, b"another key of sixteen bytes")
    values = [f"person{n}@acme.test" for n in range(50)]
    mine = [masker.pseudonym("EMAIL_ADDRESS", v) for v in values]
    theirs = [other.pseudonym("EMAIL_ADDRESS", v) for v in values]
    assert sum(a == b for a, b in zip(mine, theirs, strict=True)) <= 1
    assert masker.fingerprint() != other.fingerprint()
    assert KEY.decode() not in repr(masker.fingerprint())
    with pytest.raises(ValueError, match="16 bytes"):
        Masker(masker.settings, b"short")


def test_pseudonyms_spread_evenly(masker: Masker) -> None:
    names = {masker.pseudonym("PERSON", f"name {n}") for n in range(2000)}
    # 4.7 shared pairs are expected of 421,875 codes; 20 would be a broken hash.
    assert len(names) > 1980


def test_masking_again_changes_nothing_and_little_remains(masker: Masker) -> None:
    for masked in masker.mask_many([text for text, _ in SAMPLES]):
        assert masker.mask(masked.text).text == masked.text
        assert masker.residual(masked.text) == []


def test_masking_once_more_keeps_places_in_the_original() -> None:
    """What a second scan finds between, before and after the pseudonyms of the first."""
    original = "Ann met tom@acme.test, then Bob; eve@acme.test told Cy."
    first = hand_masked(original, {"tom@acme.test": "Email-kuvora", "eve@acme.test": "E-z"})
    second = hand_masked(first.text, {"Ann": "Person-a", "Bob": "Person-bodovu", "Cy": "P"})
    both = first.then(second)
    assert both.text == "Person-a met Email-kuvora, then Person-bodovu; E-z told P."
    found = [(original[e.start : e.end], e.pseudonym) for e in both.entities]
    assert found == [
        ("Ann", "Person-a"),
        ("tom@acme.test", "Email-kuvora"),
        ("Bob", "Person-bodovu"),
        ("eve@acme.test", "E-z"),
        ("Cy", "P"),
    ]


def test_masking_once_more_after_redaction_keeps_places() -> None:
    original = "tom@acme.test Ann"
    first = hand_masked(original, {"tom@acme.test": ""})
    both = first.then(hand_masked(first.text, {"Ann": ""}))
    assert [original[e.start : e.end] for e in both.entities] == ["tom@acme.test", "Ann"]


def hand_masked(text: str, pseudonyms: dict[str, str]) -> Masked:
    places = sorted((text.index(value), value) for value in pseudonyms)
    entities = [Entity("ANY", at, at + len(v), 1.0, pseudonyms[v]) for at, v in places]
    for value, pseudonym in pseudonyms.items():
        text = text.replace(value, pseudonym)
    return Masked(text, entities)


def test_a_word_before_a_pseudonym_is_masked_only_if_it_looks_like_a_name(masker: Masker) -> None:
    # The recognizer of names takes both for one name, in English and beside a pseudonym.
    anna = masker.pseudonym("PERSON", "Anna Schmidt")
    for before, after in (("Am 18/4 hieß es, der", "werde kommen."), ("¿Ha firmado ya", "?")):
        text = f"{before} {anna} {after}"
        assert masker.mask(text).text == text
    text = f"Saludos cordiales\nCándido {anna}\n"
    assert [text[e.start : e.end] for e in masker.mask(text).entities] == ["Cándido"]


def test_residual_finds_what_was_left(masker: Masker) -> None:
    (left,) = masker.residual("Person-kuvora wrote to maria@acme.test")
    assert (left.kind, left.start) == ("EMAIL_ADDRESS", 23)


def test_names_found_once_are_masked_everywhere_in_the_text(masker: Masker) -> None:
    text = "Dear Gudrun Hallgrimsdottir,\nplease hallo. gudrun x. Gudrun? Hallgrimsdottir!"
    masked = masker.mask(text)
    assert "Gudrun" not in masked.text
    assert "Hallgrimsdottir" not in masked.text


def test_operators() -> None:
    text = "mail tom@acme.test"
    only = ("EMAIL_ADDRESS",)
    replaced = Masker(MaskSettings(operator="replace", entities=only), KEY)
    assert replaced.mask(text).text == "mail <EMAIL_ADDRESS>"
    assert replaced.residual("mail <EMAIL_ADDRESS>") == []
    redacted = Masker(MaskSettings(operator="redact", entities=only), KEY)
    assert redacted.mask(text).text == "mail "
    assert (
        vault_entries(text, replaced.mask(text)) == vault_entries(text, redacted.mask(text)) == []
    )


def test_allow_list_thresholds_and_patterns() -> None:
    text = "Ask desk@acme.test about 10.0.0.1 and room R-204"
    plain = Masker(MaskSettings(entities=("EMAIL_ADDRESS", "IP_ADDRESS")), KEY)
    assert found(plain, text) == ["desk@acme.test", "10.0.0.1"]
    tuned = MaskSettings(
        entities=("EMAIL_ADDRESS", "IP_ADDRESS", "ROOM"),
        allow_list=("Desk@ACME.test",),
        thresholds={"IP_ADDRESS": 0.95},
        patterns={"ROOM": (r"\bR-\d{3}\b",)},
    )
    assert found(Masker(tuned, KEY), text) == ["R-204"]


def test_settings_that_are_wrong_say_so() -> None:
    with pytest.raises(UserError, match="EMAIL_ADDRESS"):
        Masker(MaskSettings(entities=("EMAIL_ADRESS",)), KEY).mask("x")
    with pytest.raises(UserError, match="no_such_model"):
        Masker(MaskSettings(nlp_model="no_such_model"), KEY).mask("x")
    with pytest.raises(UserError, match="not for de"):
        Masker(MaskSettings(languages=("de",)), KEY).mask("x")
    with pytest.raises(UserError, match="regular expression"):
        Masker(MaskSettings(entities=("X",), patterns={"X": ("(",)}), KEY).mask("x")


def test_languages_without_a_model_are_said(caplog: pytest.LogCaptureFixture) -> None:
    Masker(MaskSettings(languages=("en", "fr")), KEY).mask("x")
    assert "not for fr" in caplog.text


def test_any_kind_that_presidio_knows_can_be_asked_for() -> None:
    settings = MaskSettings(entities=("UK_NHS", "DE_TAX_ID", "MAC_ADDRESS", "LOCATION"))
    assert found(Masker(settings, KEY), "NHS number 943 476 5919 in Paris") == [
        "943 476 5919",
        "Paris",
    ]


def test_no_kinds_mask_nothing() -> None:
    text = (
        "Paul McCartney, mail j.doe@acme.test from 10.20.30.40, card 4111 1111 1111 1111, BW-711824"
    )
    assert Masker(MaskSettings(entities=()), KEY).mask(text) == Masked(text, [])


def test_fingerprint_follows_the_settings() -> None:
    plain = MaskSettings().fingerprint()
    assert MaskSettings().fingerprint() == plain
    changed = [
        MaskSettings(entities=DEFAULT_ENTITIES[:-1]),
        MaskSettings(thresholds={"PERSON": 0.9}),
        MaskSettings(allow_list=("Tarn",)),
        MaskSettings(deny_list=("Tarn",)),
        MaskSettings(context={"PASSPORT": ("Dokument",)}),
        MaskSettings(countries=("de",)),
        MaskSettings(recognizer="none"),
        MaskSettings(operator="redact"),
        MaskSettings(syllables=4),
    ]
    assert len({plain, *(settings.fingerprint() for settings in changed)}) == 10


def test_vault_entries_say_what_was_there(masker: Masker) -> None:
    text = "mail tom@acme.test now"
    (entry,) = vault_entries(text, masker.mask(text))
    assert (entry.kind, entry.value) == ("EMAIL_ADDRESS", "tom@acme.test")
    assert entry.pseudonym == masker.pseudonym("EMAIL_ADDRESS", "tom@acme.test")


def test_a_long_text_is_masked_to_its_end(masker: Masker) -> None:
    paragraph = "The pump is delivered with its gasket and a manual in four languages. " * 20
    text = "\n\n".join([paragraph, "Regards, Tom Baker", paragraph * 5, "mail end@acme.test"])
    assert found(masker, text) == ["Tom Baker", "end@acme.test"]


spans = st.builds(
    lambda start, length, score: Finding(f"K{score}", start, min(start + length, 40), score / 10),
    st.integers(0, 39),
    st.integers(1, 20),
    st.integers(1, 9),
)


@given(st.lists(spans, max_size=8))
def test_overlaps_are_parted_and_nothing_found_stays_uncovered(findings: list[Finding]) -> None:
    text = "abcdefghij" * 4
    kept = without_overlaps(text, findings, [])
    assert all(a.end <= b.start for a, b in itertools.pairwise(kept))
    covered = {i for f in kept for i in range(f.start, f.end)}
    wanted = {i for f in findings for i in range(f.start, f.end)}
    assert covered <= wanted
    for finding in findings:  # only slivers of one letter may stay of each
        left = sorted({*range(finding.start, finding.end)} - covered)
        assert all(b - a > 1 for a, b in itertools.pairwise(left))
    if findings:
        best = max(findings, key=lambda f: (f.score, f.end - f.start))
        assert best.end - best.start < 2 or best.start in covered


def test_empty_and_repeated_texts(masker: Masker) -> None:
    texts = ["", "mail a@acme.test", "", "mail a@acme.test"]
    masked = list(masker.mask_many(texts))
    assert masked[0] == masked[2] == Masked("", [])
    assert masked[1] == masked[3] != masked[0]


def test_processes_give_the_same_in_the_same_order(
    masker: Masker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_pool, "WORTH_A_PROCESS", 100)
    monkeypatch.setattr(mask_pool, "BLOCK", 7)
    texts = [f"{text} (case {n})" for n, (text, _) in enumerate(SAMPLES * 2)]

    def endless() -> Iterator[str]:
        while True:
            yield from texts

    # Left half way, over an input without end: the processes end all the same.
    iterator = clean_in_processes(masker, endless(), 2)
    assert list(itertools.islice(iterator, len(texts))) == list(masker.clean_many(texts))
    assert len(multiprocessing.active_children()) == 2
    del iterator
    gc.collect()
    assert multiprocessing.active_children() == []


def test_small_inputs_start_no_process(masker: Masker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Iterator[Masked]:
        raise AssertionError("a process for 24 tickets")

    monkeypatch.setattr(mask_pool, "_sharded", refuse)
    assert len(list(clean_in_processes(masker, [text for text, _ in SAMPLES], 2))) == len(SAMPLES)


def test_lists_take_wildcards_and_what_is_listed_is_masked_whatever_else_allows_it() -> None:
    settings = MaskSettings(
        entities=("EMAIL_ADDRESS",),
        allow_list=("desk*@acme.test", "b?b@acme.test"),
        deny_list=("Project Falcon", "K-???", "*secret*", "bob@acme.test"),
    )
    text = (
        "desk1@acme.test, bib@acme.test, bob@acme.test: project\nFALCON, K-12a, K-1234, topsecret1"
    )
    masked = Masker(settings, KEY).mask(text)
    assert [(e.kind, text[e.start : e.end]) for e in masked.entities] == [
        ("LISTED", "bob@acme.test"),
        ("LISTED", "project\nFALCON"),
        ("LISTED", "K-12a"),
        ("LISTED", "topsecret1"),
    ]
    assert PSEUDONYM.fullmatch(masked.entities[0].pseudonym)
    assert Masker(settings, KEY).residual(masked.text) == []
    # The same, however it is spaced and written.
    mask = Masker(settings, KEY).pseudonym
    assert mask("LISTED", "project\nFALCON") == mask("LISTED", "Project Falcon")


def test_context_words_of_a_kind_make_a_number_one_of_it() -> None:
    text = "Vertragskonto lautet 4711 0815; Bestellung 4711 0816"
    plain = MaskSettings(entities=("ACCOUNT_NUMBER",), recognizer="none")
    told = MaskSettings(
        entities=("ACCOUNT_NUMBER",),
        recognizer="none",
        context={"ACCOUNT_NUMBER": ("Vertragskonto",)},
    )
    assert found(Masker(plain, KEY), text) == []
    assert found(Masker(told, KEY), text) == ["4711 0815"]


ADDRESSED: list[tuple[str, list[tuple[str, str]]]] = [
    (
        "Ship 40 units of P-1034 to Lisa McDonald, 69 Motunui Park, High Morganmouth 9816.",
        [("PERSON", "Lisa McDonald"), ("ADDRESS", "69 Motunui Park, High Morganmouth 9816")],
    ),
    ("Our Leeds site needs 12 monitors by 16 December, order SO-4711.", []),
]


@pytest.mark.parametrize(("text", "expected"), ADDRESSED)
def test_addresses_are_one_pseudonym_and_places_stay(
    masker: Masker, text: str, expected: list[tuple[str, str]]
) -> None:
    masked = masker.mask(text)
    assert [(e.kind, text[e.start : e.end]) for e in masked.entities] == expected
    assert masker.residual(masked.text) == []


def test_without_the_model_no_address_is_known() -> None:
    lean = Masker(MaskSettings(recognizer="none"), KEY)
    assert [e.kind for e in lean.mask(ADDRESSED[0][0]).entities] == ["PERSON"]
