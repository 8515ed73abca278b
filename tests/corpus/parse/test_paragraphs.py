"""From lines and where they stand to paragraphs, columns and cells."""

from __future__ import annotations

from stillhouse.corpus.parse.blocks import join_rows
from stillhouse.corpus.parse.ocr import Line, Page
from stillhouse.corpus.parse.paragraphs import blocks_of


def line(text: str, left: float, top: float, height: float = 30, right: float = 0) -> Line:
    return Line(text, 1.0, left, top, right or left + 12 * len(text), top + height)


def texts(*lines: Line) -> list[str]:
    return [block.text for block in blocks_of(Page([*lines], 1000, 1400), 3)]


FULL = "so many words that the line is as wide as its column is"  # 660 wide


def test_lines_that_follow_closely_are_a_paragraph() -> None:
    found = texts(
        line(FULL, 100, 434, height=28),
        line(FULL, 98, 400, height=36),
        line("and end.", 101, 468),
        line(FULL, 100, 540),
        line("too.", 100, 574),
    )
    assert found == [f"{FULL}\n{FULL}\nand end.", f"{FULL}\ntoo."]


def test_a_short_line_that_ends_a_sentence_ends_its_paragraph() -> None:
    found = texts(*(line(t, 100, 400 + 34 * i) for i, t in enumerate([FULL, "It ends.", FULL])))
    assert found == [f"{FULL}\nIt ends.", FULL]


def test_items_of_a_list_stand_by_themselves() -> None:
    items = ["1. Open the valve and wait", "2. Close it", "• Or leave it"]
    assert texts(*(line(t, 100, 400 + 34 * i) for i, t in enumerate(items))) == items


def test_a_higher_line_is_a_heading() -> None:
    blocks = blocks_of(
        Page([line("Rules", 100, 200, 45), line(FULL, 100, 260), line(FULL, 100, 294)], 1000, 1400),
        3,
    )
    assert [(b.type, b.page) for b in blocks] == [("Title", 3), ("NarrativeText", 3)]
    assert blocks[0].top == 200 / 1400
    assert blocks[1].right == 760 / 1000


def test_pieces_of_a_line_are_joined_and_cells_become_a_table() -> None:
    lines = [
        line("Department", 100, 400),
        line("Limit", 600, 402),
        line("IT", 100, 440),
        line("800", 600, 438),
        line("EUR", 650, 439),
    ]
    (table,) = join_rows(blocks_of(Page(lines, 1000, 1400), 1))
    assert (table.type, table.text) == ("Table", "Department | Limit\nIT | 800 EUR")


def column(name: str, left: float, top: float, right: float = 0) -> list[Line]:
    words = [f"{name} has a line {number}" for number in ("one", "two", "four")]
    return [line(w, left, top + 34 * i, right=right) for i, w in enumerate(words)]


def test_columns_are_read_one_after_the_other_below_what_stands_across() -> None:
    across = line("A heading over all of the columns of this page as it is", 60, 300)
    below = line("What stands below all of the columns of this page as it is", 60, 600)
    lefts = (60, 360, 660)
    columns = [column(n, x, 400) for n, x in zip(("Ann", "Ben", "Cleo"), lefts, strict=True)]
    found = texts(below, across, *(x for row in zip(*columns, strict=True) for x in row))
    assert found == [
        across.text,
        *("\n".join(x.text for x in lines) for lines in columns),
        below.text,
    ]


def test_a_page_without_lines() -> None:
    assert texts() == []
