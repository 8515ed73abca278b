import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stillhouse.report.markdown import JOINER, literal, markdown_table

# As Dagster's UI shows Markdown: CommonMark and tables, without raw HTML.
RENDERER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
# What its renderer (mdast-util-gfm-autolink-literal) makes a link of in text that it shows.
LINKED = re.compile(r"(https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+(\.[-\w]+)+", re.IGNORECASE)
SPECIAL = "\\`*_{}[]<>()#+-.!|~&$@:/\"'^=%"


def shown(markdown: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", RENDERER.render(markdown))).replace(JOINER, "").strip()


def cells(markdown: str) -> list[list[str]]:
    rows = RENDERER.render(markdown).split("<tr>")[1:]
    return [
        [unescape(cell).replace(JOINER, "") for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", row)]
        for row in rows
    ]


@pytest.mark.parametrize("character", SPECIAL)
def test_every_special_character_shows_as_itself(character):
    for text in (f"a{character}b", f"a {character} b", f"a{character * 3}b", f"x {character}y"):
        assert shown("say " + literal(text)) == f"say {text}"
        assert cells(markdown_table(["h"], [[text]])) == [["h"], [text]]


def test_each_character_is_escaped_once():
    assert literal("(a&b) <i> |") == "(a&amp;b) &lt;i&gt; &#124;"
    assert literal("&#40;") == "&amp;\\#40;"
    assert shown(literal("&#40;")) == "&#40;"


@given(st.text(alphabet="\\|`*_[]()<>&!#~$@:/.hpstw a-\n", max_size=40))
def test_text_brings_no_markup_and_stays_in_its_cell(text):
    wanted = " ".join(text.split())
    table = markdown_table(["h", "k"], [[text, "x"]])
    assert cells(table) == [["h", "k"], [wanted, "x"]]
    assert set(re.findall(r"<(\w+)", RENDERER.render(table))) <= {
        *("table", "thead", "tbody", "tr", "th", "td")
    }


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/a",
        "HTTP://evil.example",
        "go to www.evil.example now",
        "mail jane.doe@evil.example",
        "![](https://evil.example/beacon.png)",
    ],
)
def test_nothing_becomes_a_link(text):
    rendered = RENDERER.render(literal(text))
    assert "<a" not in rendered
    assert "<img" not in rendered
    assert LINKED.search(text)
    assert not LINKED.search(unescape(rendered))
    assert shown(literal(text)) == text


def test_table_is_readable_as_text_and_cuts_long_cells():
    table = markdown_table(["name", "n"], [["first_task", 3], [None, 12.5], ["x" * 30, ""]], 12)
    assert table.splitlines() == [
        "| name         | n    |",
        "| ------------ | ---- |",
        "| first_task   | 3    |",
        "|              | 12.5 |",
        "| xxxxxxxxxxx… |      |",
    ]
