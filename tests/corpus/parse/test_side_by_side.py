from __future__ import annotations

from stillhouse.corpus.clean.text import clean_text
from stillhouse.corpus.parse.side_by_side import one_below_the_other

LEFT = """The pump is delivered with its gasket and
a manual in four languages. Before it is
started for the first time, the housing has
to be vented: open the screw on top until
no more bubbles come out, then close it
again by hand and run it for ten minutes.""".splitlines()
RIGHT = """Faults are shown by the red lamp. If it
blinks twice, the motor is too hot: let it
cool down for an hour. Three times means
that no water arrives; look at the valve in
the suction line and clean the strainer
with fresh water before you start it.""".splitlines()


def beside(left: list[str], right: list[str], width: int = 46) -> str:
    return "\n".join(f"{a:<{width}}{b}" for a, b in zip(left, right, strict=True))


def test_columns_of_text_are_read_one_after_the_other() -> None:
    across = "Operating manual of the pump, as it is delivered from this year on"
    page = f"{across}\n\n{beside(LEFT, RIGHT)}\n\n{across}"
    text = clean_text(one_below_the_other(f"{page}\fPage two"))
    columns = "\n".join(LEFT) + "\n\n" + "\n".join(RIGHT)
    assert text == f"{across}\n\n{columns}\n\n{across}\nPage two"


def test_columns_of_unlike_length_and_words_broken_at_their_end() -> None:
    left = [*LEFT, "Then close the in-"]
    right = ["let and the outlet, and", *RIGHT]
    text = clean_text(one_below_the_other(beside(left, right)))
    assert text.startswith("\n".join(LEFT)) and text.endswith("\n".join(RIGHT))


def test_a_line_may_fill_its_column() -> None:
    longest = max(map(len, LEFT))
    columns = "\n".join(LEFT) + "\n\n" + "\n".join(RIGHT)
    assert clean_text(one_below_the_other(beside(LEFT, RIGHT, longest + 1))) == columns


def test_tables_stay_row_by_row() -> None:
    parts = [f"DIN 933 M{n}x40 screw, zinc plated   {n * 12} pcs   {n},50" for n in range(1, 9)]
    faults = beside(
        ["The lamp blinks red", "The motor is too hot", "No water comes out", "It is very loud"]
        * 2,
        ["Empty the waste box", "Let it cool an hour", "Open the inlet valve", "Vent the pump"] * 2,
    )
    words = beside(["pump", "valve", "inlet", "outlet", "lamp", "seal"], RIGHT)
    for table in ("\n".join(parts), faults, words):
        assert one_below_the_other(table) == table
