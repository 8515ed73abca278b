"""People grade outputs blind; what they say is counted, and how far they agree."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from stillhouse.config.dataset import Task
from stillhouse.config.project import load_project
from stillhouse.dataset.review.filled_in import Row
from stillhouse.dataset.review.page import render_page
from stillhouse.errors import UserError
from stillhouse.evaluate.graded import OUTPUT, Output, graded, outputs, said_of_outputs
from stillhouse.evaluate.predictions import predict
from stillhouse.metrics.agreement import krippendorffs_alpha, preference
from stillhouse.outside import output_reviews
from stillhouse.shapes import Where
from stillhouse.state import State
from stillhouse.storage.tables import read_table, write_table
from stillhouse.tasks.running import Runner
from tests.made import MINIMAL


def row(reviewer: str, output: Output, verdict: str) -> Row:
    return Row("a.csv", 2, reviewer, f"{OUTPUT}-{output.id}", verdict)


def test_outputs_are_shuffled_and_tell_nobody_whose_they_are(
    routing: Task, routing_dataset: Path, tiny_teacher: Path, tmp_path: Path
) -> None:
    teacher, student = tmp_path / "teacher.parquet", tmp_path / "student.parquet"
    runner = Runner(tiny_teacher, routing_dataset, 64)
    predict(runner, [routing], "test", teacher, model_digest="x")
    kept = read_table(teacher).to_pylist()
    # The student says something else of all texts but the first.
    for one in kept[1:]:
        one["prediction"] = json.dumps(json.loads(one["prediction"])[::-1])
    write_table(student, pa.Table.from_pylist(kept))
    stores = {"student_quantized": student, "teacher": teacher}
    found = outputs(routing_dataset, [routing], stores, 100, 7)
    assert found == outputs(routing_dataset, [routing], stores, 100, 7)
    again = outputs(routing_dataset, [routing], stores, 100, 8)
    assert {o.id for o in found} == {o.id for o in again} and found != again
    assert len({o.pair for o in found}) == 5
    by_both = [o for o in found if len(o.models) == 2]
    assert len(found) == 10 - len(by_both) and by_both
    page = render_page("demo", OUTPUT, [o.shown() for o in found], [routing], {}, "reviews")
    assert found[0].id in page and "student_quantized" not in page and "teacher" not in page
    assert len(outputs(routing_dataset, [routing], stores, 2, 7)) <= 4
    with pytest.raises(UserError, match="5 held-out pairs were not answered yet"):
        outputs(routing_dataset, [routing], {"teacher": tmp_path / "none.parquet"}, 2, 7)


def test_what_files_say_of_any_output_comes_into_the_report(
    routing: Task, routing_dataset: Path, tiny_teacher: Path, tmp_path: Path
) -> None:
    store, reviews = tmp_path / "teacher.parquet", tmp_path / "reviews"
    runner = Runner(tiny_teacher, routing_dataset, 64)
    predict(runner, [routing], "test", store, model_digest="x")
    stores = {"student_quantized": store, "teacher": store}
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    state = State(load_project(tmp_path))
    assert said_of_outputs(routing_dataset, [routing], stores, reviews) == {}
    # Where nobody graded, there is no such input: reports of before stay as they are.
    assert output_reviews(state, Where(state.project)) == ""
    # People saw one text of five; others' pages are none of it.
    (one,) = outputs(routing_dataset, [routing], stores, 1, 7)
    for folder in (reviews, state.layout.reviews):
        folder.mkdir(parents=True)
        lines = ("reviewer,pair_id,verdict", f"ann,{OUTPUT}-{one.id},accept", "ann,pair-1,reject")
        (folder / "ann.csv").write_text("\n".join(lines))
    found = said_of_outputs(routing_dataset, [routing], stores, reviews)["routing"]
    assert (found["judged"], found["reviewers"]) == (1, 1)
    assert found["accepted"]["student_quantized"]["value"] == 1.0
    assert found["preferred"]["ties"] == 1 and found["alpha"] is None
    assert json.loads(json.dumps(found)) == found
    assert output_reviews(state, Where(state.project)) not in ("", None)


def of(pair: str, name: str, **models: bool) -> Output:
    return Output(f"{pair}{name}", pair, "routing", "Which?", "a text", name, None, models)


def test_what_people_say_is_counted() -> None:
    found = [of("1", "a", student_quantized=True), of("1", "b", teacher=False)]
    found += [of("2", "a", student_quantized=False), of("2", "b", teacher=True)]
    found += [of("3", "a", student_quantized=True, teacher=True), of("4", "a", teacher=True)]
    said = [row("ann", found[0], "accept"), row("ann", found[1], "reject")]
    said += [row("ann", found[2], "accept"), row("ann", found[3], "correct")]
    said += [row("ann", found[4], "accept"), row("bob", found[0], "accept")]
    said += [row("bob", found[1], "reject"), row("bob", found[2], "reject")]
    said += [Row("a.csv", 9, "ann", "pair-1a", "reject"), row("ann", of("9", "z"), "accept")]
    (one,) = graded(found, said)
    assert (one.judged, one.reviewers, one.read_twice) == (5, 2, 3)
    # Of what two said of the second text's, the stricter counts.
    assert one.accepted["student_quantized"].value == pytest.approx(2 / 3)
    assert one.accepted["teacher"].value == pytest.approx(1 / 3)
    liked = one.preferred
    assert (liked.wins, liked.losses, liked.ties) == (1, 0, 2)
    assert one.kappa is not None and one.kappa.value == pytest.approx(1 - 0.2 / 0.52)
    assert one.alpha is not None and one.alpha.low <= one.alpha.value <= one.alpha.high
    (nobody,) = graded(found, [])
    assert nobody.judged == 0 and nobody.accepted == {} and nobody.alpha is nobody.kappa is None


def test_agreement_is_that_of_the_literature() -> None:
    # Ten things, two people: Krippendorff (2011), his example of binary data.
    first, second = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    both = [(bool(a), bool(b)) for a, b in zip(first, second, strict=True)]
    found = krippendorffs_alpha(both)
    assert found is not None and found.value == pytest.approx(0.095, abs=5e-4)
    assert found.low < found.value < found.high
    assert krippendorffs_alpha([(True, True)] * 5) is None
    assert krippendorffs_alpha([(True,), ()]) is None
    perfect = krippendorffs_alpha([(True, True), (False, False)] * 9)
    assert perfect is not None and perfect.value == 1.0


@pytest.mark.parametrize(
    ("both", "value"),
    [
        ([(True, False)] * 5, -0.8),
        ([(True, False)] * 40, -0.975),
        ([(True, True), (False, False)] * 3, 1.0),
    ],
)
def test_few_things_on_which_all_agree_or_nobody_are_no_certainty(
    both: list[tuple[bool, bool]], value: float
) -> None:
    found = krippendorffs_alpha(both)
    assert found is not None and found.value == pytest.approx(value)
    width = found.high - found.low
    assert found.low <= found.value <= found.high and width > 1 / len(both)
    assert len(both) < 40 or width < 0.2  # many are one


def test_a_preference_has_an_exact_interval() -> None:
    # Nine of ten: Clopper and Pearson's interval, and the sign test's 2 * 11 / 1024.
    found = preference([(True, False)] * 9 + [(False, True)] + [(True, True)] * 5)
    assert (found.wins, found.losses, found.ties) == (9, 1, 5)
    assert found.rate is not None and found.p_value == pytest.approx(22 / 1024)
    assert (found.rate.low, found.rate.high) == pytest.approx((0.5550, 0.9975), abs=1e-4)
    assert preference([(True, True)]).rate is None
