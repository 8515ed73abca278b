from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.corpus.pii import pieces
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.pieces import pieces_of, together
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.spans import Finding
from stillhouse.offline import go_offline

PIECE, OVERLAP = 600, 120


@pytest.fixture(scope="module")
def masker() -> Masker:
    go_offline()
    return Masker(MaskSettings(), b"a key of more than sixteen bytes")


@pytest.fixture(scope="module")
def small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_CHARACTERS", PIECE)
        patch.setattr(pieces, "OVERLAP", OVERLAP)
        yield


@given(st.text("ab \n", max_size=300))
def test_pieces_cover_the_text_and_overlap(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_CHARACTERS", 40)
        patch.setattr(pieces, "OVERLAP", 6)
        found = list(pieces_of(text))
    assert all(text[at : at + len(piece)] == piece for at, piece in found)
    assert all(0 < len(piece) <= 40 for _, piece in found)
    covered = {i for at, piece in found for i in range(at, at + len(piece))}
    assert covered == set(range(len(text)))
    for (first, piece), (second, _) in pairwise(found):
        assert first < second <= first + len(piece) - 6


def test_a_text_without_spaces_is_cut_all_the_same(small_pieces: None) -> None:
    assert [at for at, _ in pieces_of("x" * 1500)] == [0, 480, 960]


def test_a_find_at_a_cut_counts_where_the_neighbour_sees_it_whole() -> None:
    def k(start: int, end: int) -> Finding:
        return Finding("K", start, end, 0.5)

    first, second = (0, "call 0170 123"), (2, "ll 0170 123 4567 now")
    assert together([(first, [k(5, 13)]), (second, [k(3, 16)])]) == [k(5, 18)]
    # One that no piece sees whole is kept as far as each sees it.
    long = [((0, "a" * 10), [k(0, 10)]), ((8, "a" * 10), [k(0, 10)])]
    assert together(long) == [k(0, 10), k(8, 18)]


PLANTED = {
    "+49 170 123 4567": "call us back on +49 170 123 4567 after noon",
    "DE89 3704 0044 0532 0130 00": "the new iban is DE89 3704 0044 0532 0130 00 from may on",
    "leila.raman@acme.example": "mail leila.raman@acme.example about it",
    "Priya Raghunathan": "it was signed by Mr Priya Raghunathan last week",
    "4111 1111 1111 1111": "card 4111 1111 1111 1111 got charged twice",
}
FILLER = "the pump is delivered with its gasket and a manual in four languages "


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(PLANTED)), st.integers(PIECE - 2 * OVERLAP, PIECE + 20))
def test_what_stands_on_a_border_is_found_as_when_it_stands_alone(
    masker: Masker, small_pieces: None, value: str, place: int
) -> None:
    sentence = PLANTED[value]
    before = (FILLER * 20)[: place - sentence.index(value)].rpartition(" ")[0] + " "
    text = before + sentence + " " + FILLER * 5
    assert len(list(pieces_of(text))) > 1
    alone, there = masker.mask(sentence), masker.mask(text)
    assert [(e.kind, e.start + len(before), e.pseudonym) for e in alone.entities] == [
        (e.kind, e.start, e.pseudonym) for e in there.entities
    ]
    assert value in {sentence[e.start : e.end] for e in alone.entities}
