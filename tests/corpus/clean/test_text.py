from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.corpus.clean.text import clean_text, strip_quoted_reply, strip_signature


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("cafe\u0301", "café"),
        ("soft\u00adhyphen and zero\u200bwidth\ufeff", "softhyphen and zerowidth"),
        ("a\x00b\x07c\ue000", "abc"),
        ("a\u00a0 \tb  \r\nc \r d", "a b\nc\nd"),
        ("one\n\n\n\n  two", "one\n\ntwo"),
        ("the reim-\nbursement of travel", "the reimbursement of travel"),
        ("the Anglo-\nSaxon kings", "the Anglo-Saxon kings"),
        ("a well-\nknown fact: it is well-known", "a well-known fact: it is well-known"),
        ("pages 12-\n14", "pages 12-\n14"),
        ("- one\n- two", "- one\n- two"),
        ("क्\u200dष", "क्\u200dष"),  # the joiner changes how Indic scripts are read
    ],
)
def test_clean_text(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@given(
    st.text(st.characters(codec="utf-8"), max_size=60)
    | st.text("ab-\n A\u0301\u00ad >", max_size=40)
)
def test_clean_text_is_stable_and_regular(raw: str) -> None:
    clean = clean_text(raw)
    assert clean_text(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in clean)
    assert "\n\n\n" not in clean


REPLY = "The new laptop works, thank you.\nPlease close the ticket."


@pytest.mark.parametrize(
    "quote",
    [
        "On Mon, 3 Jun 2024 at 09:12, IT Desk <it@acme.example> wrote:\n> Did you restart?\n> Bye",
        "On Mon, 3 Jun 2024 at 09:12, IT Desk\n<it@acme.example> wrote:\n\nDid you restart?",
        "Am 03.06.24 um 09:12 schrieb IT Desk:\n> Neu gestartet?",
        "-----Original Message-----\nDid you restart?",
        "From: IT Desk\nSent: Monday, 3 June 2024\nTo: Me\nSubject: Laptop\n\nDid you restart?",
        "> Did you restart?\n>> I did.",
    ],
)
def test_quotes_go(quote: str) -> None:
    assert strip_quoted_reply(f"{REPLY}\n\n{quote}") == REPLY


def test_a_reply_below_the_quote_stays() -> None:
    text = f"On 3 June 2024, Desk wrote:\n> Did you restart?\n\n{REPLY}"
    assert strip_quoted_reply(text) == REPLY


@pytest.mark.parametrize(
    "text",
    [
        "On startup the server wrote:\nsegmentation fault\nat every boot",
        "Values x > 3 are wrong, and a -> b too.",
        "From: the field is wrong.\nEverything else is fine.",
    ],
)
def test_what_only_looks_like_a_quote_stays(text: str) -> None:
    assert strip_quoted_reply(text) == text


@pytest.mark.parametrize(
    "signature",
    ["-- \nTom Baker\nFinance", "--\nTom", "Sent from my iPhone", "Get Outlook for iOS"],
)
def test_signatures_go(signature: str) -> None:
    assert strip_signature(f"{REPLY}\n\n{signature}") == REPLY


def test_a_rule_high_up_is_no_signature() -> None:
    text = "Summary\n--\n" + "\n".join(f"line {n}" for n in range(20))
    assert strip_signature(text) == text


@given(
    st.text("ab>\n-: 1", max_size=60) | st.sampled_from(["> all quoted", "Sent from my iPad", "--"])
)
def test_stripping_never_empties_a_text(text: str) -> None:
    for strip in (strip_quoted_reply, strip_signature):
        assert bool(strip(text)) == bool(text.strip())


@pytest.mark.parametrize(
    ("clean", "piece"),
    [
        (clean_text, "hyphen-\nated words stand here \n"),
        (clean_text, " \t \n\x07"),
        (strip_quoted_reply, "On 1 May 2024, Ann wrote:\n"),
        (strip_quoted_reply, "From: a\nSent: b\nTo: c\n"),
        (strip_signature, "--\n"),
    ],
)
def test_time_grows_with_the_text(clean: Callable[[str], str], piece: str) -> None:
    def seconds(pieces: int) -> float:
        text = piece * pieces + "\n> end"
        best = 60.0
        for _ in range(3):
            started = time.process_time()
            clean(text)
            best = min(best, time.process_time() - started)
        return best

    # Eight times the text took sixty times as long where each line looked at all the others.
    assert seconds(16_000) < 24 * max(seconds(2_000), 0.001)


def test_utf_8_read_as_latin_1_is_mended_before_its_controls_go() -> None:
    meant = "Ä „Ö“ – 5 €, ไทย, 日本, 🙂"
    assert clean_text(meant.encode().decode("latin-1")) == meant
    assert clean_text("an â€\x9d, a Ã\x84") == "an ”, a Ä"
    for kept in ("Ã¼ is how a wrong ü looks", "für, À la carte", "Â", "naïve façade"):
        assert clean_text(kept) == kept


def test_a_suspended_dash_is_no_broken_word() -> None:
    assert clean_text("Vor-\nund Nachteile der Prü-\nfung") == "Vor- und Nachteile der Prüfung"
    assert clean_text("short-\nand long-term") == "short- and long-term"
