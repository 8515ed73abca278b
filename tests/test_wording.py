from stillhouse.wording import (
    human_bytes,
    human_count,
    number,
    plain,
    plain_lines,
    setting,
    shortened,
)


def test_numbers_for_people():
    assert [human_count(x) for x in (None, 7, 999, 1000, 134_515_008, 1_700_000_000)] == [
        "–",
        "7",
        "999",
        "1.0 k",
        "135 M",
        "1.7 B",
    ]
    assert [human_bytes(x) for x in (0, 999_949, 43_210_000, 999_960_000)] == [
        "0 B",
        "1.0 MB",
        "43.2 MB",
        "1.0 GB",
    ]
    assert [number(x) for x in (None, 0, 0.12345, 12.345, 1234.5)] == [
        "–",
        "0",
        "0.123",
        "12.3",
        "1,234",
    ]


def test_settings_are_no_python():
    said = [None, [], [1, 8], {"1": 6, "16": 1}, 2000, 30.0, 0.05, True, "a.jsonl"]
    assert [setting(one) for one in said] == [
        *("–", "–", "1, 8", "1: 6, 16: 1", "2,000", "30", "0.05", "yes", "a.jsonl")
    ]


def test_plain_text_hides_nothing():
    assert plain(" a\x1b[31m\u202ered\ud800\x00\n b ") == "a [31m red b"
    assert plain_lines("one\x07\n\n  two\r\nthree") == "one\ntwo\nthree"
    assert plain("क्\u200dष") == "क्\u200dष"  # joined letters stay joined


def test_shortened():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
