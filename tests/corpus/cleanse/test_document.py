"""One document: what goes, what stays, and that all of it can be put back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.corpus.cleanse.boilerplate import Known
from stillhouse.corpus.cleanse.document import cleanse
from stillhouse.corpus.cleanse.edits import undo
from stillhouse.corpus.cleanse.lines import lines_of, shape_of
from tests.corpus.cleanse.made import NOISE, PROSE, SPARSE, TOPICS

ALONE = Known({}, is_record=False)
SENTENCES = list(TOPICS.values())


def done(text: str, known: Known = ALONE) -> tuple[str, list[str]]:
    """The cleansed text, and why something was taken out, in order."""
    found = cleanse(text, known)
    assert undo(found.text, found.edits) == text
    return found.text, [edit.reason for edit in found.edits]


def all_repeated(text: str, level: int = 3) -> Known:
    """As if each line of `text` were in most documents of the source."""
    shapes = (shape_of(line, digits=False) for line in lines_of(text))
    return Known(dict.fromkeys(filter(None, shapes), level), is_record=False)


def test_headers_and_page_numbers_within_a_text_go() -> None:
    pages = [
        f"Pump manual, revision C\n{SENTENCES[n]}\nNotes\n{SENTENCES[n + 4]}\nPage {n + 1} of 4"
        for n in range(4)
    ]
    kept = "\n".join(f"{SENTENCES[n]}\nNotes\n{SENTENCES[n + 4]}" for n in range(4))
    text, reasons = done("\n".join(pages))
    assert text == f"Pump manual, revision C\n{kept}"  # no page number stands above the first
    assert reasons.count("page_number") == 4 and reasons.count("running_header") == 3


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"Step {n}\n{SENTENCES[n]}" for n in range(1, 6)),
        "\n".join(f"{n}\n{SENTENCES[n]}" for n in range(1, 6)),
        "\n".join(f"See page {n} for details." for n in (7, 3, 9)),
        "\n\n".join(f"Chapter {n}\n\nSummary\n\n{SENTENCES[n]}" for n in range(1, 6)),
        "Breaks:\n- 1 -\nand no more",
        "Width 3 / 12\nHeight 2 / 12\nDepth 1 / 12",
    ],
)
def test_what_counts_something_else_stays(text: str) -> None:
    assert done(text) == (text, [])


def test_words_broken_over_what_was_taken_out_become_whole() -> None:
    text = (
        f"{SENTENCES[0]} All connec-\n\nPage 1\n\ntions are closed. Short-\n\nPage 2\n\nand long."
    )
    assert done(text)[0] == f"{SENTENCES[0]} All connections are closed. Short-\n\nand long."
    assert done("Die Prü-\n\nfung") == ("Die Prüfung", ["hyphenation"])
    assert done("Part AX-\n\n4711, Vor-\n\nund Nachteile, E-\n\nMail")[1] == []


def test_lines_of_symbols_and_lines_said_again_go() -> None:
    text = f"=====\n{SENTENCES[0]}\n. . . . . .\n" + "Please hold the line.\n" * 6 + "Thank you"
    assert done(text)[0] == f"{SENTENCES[0]}\nPlease hold the line.\nThank you"
    for kept in ("}\n}\n}\n}\n}", "---", "| --- | --- |\n" * 5, "12\n12\n12\n12\n12"):
        assert done(kept.strip())[1] == []


@pytest.mark.parametrize("text", [*SPARSE, *PROSE.values()])
def test_nothing_of_a_text_with_few_words_goes(text: str) -> None:
    found = cleanse(f"{text}\n\n{text}", ALONE)
    assert not found.edits and found.quality > 0.4


@pytest.mark.parametrize("noise", NOISE)
def test_noise_goes_from_between(noise: str) -> None:
    assert done(f"{PROSE['de']}\n{noise}\n{PROSE['fr']}")[0] == f"{PROSE['de']}\n{PROSE['fr']}"


def test_paths_of_pages_and_links_to_edit_them_go() -> None:
    text = f"Home > IT > VPN\n\nVPN at Acme\n\nDetails [edit]\n\n{SENTENCES[0]}"
    assert done(text)[0] == f"VPN at Acme\n\nDetails\n\n{SENTENCES[0]}"
    for kept in ("Open Settings > Network > Proxy\nThen restart.", "if a > b\nthen c", "[edit]"):
        assert done(kept) == (kept, [])


def test_short_repeated_lines_go_at_the_ends_alone() -> None:
    own = f"{SENTENCES[0]}\nSummary\n{SENTENCES[1]}\nContact"
    known = all_repeated("Summary\nContact\nAcme Intranet\nHome\nOverview")
    text, _ = done(f"Acme Intranet\nHome\n{own}", known)
    assert text == f"{SENTENCES[0]}\nSummary\n{SENTENCES[1]}"
    # What a text may begin with is no header; what too few have neither.
    for kept, level in ((f"Overview\n{own}", 3), (f"Acme Intranet\n{own}", 2)):
        some = all_repeated("Overview\nAcme Intranet", level)
        assert done(kept, some) == (kept, [])


def test_a_text_of_nothing_else_stays_whole() -> None:
    text = "\n".join(SENTENCES[:4])
    assert done(text, all_repeated(text, 4)) == (text, [])
    assert done(f"{text}\nOK", all_repeated(text, 4)) == (f"{text}\nOK", [])


def test_what_a_form_asks_stays_before_what_is_answered() -> None:
    form = "Help desk of Acme Industries\nPlease describe in your own words what is wrong:"
    text = f"{form}\n{SENTENCES[0]}\nWhen did you see it for the first time?\nPriority: high\nToday"
    known = all_repeated(text.replace(SENTENCES[0], "").replace("Today", ""))
    assert done(text, known) == (text, [])


def test_numbers_of_titles_and_fields_set_lines_apart() -> None:
    def same(one: str, other: str, *, digits: bool = False) -> bool:
        (a,), (b,) = lines_of(one), lines_of(other)
        return shape_of(a, digits=digits) == shape_of(b, digits=digits) != 0

    assert same("Page 3 of 12, printed 3.4.2024", "PAGE 4 of 12 – printed 12.11.2023")
    assert same("Acme Industries, edition of 2019", "Acme Industries, edition of 2024", digits=True)
    assert same("viewed 341 times by all", "viewed 17 times by all")
    assert not same("viewed 341 times by all", "viewed 17 times by all", digits=True)
    for pair in (
        ("Release notes 3.2", "Release notes 3.3"),
        ("Order number: 4711", "Order number: 4712"),
        ("DIN 933 M8x40", "DIN 933 M6x20"),
    ):
        assert not same(*pair)


@given(
    st.lists(
        st.sampled_from(
            [
                *("", *SENTENCES[:3], NOISE[0], "Page 1", "Page 2", "Menu", "-----"),
                *("fÃ¼r connec-", "tion", "We use cookies.", "OK", "VPN [edit]", "A > B", "B"),
            ]
        ),
        max_size=14,
    ),
    st.integers(0, 4),
)
def test_whatever_was_taken_out_can_be_put_back(lines: list[str], level: int) -> None:
    text = "\n".join(lines)
    done(text, all_repeated(f"Menu\n{SENTENCES[0]}\nOK", level) if level else ALONE)


@pytest.mark.parametrize(
    "piece", ["word ", "a1" * 40, "(", "Page 1 ", ": ", "| ", "-\n\na", "we use cookies ", "> a"]
)
def test_time_grows_with_the_text(piece: str) -> None:
    def once(pieces: int) -> float:
        started = time.process_time()
        cleanse(piece * pieces, ALONE)
        return time.process_time() - started

    def seconds(pieces: int) -> float:
        """The best of three: what else runs on the machine only adds to it."""
        return min(once(pieces) for _ in range(3))

    once(10)  # imports
    assert seconds(8_000) < 24 * max(seconds(1_000), 0.002)
