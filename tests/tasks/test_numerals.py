import pytest

from stillhouse.tasks.numerals import numbers_in


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ("no digits, two words", []),
        ("30 of them by 9 May, SO-1558", [30, 9, 1558]),
        ("007", [7]),
        ("1,500 pieces", [1, 500, 1500, 1.5]),
        ("1.234.567,89 EUR", [1, 234, 567, 89, 1.234, 567.89, 1234567.89]),
        ("12 500 m and 3'000", [12, 500, 3, 0, 12500, 3000]),
        ("12 5000", [12, 5000]),
        ("2.0 mm", [2, 0]),
        ("-4 degrees, 10-12", [4, -4, 10, 12]),
        ("\u22121.5", [1, -1, 5, 1.5, -1.5]),
        ("(3)-2", [3, 2]),
        ("\u0e52\u0e53 \u0665", [23, 5]),
        ("9" * 301, []),
    ],
)
def test_numbers_are_read_in_every_way_a_reader_could(
    text: str, numbers: list[int | float]
) -> None:
    found = numbers_in(text)
    assert sorted(found) == sorted(numbers)
    # As JSON writes them: 2, not 2.0.
    assert {type(n) for n in found if n == int(n)} <= {int}


def test_an_endless_run_of_digits_takes_no_time() -> None:
    assert numbers_in("1," * 50_000 + "9" * 100_000) == [1, 1.1]
