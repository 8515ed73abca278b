import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from stillhouse.metrics.classification import mcnemar_exact
from stillhouse.report import findings
from stillhouse.report.page import (
    Gate,
    ModelResult,
    ReportInput,
    TaskResult,
    _md,
    evaluation_json,
    flatten,
    human_bytes,
    human_count,
    markdown_table,
    render_html,
    render_markdown,
)
from stillhouse.report.results import plain

LABELS = [f"digit {i}" for i in range(10)]
HISTORY = [
    {"epoch": 1, "loss": 1.9, "kl": 2.0, "ce": 1.7, "validation_accuracy": 0.61},
    {"epoch": 2, "loss": 1.2, "kl": 1.1, "ce": 1.3, "validation_accuracy": 0.74},
]
GATES = [
    Gate("accuracy", True, "loses at most 0.5", 0.25, 0.5),
    Gate("calibration", True, "ECE of at most 0.2", 0.05, 0.2),
]


@pytest.fixture(scope="module")
def report() -> ReportInput:
    """Real predictions: scikit-learn's digits by a regression, a tree and a stunted tree."""
    pixels, gold = load_digits(return_X_y=True)
    models = {
        "teacher": (LogisticRegression(max_iter=200), 2_500_000, 9_000_000),
        "student": (DecisionTreeClassifier(max_depth=8, random_state=0), 250_000, 900_000),
        "student_quantized": (DecisionTreeClassifier(max_depth=5, random_state=0), 250_000, 90_000),
    }
    results = [
        ModelResult(
            name,
            parameters,
            size,
            {
                "digits": TaskResult(
                    LABELS,
                    gold[1500:],
                    model.fit(pixels[:1500], gold[:1500]).predict_proba(pixels)[1500:],
                )
            },
        )
        for name, (model, parameters, size) in models.items()
    ]
    return ReportInput(
        project="helpdesk",
        student="router",
        teacher_version="regression-1",
        results=results,
        created_at=datetime(2026, 5, 4, 9, 30, tzinfo=UTC),
        samples={"digits": [f"image {i}" for i in range(len(gold) - 1500)]},
        learning_curve=HISTORY,
        gates=GATES,
        provenance={"dataset": {"digest": "sha256:ab12", "splits": {"seed": 7}}, "code": "0.1.0"},
    )


@pytest.fixture(scope="module")
def html(report) -> str:
    return render_html(report)


def tiny(predictions: dict[str, list[int]], gold: list[int], labels: list[str], **fields):
    """A report on one task, "t", in which each model says its predictions with 0.9 confidence."""

    def probabilities(predicted: list[int]) -> np.ndarray:
        spread = np.full((len(predicted), len(labels)), 0.1 / (len(labels) - 1))
        spread[np.arange(len(predicted)), predicted] = 0.9
        return spread

    results = [
        ModelResult(name, 10, 10, {"t": TaskResult(labels, np.array(gold), probabilities(x))})
        for name, x in predictions.items()
    ]
    given = {
        "project": "p",
        "student": "s",
        "teacher_version": "v",
        "created_at": datetime.now(UTC),
    }
    return ReportInput(**(given | {"results": results} | fields))


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


def test_page_says_what_was_measured(report, html):
    page = Page(html)
    words = " ".join("".join(page.text).split())
    for model in report.results:
        assert f"{model.tasks['digits'].metrics.accuracy:.3f}" in words
        assert f"{model.tasks['digits'].metrics.ece:.3f}" in words
    assert "Passes all 2 gates" in words
    assert "0.25 to spare" in words
    assert "1/10 of its parameters and 1/100 of its size on disk" in words
    assert "sha256:ab12" in words
    assert "splits.seed" in words
    assert "2026-05-04 09:30 UTC" in words
    # One confusion matrix, a reliability diagram for each of three models, F1, two curves.
    images = [a["src"] for tag, a in page.elements if tag == "img"]
    assert len(images) == len(set(images)) == 7


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style><iframe src=//evil.example>",
    "{{ 7 * 7 }}{% raw %}",
    "[x](javascript:alert(1)) ![](https://evil.example/beacon.png) | a",
    "\x1b[31m\u202ered\ud800\x00",
]


def test_hostile_text_stays_text_everywhere():
    labels = PAYLOADS
    hostile = tiny(
        {"teacher": [0, 1, 2, 3, 4, 5], "student": [0, 0, 2, 3, 4, 5], PAYLOADS[0]: [0] * 6},
        [0, 1, 2, 3, 4, 4],
        labels,
        project=PAYLOADS[1],
        student=PAYLOADS[0],
        teacher_version=PAYLOADS[2],
        samples={"t": PAYLOADS},
        gates=[Gate(PAYLOADS[0], False, PAYLOADS[1], 1.0, 0.5)],
        provenance={PAYLOADS[0]: {PAYLOADS[1]: PAYLOADS[2]}, PAYLOADS[2]: [PAYLOADS[0]]},
        learning_curve=HISTORY,
    )
    html = render_html(hostile)
    html.encode()
    words = "".join(assert_inert(html).text)
    for payload in PAYLOADS:
        assert plain(payload) in words
    assert "\u202e" not in html
    assert "\x1b" not in html

    markdown = render_markdown(hostile, figures=False)
    markdown.encode()
    assert "<" not in markdown
    assert not re.search(r"(?<!\\)\]\(", markdown)
    assert "https://" not in markdown
    assert "\x1b" not in markdown
    # Every row of a table has as many cells as its header, whatever its text holds.
    for table in re.findall(r"(?:^\|.*\n)+", markdown, flags=re.M):
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1


@given(st.text(alphabet="\\|`*_[]()<>&!#~$@:/.hpstw a\n", max_size=40))
def test_markdown_text_has_no_live_syntax(value):
    escaped = _md(value)
    assert "\n" not in escaped
    assert "<" not in escaped
    bare = re.sub(r"\\[\\`*_\[\]|~!#$@:.]", "", escaped)
    assert not set(bare) & set("`*[]|~!#$@")
    assert not re.search(r"https?:|www\.", bare)


def test_markdown_table_has_the_columns_of_the_report(report):
    lines = markdown_table(report.results).splitlines()
    header, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert header == [
        "Model",
        "Accuracy (95% CI)",
        "Macro-F1",
        "ECE",
        "Parameters",
        "Size on disk",
    ]
    metrics = report.results[2].tasks["digits"].metrics
    low, high = metrics.accuracy_ci
    assert rows[3] == [
        "Student, quantized",
        f"{metrics.accuracy:.3f} ({low:.3f}–{high:.3f})",
        f"{metrics.macro_f1:.3f}",
        f"{metrics.ece:.3f}",
        "250 k",
        "90.0 kB",
    ]
    assert len({len(line) for line in lines}) == 1


def test_markdown_table_names_the_task_when_there_are_several(report):
    two = [
        replace(model, tasks={"digits": model.tasks["digits"], "again": model.tasks["digits"]})
        for model in report.results
    ]
    table = markdown_table(two)
    assert table.startswith("| Task")
    assert table.count("again") == 3


def test_markdown_summary_holds_every_part(report):
    summary = render_markdown(report)
    assert summary.startswith("**Passes all 2 gates.**")
    for heading in ("Confusion matrix", "Reliability", "Sample predictions", "Learning curve"):
        assert heading in summary
    images = re.findall(r"!\[[\w ]+\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", summary)
    assert [base64.b64decode(x)[:4] for x in images] == [b"\x89PNG"] * 2
    assert "data:" not in render_markdown(report, figures=False)
    matrix = report.results[2].tasks["digits"].confusion
    row = next(line for line in summary.splitlines() if line.startswith("| digit 3 "))
    assert [int(x) for x in row.strip("|").split("|")[1:]] == matrix[3].tolist()
    assert matrix.sum() == len(report.samples["digits"])


def test_json_has_the_agreed_shape(report):
    written = json.loads(json.dumps(evaluation_json(report), allow_nan=False))
    for model in report.results:
        found = written[model.name]
        assert found["digits"]["accuracy"] == model.tasks["digits"].metrics.accuracy
        assert found["digits"]["n"] == 297
        assert (found["parameters"], found["bytes"]) == (model.parameters, model.bytes)
    assert written["about"]["teacher_version"] == "regression-1"
    assert written["gates"][0] == GATES[0]._asdict()
    compared = {(c["first"], c["second"]): c for c in written["comparisons"]["digits"]}
    lost = written["student"]["digits"]["accuracy"] - written["teacher"]["digits"]["accuracy"]
    assert compared["student", "teacher"]["difference"] == pytest.approx(lost)


def test_samples_come_in_the_order_of_what_they_teach():
    shown = tiny(
        {
            "teacher_zero_shot": [1, 1, 1, 1, 1],
            "teacher": [0, 0, 1, 0, 0],
            "student": [0, 1, 1, 0, 0],
            "student_quantized": [0, 1, 1, 0, 1],
        },
        [0, 0, 0, 0, 0],
        ["a", "b"],
        samples={
            "t": ["all right", "student lost it", "all wrong", "right too", "quantized lost it"]
        },
    )
    disagree, wrong, right = findings.sample_groups(shown, "t")
    assert [s.text for s in disagree.samples] == ["student lost it", "quantized lost it"]
    assert [s.text for s in wrong.samples] == ["all wrong"]
    assert [s.text for s in right.samples] == ["all right", "right too"]
    first = disagree.samples[0]
    assert first.gold == "a"
    assert [(p.model, p.label, p.right) for p in first.predictions] == [
        ("Teacher", "a", True),
        ("Student", "b", False),
        ("Student, quantized", "b", False),
    ]
    assert first.predictions[0].confidence == pytest.approx(0.9)


def test_samples_are_limited_and_say_of_how_many(report, html):
    group = findings.sample_groups(report, "digits")[-1]
    limit = findings.SAMPLE_KINDS["right"][1]
    assert len(group.samples) == limit < group.total
    assert f"({limit} of {group.total})" in "".join(Page(html).text)
    confidence = [sample.predictions[-1].confidence for sample in group.samples]
    assert confidence == sorted(confidence)


def test_long_sample_text_is_cut():
    long = tiny({"student": [0]}, [0], ["a", "b"], samples={"t": ["word " * 500]})
    ((only,),) = [g.samples for g in findings.sample_groups(long, "t")]
    assert len(only.text) == findings.SAMPLE_TEXT_LENGTH
    assert only.text.endswith("…")


def reading(n: int, only_first: int, only_second: int) -> str:
    first, second = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    first[:only_first] = True
    second[only_first : only_first + only_second] = True
    return findings.reading("student_quantized", "teacher", mcnemar_exact(first, second))


def test_reading_tells_a_real_loss_from_chance():
    assert reading(300, 5, 25).startswith(
        "The quantized student is less accurate than the teacher by 6.7 points, more than chance"
    )
    assert "p < 0.001" in reading(300, 5, 35)
    assert reading(300, 25, 5).startswith("The quantized student is more accurate")
    small = reading(300, 7, 12)
    assert small.startswith("300 test examples are too few to tell the quantized student")
    # 19 split 15 to 4 is p = 0.019, 14 to 5 is p = 0.064: 11 of 300 is what shows.
    assert "below 3.7 points" in small
    assert "not proof that they are equal" in small
    assert "differ on 4 of them" in reading(300, 0, 4)
    assert "very same examples" in reading(300, 0, 0)


@pytest.mark.parametrize(
    ("gates", "outcome", "said"),
    [
        ([], "none", "No gates were set"),
        ([GATES[0]], "pass", "Passes its gate"),
        (GATES, "pass", "Passes all 2 gates"),
        (
            [GATES[0], GATES[1]._replace(passed=False)],
            "fail",
            "Fails 1 of 2 gates: calibration (missed by 0.15)",
        ),
    ],
)
def test_verdict(gates, outcome, said):
    assert findings.verdict(gates) == (outcome, said)


def test_page_leads_with_the_verdict():
    failed = Gate("accuracy", False, "loses at most 0.1", 0.5, 0.1)
    page = Page(render_html(tiny({"student": [0, 1]}, [0, 0], ["a", "b"], gates=[failed])))
    assert ("section", {"class": "verdict fail"}) in page.elements
    words = "".join(page.text)
    assert words.index("missed by 0.4") < words.index("Accuracy (95% CI)")


def test_gate_margin():
    assert Gate("g", False, "", 0.051, 0.03).margin == "missed by 0.021"
    assert Gate("g", True, "at least", 0.9, 0.8).margin == "0.1 to spare"
    assert Gate("latency", False, "ms", 1234.5, 200).margin == "missed by 1,034"
    assert Gate("g", False, "not measured", None, 0.8).margin == ""


def test_calibration_reading():
    sure = tiny({"student": [0] * 10}, [0] * 5 + [1] * 5, ["a", "b"])
    said = findings.calibration_reading("student", sure.results[0].tasks["t"])
    assert "over-confident by 40.0 points" in said
    honest = tiny({"student": [0] * 10}, [0] * 9 + [1], ["a", "b"])
    said = findings.calibration_reading("student", honest.results[0].tasks["t"])
    assert "as often right as its confidence says" in said


def test_confusions_name_the_error_and_whether_the_teacher_makes_it():
    confused = tiny(
        {"teacher": [0, 1, 1, 1, 2], "student": [1, 1, 1, 2, 2]}, [0, 0, 0, 1, 2], ["a", "b", "c"]
    )
    most, next_most = findings.confusions(confused, "t")
    assert (most.gold, most.predicted, most.count, most.support, most.teacher) == (
        "a",
        "b",
        3,
        3,
        2,
    )
    assert (next_most.gold, next_most.predicted, next_most.teacher) == ("b", "c", 0)


def test_reports_before_quantization_and_without_a_student(report):
    for some in (report.results[:2], report.results[:1]):
        part = replace(report, results=some, gates=[], learning_curve=[], provenance={}, samples={})
        assert_inert(render_html(part))
        assert "Teacher" in render_markdown(part)
        json.dumps(evaluation_json(part), allow_nan=False)
    assert replace(report, results=report.results[:2]).shipped.name == "student"


def test_refuses_results_that_cannot_be_compared(report):
    teacher, student, _ = report.results
    task = student.tasks["digits"]
    reordered = replace(task, gold=task.gold[::-1])
    with pytest.raises(ValueError, match="different examples"):
        replace(report, results=[teacher, replace(student, tasks={"digits": reordered})])
    with pytest.raises(ValueError, match="2 sample texts for 297"):
        replace(report, samples={"digits": ["one", "two"]})
    with pytest.raises(ValueError, match="same model name"):
        replace(report, results=[teacher, teacher])
    with pytest.raises(ValueError, match="cannot be named 'bytes'"):
        replace(report, results=[replace(student, tasks={"bytes": task})], samples={})


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


def test_flatten_provenance():
    nested = {"a": {"b": {"c": 1}, "d": [1, "x"]}, "e": None, "f": True, "g": {}}
    assert flatten(nested) == [("a.b.c", "1"), ("a.d", "1, x"), ("e", "–"), ("f", "yes")]
