import re
from html.parser import HTMLParser

import pytest

from stillhouse.report.page import breakable, columns, flatten
from stillhouse.tasks.sections import Answer, Sample, SampleGroup, Section, Table
from stillhouse.wording import plain


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


ALLOWED_ELEMENTS = re.compile(
    "html|head|meta|title|style|body|header|nav|section|footer|p|h1|h2|h3|b|a|strong|span|small"
    "|wbr|ul|li|div|table|thead|tbody|tr|th|td|figure|figcaption|img|details|summary"
)


def assert_inert(html: str) -> Page:
    page = Page(html)
    assert all(ALLOWED_ELEMENTS.fullmatch(tag) for tag, _ in page.elements)
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        if tag == "img":
            assert attributes["src"].startswith("data:image/svg+xml;base64,")
        else:
            assert "src" not in attributes
        assert re.fullmatch(r"#[a-z0-9-]+", attributes.get("href", "#x"))
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    return page


@pytest.fixture(scope="module")
def html(reported) -> str:
    return (reported / "report.html").read_text()


def test_page_is_self_contained_and_forbids_the_network(html):
    page = assert_inert(html)
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    directives = dict(x.strip().split(" ", 1) for x in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert directives["style-src"] == "'unsafe-inline'"
    assert not {"script-src", "connect-src"} & directives.keys()


def test_page_says_what_was_measured_and_recorded(html):
    page = Page(html)
    words = page.words
    for said in (
        "0.885 (0.79–0.98)",
        "Fit for release: passes all 4 gates",
        "0.05 to spare",
        "The quantized student beats the first sentence on digest by 18.5 points of overlap",
        "1/10 of its parameters and 1/100 of its size on disk",
        "The baseline is the first sentence",
        "Baseline0.700 (0.60–0.80)12––",
        "Measured on 200 held-out test examples",
        "ab12",
        "splits.seed",
    ):
        assert said in words
    assert words.index("Fit for release") < words.index("Overlap (95% CI)")
    assert ("section", {"class": "verdict pass"}) in page.elements


def test_page_shows_the_sections_of_a_task_whatever_its_kind(html):
    page = Page(html)
    words = page.words
    places = [
        words.index(said)
        for said in (
            "What came out",
            "A paragraph.",
            "1 of 3",
            "How to read it.",
            "Wrong ones (1 of 7)",
            "✗ given",
        )
    ]
    assert places == sorted(places)
    assert words.count("a sample") == 2  # in the table and among the samples
    # The section's plot, and the two panels of the learning curve.
    images = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert len(images) == len(set(images)) == 3


def test_folded_sections_open_on_demand(made, tmp_path):
    folded = Section("All of it", tables=[Table(["a"], [["1"]])], folded=True)
    made(sections={"digest": [folded]})
    page = Page((tmp_path / "report.html").read_text())
    tags = [tag for tag, _ in page.elements]
    assert tags[tags.index("details") + 1] == "summary"
    assert "All of it" in page.words


def test_a_failed_gate_leads_the_page(made, tmp_path, models):
    wrong = [1] * 5 + [0] * 5
    made(
        results=models(
            {
                "baseline": [0] * 10,
                **dict.fromkeys(("teacher", "student"), [1] * 10),
                "student_quantized": wrong,
            }
        )
    )
    page = Page((tmp_path / "report.html").read_text())
    assert ("section", {"class": "verdict fail"}) in page.elements
    assert (
        "Held back: misses 1 of 4 gates: Quantization (missed by 0.49; chance may explain it)"
        in page.words
    )
    assert page.words.index("missed by 0.49") < page.words.index("Overlap (95% CI)")


def test_answers_keep_their_lines_and_show_how_good_they_are(made, tmp_path):
    answers = [
        Answer("Teacher", "product: Pump\nquantity: 3", 0.875, None, 0.375),
        Answer("Student", "SearchScreeningEvent", None, False, 0.7777),
    ]
    group = SampleGroup("All", 1, [Sample("q", "line one\nline two", answers)])
    made(sections={"digest": [Section("Samples", samples=[group])]})
    html = (tmp_path / "report.html").read_text()
    assert '<span dir="auto">line one\nline two</span>' in html
    assert "product: Pump\nquantity: 3" in html
    assert "Search<wbr>Screening<wbr>Event" in html
    assert ">0.38<" in html and ">0.88<" in html  # how good it is, in place of a mark
    assert ">0.78<" not in html  # right or wrong says it all
    assert Page(html).words.count("✗") == 1


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style><iframe src=//evil.example>",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31m\u202ered\ud800\x00",
]


def test_hostile_text_stays_text_everywhere(made, tmp_path, models, section):
    right = {name: [1, 0] for name in ("teacher", "student", "student_quantized", PAYLOADS[0])}
    made(
        project=PAYLOADS[1],
        student=PAYLOADS[0],
        teacher_version=PAYLOADS[2],
        results=models(right, (PAYLOADS[3],)),
        kinds={PAYLOADS[3]: "summarization"},
        sections={PAYLOADS[3]: [section(payload, title=payload) for payload in PAYLOADS]},
        provenance={PAYLOADS[0]: {PAYLOADS[1]: PAYLOADS[2]}, PAYLOADS[2]: [PAYLOADS[0]]},
    )
    html = (tmp_path / "report.html").read_text()
    text = "".join(assert_inert(html).text)
    for payload in PAYLOADS:
        assert plain(payload) in text
    assert "\u202e" not in html
    assert "\x1b" not in html


def test_a_number_stays_whole_where_a_long_label_may_break():
    assert breakable("a_label.of-many/parts") == "a_<wbr>label.<wbr>of-<wbr>many/<wbr>parts"
    assert breakable("2.67 to 14.1") == "2.67 to 14.1"


def test_columns_of_numbers_stand_at_the_right():
    table = Table(["Class", "n", "Share"], [["a1", "1,000", "3 of 10"], ["7", "–", "0.5"]])
    assert columns(table) == [False, True, True]


def test_flatten_provenance():
    nested = {"a": {"b": {"c": 1}, "d": [1, "x"]}, "e": None, "f": True, "g": {}}
    assert flatten(nested) == [("a.b.c", "1"), ("a.d", "1, x"), ("e", "–"), ("f", "yes")]
