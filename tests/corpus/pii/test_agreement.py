from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.corpus.pii.agreement import agreed
from stillhouse.corpus.pii.masker import Masked, Masker, vault_entries
from stillhouse.corpus.pii.parts import (
    BREAK,
    COLUMNS_END,
    find_apart,
    joined,
    prose_of,
    values_of,
)
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.spans import Finding
from stillhouse.offline import go_offline

KEY = b"a key of more than sixteen bytes"


@pytest.fixture(scope="module")
def masker() -> Masker:
    go_offline()
    return Masker(MaskSettings(patterns={"ACCOUNT_NUMBER": (r"\bno\. \K[\d-]{4,}",)}), KEY)


def cleaned(masker: Masker, values: list[str], prose: str) -> tuple[list[str], str, Masked]:
    """The masked values, the masked prose, and what the last scan found."""
    ((masked, left),) = masker.clean_many([joined(values, prose)])
    return values_of(masked.text), masked.text[prose_of(masked.text) :], left


def test_a_whole_comes_apart_as_it_was_put_together() -> None:
    for values in ([], [""], ["a"], ["a", "", "b c"]):
        whole = joined(values, f"title{BREAK}text")
        assert values_of(whole) == values
        assert whole[prose_of(whole) :] == f"title{BREAK}text"
    assert joined([], "text") == "text"


@pytest.mark.parametrize(
    ("values", "prose"),
    [
        (["Anna Schmidt", "4711"], "This is Anna Schmidt, no. 4711 is mine."),
        (["4711-0815"], "My no. 4711-0815 is wrong. Is 4711-0815 blocked?"),
        (["anna schmidt"], "Mr Anna Schmidt called."),
        (["Schmidt", "Anna"], "This is Anna Schmidt, again Anna Schmidt."),
        (["Who is Anna Schmidt?", "Anna Schmidt"], "This is Anna Schmidt."),
        (["Who is Schmidt?", "Schmidt"], "This is Anna Schmidt."),
        (["0815-99"], "My no. 4711-0815-99-1 is wrong."),
        (["Schmidt, Berlin", "12"], "12 for Mr Anna Schmidt, Berlin"),
        (["leila.hartwick@contoso.example"], "Nobody but <leila.hartwick@contoso.example> knows."),
    ],
)
def test_a_piece_of_the_text_is_a_piece_of_the_masked_text(
    masker: Masker, values: list[str], prose: str
) -> None:
    new, text, left = cleaned(masker, values, prose)
    assert not left.entities
    for old, value in zip(values, new, strict=True):
        assert old not in prose or value in text
        for secret in ("schmidt", "anna", "4711", "0815", "hartwick"):
            assert secret not in f"{value} {text}".casefold()


def test_a_value_is_masked_alike_however_it_is_written(masker: Masker) -> None:
    new, text, _ = cleaned(
        masker,
        ["47110815", "4711 0815", "ANNA SCHMIDT", "x47110815"],
        "Mr Anna Schmidt, no. 4711-0815",
    )
    assert text == f"Mr {new[2]}, no. {new[0]}"
    assert new[0] == new[1]
    # It is a part of another word there: no one's number.
    assert new[3] == "x47110815"


def test_what_only_a_column_gives_away_is_masked_everywhere(masker: Masker) -> None:
    question, answer = "Whose is no. 4711-0815?", "4711-0815"
    new, text, left = cleaned(masker, [question, answer], "Here 4711-0815 and 47110815 stand.")
    assert new[0] == f"Whose is no. {new[1]}?"
    assert text == f"Here {new[1]} and {new[1]} stand."
    assert not left.entities


def test_short_numbers_are_quantities(masker: Masker) -> None:
    new, text, _ = cleaned(masker, ["30", "12"], "12 pieces; my no. is no. 4711-30-99.")
    assert new == ["30", "12"]
    assert text.startswith("12 pieces; my no. is no. Account-")
    assert "-30-" not in text


def test_what_is_allowed_stays_in_columns(masker: Masker) -> None:
    allowing = Masker(MaskSettings(allow_list=("Schmidt",)), KEY)
    prose = "This is Anna Schmidt. Regards, Anna"
    assert cleaned(masker, ["schmidt"], prose)[0] != ["schmidt"]
    assert cleaned(allowing, ["schmidt"], prose)[0] == ["schmidt"]


def test_a_text_is_read_alike_with_and_without_columns(masker: Masker) -> None:
    prose = "We need two Wireless Keyboards.\n\nRegards,\nLeila Hartwick"
    alone = masker.mask(prose)
    for values in (["2"], ["Blue", "no 12"], ["urgent"] * 40):
        whole = joined(values, prose)
        masked = masker.mask(whole)
        assert masked.text[prose_of(masked.text) :] == alone.text
        assert [e.start - prose_of(whole) for e in masked.entities] == [
            e.start for e in alone.entities
        ]


def test_columns_and_prose_are_read_apart_and_each_once() -> None:
    read: list[str] = []

    class Echo:
        def find(self, texts: list[str]) -> Iterator[list[Finding]]:
            read.extend(texts)
            return ([Finding("X", 0, len(text), 1.0)] for text in texts)

    wholes = [joined(["v"], "one"), joined(["v"], "two"), "one"]
    found = list(find_apart(Echo(), wholes))
    start = len(f"v{COLUMNS_END}")
    assert [[(f.start, f.end) for f in fs] for fs in found] == [
        [(0, start), (start, start + 3)],
        [(0, start), (start, start + 3)],
        [(0, 3)],
    ]
    assert sorted(read) == sorted([f"v{COLUMNS_END}", "one", "two"])


def test_the_vault_knows_the_pieces(masker: Masker) -> None:
    whole = joined(["Schmidt"], "This is Anna Schmidt.")
    masked = masker.mask(whole)
    entries = {(e.value, e.pseudonym) for e in vault_entries(whole, masked)}
    assert {value for value, _ in entries} == {"Anna", "Schmidt"}
    assert values_of(masked.text) == [masker.pseudonym("PERSON", "Schmidt")]


WORDS = st.sampled_from(["Anna", "Schmidt", "no", "12345", "a", "99", "x-1", "Lee,"])


@st.composite
def wholes(draw: st.DrawFn) -> tuple[str, list[Finding]]:
    """Values of which some are pieces of the prose, and findings of whole words anywhere."""
    prose = draw(st.lists(WORDS, min_size=3, max_size=12))
    values = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, len(prose) - 1))
        grounded = prose[first : first + draw(st.integers(1, 3))]
        values.append(" ".join(draw(st.sampled_from([grounded, draw(st.lists(WORDS))]))))
    whole = joined(values, " ".join(prose))
    spans = []
    for part in (*values, " ".join(prose)):
        words = part.split()
        texts = {part, *words, *map(" ".join, pairwise(words))} - {""}
        # Some of them begin within a word.
        spans += sorted((whole.find(text), whole.find(text) + len(text)) for text in texts)
    chosen = draw(st.lists(st.sampled_from(spans), max_size=4)) if spans else []
    kinds = st.sampled_from(["PERSON", "ACCOUNT_NUMBER"])
    return whole, [Finding(draw(kinds), a, b, draw(st.sampled_from([0.5, 0.9]))) for a, b in chosen]


@given(wholes())
def test_whatever_is_found_columns_and_prose_agree(case: tuple[str, list[Finding]]) -> None:
    whole, findings = case
    start = prose_of(whole)
    found = agreed(whole, findings, [], lambda _: True)
    assert all(a.end <= b.start for a, b in pairwise(found))
    covered = {at for f in found for at in range(f.start, f.end)}
    for f in findings:
        value = whole[f.start : f.end]
        if sum(map(str.isalnum, value)) > 1:
            missed = [at for at in range(f.start, f.end) if at not in covered]
            assert sum(whole[at].isalnum() for at in missed) <= 1, value

    def rendered(first: int, last: int) -> str:
        text, end = "", first
        for f in found:
            if first <= f.start and f.end <= last:
                text += whole[end : f.start] + f"<{f.kind}:{whole[f.start : f.end]}>"
                end = f.end
        return text + whole[end:last]

    prose, at = rendered(start, len(whole)), 0
    for value in values_of(whole):
        letters = sum(map(str.isalnum, value))
        quantity = letters < 5 and not any(map(str.isalpha, value))
        if f" {value} " in f" {whole[start:]} " and letters > 1 and not quantity:
            assert rendered(at, at + len(value)) in prose
        at += len(value) + len(BREAK)
