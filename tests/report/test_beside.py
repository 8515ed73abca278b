"""What a report takes from other steps: the leak audit, and the release in production."""

import json

import pytest

from stillhouse.config.student import Gates
from stillhouse.report import leaks
from stillhouse.report.findings import headline
from stillhouse.report.production import production_gate, production_said
from stillhouse.report.results import Comparison
from stillhouse.report.slices import slice_readings, slice_sections
from stillhouse.report.summary import markdown_of
from stillhouse.tasks.sections import Answer, Sample, SampleGroup


def rule(name: str, verdict: str = "passed") -> dict:
    figures = {"value": 0.01, "low": 0.0, "high": 0.04, "limit": 0.05, "tried": 90}
    about = {"model": "student", "asks": "Answers that leak.", "said": ""}
    return {"name": name, "verdict": verdict, "control": None, **figures, **about}


def audit(*verdicts: str) -> dict:
    rules = [rule(f"rule{n}", verdict) for n, verdict in enumerate(verdicts)]
    worst = next((v for v in ("missed", "unproven") if v in verdicts), "passed")
    return {"leak_audit": {"verdict": worst, "rules": rules}}


@pytest.mark.parametrize(
    ("verdicts", "verdict", "value", "said"),
    [
        (["passed", "passed"], "passed", 0, "All 2 rules are kept to."),
        (["passed", "unproven"], "unproven", 1, "Of 2 rules, 1 is not proven: rule1 (Student)."),
        (
            ["missed", "unproven"],
            "missed",
            2,
            "Of 2 rules, 1 is missed: rule0 (Student); 1 is not proven: rule1 (Student).",
        ),
    ],
)
def test_the_leak_audit_is_a_gate_and_a_short_section(verdicts, verdict, value, said):
    found = audit(*verdicts)
    gate = leaks.gate(found, Gates())
    assert (gate.verdict, gate.value, gate.limit) == (verdict, value, 0)
    section, *rest = leaks.sections(found)
    assert section.paragraphs == [said]
    assert section.link.path == "../leak_audit/leak_audit.html"
    assert len(section.tables) == (value > 0)
    # Where none is kept to, the first table has them all.
    assert [rules.folded for rules in rest] == [True] * (value < len(verdicts))
    table = (rest or [section])[0].tables[0]
    assert len(table.rows) == len(verdicts)
    assert table.rows[0][2:6] == ["0.01", "0 to 0.04", "0.05", "90"]


def test_an_audit_that_tried_nothing_is_no_gate_and_says_so():
    found = audit()
    assert leaks.gate(found, Gates()) is None
    assert "was not tried" in leaks.sections(found)[0].paragraphs[0]
    assert leaks.sections({}) == []


def test_a_leaking_student_is_held_back_by_the_report(made, tmp_path):
    facts = made(proof=audit("passed", "missed"))
    # Of its own gates alone the release asks: the audit's it asks the audit.
    assert "leak_audit" not in [gate.name for gate in facts.gates]
    page = (tmp_path / "report.html").read_text()
    assert "Held back: misses 1 of 5 gates: Leak audit" in page
    assert '<a href="../leak_audit/leak_audit.html">' in page
    assert json.loads((tmp_path / "evaluation.json").read_text())["gates"][-1]["name"] == (
        "leak_audit"
    )
    assert "Of 2 rules, 1 is missed: rule1 (Student)" in markdown_of(tmp_path)


def production(models, ours: int, theirs: int, n: int = 400, **values) -> dict:
    from stillhouse.evaluate.telling import tell_apart

    of = {name: [1] * many + [0] * (n - many) for name, many in (("o", ours), ("t", theirs))}
    first, second = (model.tasks["digest"] for model in models(of))
    test = Comparison("student_quantized", "production", tell_apart(first, second))
    tasks = {"digest": test.to_json() | {"score": first.score}}
    known = {"release": "t-1-abc", "same": False, "tasks": tasks, "not_compared": {}}
    return {"production": known | values}


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict", "said"),
    [
        (360, 300, "passed", "is not worse by more than the margin of 0.05: digest 0.900 against"),
        (300, 360, "missed", "lower by more than the margin of 0.05: digest 0.750 against 0.900 ("),
        # The interval holds no 0, and does hold the margin.
        (346, 360, "unproven", "whether the quantized student is worse by more than the margin"),
        (360, 360, "passed", "0.900 against 0.900 (+0.0 points"),
    ],
)
def test_a_candidate_beside_the_release_in_production(models, ours, theirs, verdict, said):
    found = production(models, ours, theirs)
    gate = production_gate(found, Gates(max_score_drop=0.05))
    assert gate.verdict == verdict
    assert said in production_said(found, gate)


def test_without_one_to_compare_with_it_is_said_in_a_line(models):
    nothing = {"release": None, "same": False, "tasks": {}, "not_compared": {}}
    assert "No release is in production yet" in production_said({"production": nothing}, None)
    same = {"production": nothing | {"release": "r1", "same": True}}
    assert production_said(same, None) == "This student is the release in production (r1)."
    why = {"digest": "it is damaged", "gist": "it is damaged", "order": "it was another task"}
    left = {"production": nothing | {"release": "r1", "not_compared": why}}
    assert production_gate(left, Gates()) is None
    assert production_said(left, None) == (
        "Not compared with the release in production (r1): digest, gist (it is damaged); order (it "
        "was another task)."
    )
    assert production_said({}, None) == ""


def test_what_was_compared_and_what_was_not_are_told_beside_each_other(models):
    found = production(models, 360, 360, not_compared={"order": "it was another task then"})
    gate = production_gate(found, Gates(max_score_drop=0.05))
    said = production_said(found, gate)
    assert said.endswith(" Not compared with it: order (it was another task then).")


def test_each_task_says_how_it_stands_to_the_release(made, tmp_path, models):
    found = production(models, 300, 360)
    of = found["production"]["tasks"]
    of["digest"] |= {"p_holm": 0.04, "never_learned": 7}
    sample = Sample("<b>text</b>", "gold", [Answer("Quantized student", "said", None, True)])
    groups = {"digest": [SampleGroup("Quantized student does better", 1, [sample])]}
    made(proof=found, sections={}, won_and_lost=groups)
    page = (tmp_path / "report.html").read_text()
    assert "<h3>Beside the release in production</h3>" in page
    assert "The release is t-1-abc" in page
    assert "the release in production, by 15.0 points: more than chance explains" in page
    assert "Quantized student does better (1)" in page and "&lt;b&gt;text&lt;/b&gt;" in page
    assert "The answers to 7 of 400 examples are classes that the released student never" in page
    summary = markdown_of(tmp_path)
    assert "-15.0 (-18." in summary and "| 0.04" in summary
    said = (tmp_path / "evaluation.json").read_text()
    assert "text</b>" not in said  # examples stand on the page alone
    # Of two tasks, one for itself shows a difference, and both together may be chance.
    of["gist"] = of["digest"]
    of["digest"]["p_holm"] = 0.2
    made(proof=found, sections={})
    page = (tmp_path / "report.html").read_text()
    assert "more than chance explains (exact McNemar p &lt; 0.001" in page
    assert "the 2 tasks that were compared (Holm). So corrected, chance may explain" in page
    said = production_said(found, production_gate(found, Gates()))
    assert "points, 95% interval -18.7 to -11.4; as one of several tasks, chance may" in said


def test_it_is_told_and_holds_nothing_back(made, tmp_path, models):
    made(proof=production(models, 300, 360), sections={})
    summary = markdown_of(tmp_path)
    assert summary.startswith("**Fit for release: passes all 4 gates.**")
    assert "scores lower by more than the margin of 0.05" in summary
    assert "Release in production" in summary
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["production"]["gate"]["verdict"] == "missed"
    assert "t-1-abc" in headline(found)


def sliced(*, n: int = 40, worse: bool = False, judged: bool = True, value: str = "wiki") -> dict:
    figures = {"score": 0.5, "ci": [0.4, 0.6]}
    told = {"p_value": 0.01, "p_holm": 0.02 if judged else None, "better": False}
    return {
        "by": "source",
        "value": value,
        "n": n,
        "families": n,
        "worse": worse,
        "teacher": figures | {"score": 0.75},
        "student_quantized": figures,
        "difference": -0.25,
        "ci": [-0.4, -0.1],
        "judged": judged,
        **told,
    }


def test_slices_that_are_worse_stand_open_and_are_named_first(made, tmp_path):
    rows = [sliced(worse=True), sliced(n=5, judged=False, value="<b>mail")]
    made(proof={"slices": {"digest": rows}})
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert "worse than its teacher by more than chance explains: source: wiki on digest" in (
        headline(found)
    )
    first, every = slice_sections(found, "digest")
    assert [len(s.tables[0].rows) for s in (first, every)] == [1, 2]
    assert (first.folded, every.folded) == (False, True)
    said = slice_readings(found, "digest")
    assert "in the one slice that can be judged: source: wiki (-25.0 points)" in said[0]
    # Of one slice nobody says where it scores lowest.
    assert said[1].startswith("1 of 2 slices has fewer than 20 examples") and len(said) == 2
    html = (tmp_path / "report.html").read_text()
    assert "<b>mail" not in html and "&lt;b&gt;mail" in html


def test_where_no_slice_is_worse_no_table_stands_open(made, tmp_path):
    made(proof={"slices": {"digest": [sliced()]}})
    found = json.loads((tmp_path / "evaluation.json").read_text())
    first, _ = slice_sections(found, "digest")
    assert not first.tables
    assert "was not shown to be worse" in first.paragraphs[0]
    assert "In some slices" not in headline(found)
