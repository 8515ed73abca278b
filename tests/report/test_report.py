import json
import re
import shutil
from dataclasses import replace

import pytest

from stillhouse.errors import UserError
from stillhouse.report.summary import markdown_of, table_markdown


def written(folder) -> dict:
    return json.loads((folder / "evaluation.json").read_text())


def test_evaluation_has_the_agreed_shape(reported, given):
    found = written(reported)
    for model in given["results"]:
        assert found[model.name] == {
            "parameters": model.parameters,
            "bytes": model.bytes,
            "digest": model.tasks["digest"].metrics
            | {"n": 200, "kind": "summarization", "score": model.tasks["digest"].score},
        }
    assert found["about"]["teacher_version"] == "t-1"
    assert [gate["name"] for gate in found["gates"]] == [
        "student_within_gate",
        "quantized_within_gate",
        "calibrated",
        "beats_baseline",
    ]
    compared = {(c["first"], c["second"]): c for c in found["comparisons"]["digest"]}
    assert set(compared) == {
        ("student", "teacher"),
        ("student_quantized", "student"),
        ("student_quantized", "teacher"),
        ("student_quantized", "baseline"),
    }
    assert found["baseline"]["parameters"] is found["baseline"]["bytes"] is None
    assert found["about"]["tasks"][0]["baseline"] == "the first sentence"
    assert found["about"]["models"][0] == "baseline"
    lost = found["student"]["digest"]["score"] - found["teacher"]["digest"]["score"]
    assert compared["student", "teacher"]["difference"] == pytest.approx(lost)


def test_facts_are_numbers_by_model_task_and_figure(made, given):
    facts = made()
    assert facts.test_examples == 200
    assert facts.figures["student_quantized_digest_overlap"] == pytest.approx(177 / 200)
    assert len(facts.figures) == len(given["results"])
    assert [gate.verdict for gate in facts.gates] == ["passed"] * 4


def test_digest_is_that_of_the_content_alone(made, tmp_path, answers):
    first = made()
    assert made(folder=tmp_path / "elsewhere", provenance={"trained_at": "2031"}) == first
    assert not re.search(r"created|\d{4}-\d\d-\d\d", (tmp_path / "evaluation.json").read_text())
    assert str(tmp_path) not in (tmp_path / "evaluation.json").read_text()
    assert made(student="another").digest != first.digest


def test_models_of_different_datasets_are_refused_with_a_remedy(made, given, models, tmp_path):
    *others, quantized = given["results"]
    (shorter,) = models({quantized.name: [1] * 150})
    with pytest.raises(UserError, match="different examples \\(150, 200 of them\\)") as refused:
        made(results=[*others, shorter])
    assert "stillhouse run" in refused.value.remedy
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="same model name"):
        made(results=[*others, others[0]])


def test_a_task_named_like_a_field_is_refused(made, models):
    right = {name: [1, 0] for name in ("teacher", "student", "student_quantized")}
    with pytest.raises(UserError, match="can't be named 'bytes'"):
        made(results=models(right, ("bytes",)), kinds={"bytes": "summarization"})


def test_table_fits_a_terminal(reported):
    table = table_markdown(written(reported))
    header, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    ]
    assert header == ["Model", "Overlap (95% CI)", "Valid", "Params", "Size"]
    assert rows[1] == ["Baseline", "0.700 (0.60–0.80)", "12", "–", "–"]
    assert rows[2][0] == "Teacher, zero-shot"
    assert rows[5] == ["Student, quantized", "0.885 (0.79–0.98)", "12", "250 k", "90.0 kB"]
    assert len({len(line) for line in table.splitlines()}) == 1
    assert len(table.splitlines()[0]) <= 80


def test_several_tasks_have_a_table_each_below_their_name(made, tmp_path, models):
    tasks = ("digest", "order<1>")
    right = {name: [1, 0, 1] for name in ("teacher", "student", "student_quantized")}
    made(results=models(right, tasks), kinds=dict.fromkeys(tasks, "summarization"), sections={})
    table = table_markdown(written(tmp_path))
    assert table.startswith("digest\n\n| Model")
    assert "\n\norder&lt;1&gt;\n\n| Model" in table
    assert table.count("| Student ") == 2


def test_summary_is_rendered_from_the_numbers_alone(reported, tmp_path):
    shutil.copy(reported / "evaluation.json", tmp_path)
    summary = markdown_of(tmp_path)
    assert summary.startswith(
        "**Fit for release: passes all 4 gates.** The quantized student beats the first sentence "
    )
    assert "The quantized student beats the first sentence on digest by 18.5 points" in summary
    assert "The quantized student keeps 98.3% of" in summary
    assert "| Student, quantized | 0.885 (0.79–0.98) |" in summary
    assert re.search(r"\| Quantization +\| gains 0.005 +\| [\d.]+ lost to", summary)
    assert re.search(r"\| 0.01 +\| 0.015 to spare +\| ✓ passed +\|", summary)
    assert "- 200 test examples" in summary or "- The student" in summary
    assert "sample" not in summary  # what documents say stands on the page alone
    assert "data:" not in summary


def test_summary_of_several_tasks_says_what_its_readings_are_of(made, tmp_path, models):
    right = {name: [1, 0, 1] for name in ("teacher", "student", "student_quantized")}
    tasks = ("digest", "order_form")
    made(results=models(right, tasks), kinds=dict.fromkeys(tasks, "summarization"), sections={})
    readings = markdown_of(tmp_path).partition("Margin")[2]
    for task in tasks:
        assert f"\n\n{task}\n\n- The student and the teacher" in readings


def test_models_may_be_called_otherwise(made, tmp_path, models):
    right = {name: [1, 0, 1] for name in ("teacher_zero_shot", "teacher", "student_quantized")}
    zero_shot, teacher, quantized = models(right)
    (student,) = models({"student": [1, 0, 1]})
    made(results=[zero_shot, replace(teacher, display="Teacher, 4 shots"), student, quantized])
    evaluation = written(tmp_path)
    assert evaluation["about"]["display"] == {"teacher": "Teacher, 4 shots"}
    table = table_markdown(evaluation)
    assert "| Teacher, 4 shots " in table
    assert "| Teacher, zero-shot " in table
    assert "Teacher, 4 shots" in (tmp_path / "report.html").read_text()


def test_a_table_has_the_columns_of_all_models(made, tmp_path, models, answers):
    """A baseline may know less of its answers than a model does."""
    plain = replace(answers([1, 0, 1]), metrics={"overlap": 0.5}, table={"Overlap": "overlap"})
    right = {name: [1, 0, 1] for name in ("teacher", "student", "student_quantized")}
    made(results=models({"baseline": plain, **right}))
    table = table_markdown(written(tmp_path))
    assert re.search(r"\| Model .*\| Overlap .*\| Valid ", table)
    assert re.search(r"\| Baseline +\| 0.500 +\|.*\| – +\|", table)


def test_hostile_names_stay_text_in_the_summary(made, tmp_path, models):
    payload = "<b>[x](javascript:alert(1)) | `a`"
    right = {name: [1, 0, 1] for name in ("teacher", "student", "student_quantized")}
    made(results=models(right, (payload,)), kinds={payload: "summarization"}, sections={})
    summary = markdown_of(tmp_path)
    assert "<" not in summary
    assert not re.search(r"(?<!\\)\]\(", summary)
    for table in re.findall(r"(?:^\|.*\n)+", summary, flags=re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1
