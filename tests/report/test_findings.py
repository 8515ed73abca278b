import numpy as np
import pytest

from stillhouse.metrics.paired import mcnemar_exact, paired_bootstrap
from stillhouse.report import findings
from stillhouse.report.results import compare, evaluation


def reading(n: int, only_first: int, only_second: int) -> str:
    first, second = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    first[:only_first] = True
    second[only_first : only_first + only_second] = True
    return findings.reading("student_quantized", "teacher", mcnemar_exact(first, second))


def test_reading_tells_a_real_loss_from_chance():
    assert reading(300, 5, 25).startswith(
        "The quantized student is right less often than the teacher, by 6.7 points: more than "
        "chance explains"
    )
    assert "p < 0.001" in reading(300, 5, 35)
    assert reading(300, 25, 5).startswith("The quantized student is right more often")
    small = reading(300, 7, 12)
    assert small.startswith("300 test examples are too few to tell the quantized student")
    # 19 split 15 to 4 is p = 0.019, 14 to 5 is p = 0.064: 11 of 300 is what shows.
    assert "below 3.7 points" in small
    assert "not proof that they are equal" in small
    assert "differ on 4 of them" in reading(300, 0, 4)
    assert "very same examples" in reading(300, 0, 0)


def reading_of_scores(first, second, groups=None) -> str:
    test = paired_bootstrap(first, second, groups=groups)
    return findings.reading("student_quantized", "teacher", test, "field F1")


def test_reading_of_scores_tells_a_real_loss_from_chance():
    teacher = np.random.default_rng(0).random(300)
    noise = np.random.default_rng(1).normal(0, 0.1, 300)
    worse = reading_of_scores(teacher - 0.05 + noise, teacher)
    assert worse.startswith("The quantized student's field F1 is lower than the teacher's, by ")
    assert "more than chance explains (paired bootstrap p < 0.001; 95% interval" in worse
    assert "is higher than" in reading_of_scores(teacher, teacher - 0.05 + noise)
    alike = reading_of_scores(teacher + noise - noise.mean(), teacher)
    assert alike.startswith("300 test examples are too few to tell the quantized student")
    assert "difference below about 1.1 points cannot be told from chance" in alike
    assert "not proof that they are equal" in alike
    assert "same field F1 on every example" in reading_of_scores(teacher, teacher)


def test_reading_of_a_few_differing_examples_claims_nothing():
    second = np.full(300, 0.5)
    first = second.copy()
    first[:5] = 1
    said = reading_of_scores(first, second)
    assert "differ on 5 of them: no test can tell from so little" in said
    first[5] = 1
    assert "is higher than the teacher's, by 1.0 points" in reading_of_scores(first, second)


def test_reading_says_that_examples_of_a_family_were_drawn_as_one():
    rng = np.random.default_rng(2)
    groups = [f"f{i // 3}" for i in range(300)]
    said = reading_of_scores(rng.random(300), rng.random(300), groups)
    assert "100 families of examples drawn as one" in said


@pytest.fixture
def said(models):
    """The headline of a report on models that are right on so many of 200."""

    def headline(
        student: int, teacher: int, baseline: int | None = None, name: str = "the first"
    ) -> str:
        many = {"baseline": baseline, "teacher": teacher, "student": student}
        right = {m: [1] * n + [0] * (200 - n) for m, n in many.items() if n is not None}
        return headline_of(models(right), {"digest": name})

    return headline


def headline_of(results, baselines) -> str:
    tasks = dict.fromkeys((task for model in results for task in model.tasks), "summarization")
    return findings.headline(
        evaluation(
            project="p",
            student="s",
            teacher_version="v",
            kinds=tasks,
            results=results,
            comparisons=compare(results),
            gates=[],
            baselines=baselines,
        )
    )


def test_headline_says_what_is_kept_at_what_size(said):
    assert said(100, 160) == (
        "The student keeps 62.5% of its teacher's overlap on digest (0.500 against 0.800), "
        "with 1/10 of its parameters and 1/10 of its size on disk."
    )


def test_headline_never_claims_what_the_readings_take_back(said):
    assert "keeps all of" in said(162, 160)
    assert "(0.810 against 0.800; chance may explain the difference)" in said(162, 160)
    assert "chance" not in said(160, 160)
    assert "keeps all of its teacher's overlap on digest (0.010 against 0.000" in said(2, 0)


def test_headline_says_first_whether_the_baseline_is_beaten(models):
    def first(student: list[int], baseline: list[int]) -> str:
        right = {"baseline": baseline, "teacher": student, "student_quantized": student}
        said = headline_of(models(right), {"digest": "TF-IDF with logistic regression"})
        return said[: said.index(" The quantized student keeps")]

    some, more = [1] * 166 + [0] * 34, [1] * 178 + [0] * 22
    assert first(some, more) == (
        "The quantized student doesn't beat TF-IDF with logistic regression on digest (0.830 "
        "against 0.890): so simple a method does this task better."
    )
    assert first(more, some) == (
        "The quantized student beats TF-IDF with logistic regression on digest by 6.0 points of "
        "overlap (0.890 against 0.830)."
    )
    assert first(some, some).endswith(
        "(0.830 against 0.830): so simple a method does this task as well."
    )
    nearly = [1] * 168 + [0] * 32
    assert first(some, nearly).endswith("so simple a method does this task as well.")
    assert first(nearly, some).endswith(
        "by 1.0 points of overlap (0.840 against 0.830; chance may explain the difference)."
    )


def test_tasks_whose_baseline_is_not_beaten_come_first(models):
    results = models({"baseline": [1, 0], "teacher": [1, 1], "student": [1, 1]}, ("good", "bad"))
    results[0].tasks["bad"] = results[1].tasks["bad"]
    said = headline_of(results, {"good": "one", "bad": "two"})
    assert said.startswith("The student doesn't beat two on bad")
    assert said.index("on bad") < said.index("beats one on good") < said.index("keeps")


def test_beaten_baselines_share_a_sentence(models):
    tasks = {"one": "a guess", "two": "the first sentence"}
    results = models({"baseline": [1, 0], "teacher": [1, 1], "student": [1, 1]}, tuple(tasks))
    assert headline_of(results, tasks).startswith(
        "The student beats a guess on one by 50.0 points of overlap (1.000 against 0.500; chance "
        "may explain the difference); the first sentence on two by 50.0 points of overlap"
    )


def test_a_task_without_a_baseline_is_not_compared(models):
    results = models({"baseline": [1, 0], "teacher": [1, 1], "student": [1, 1]}, ("one", "two"))
    del results[0].tasks["two"]
    said = headline_of(results, {"one": "a guess"})
    assert "beats a guess on one" in said
    assert "on two by" not in said
    assert said.count("beat") == 1


def test_comparisons_survive_being_written(models, by_value):
    from stillhouse.report.results import Comparison

    values, counts = np.linspace(0, 1, 20), np.random.default_rng(0).integers(0, 3, (20, 3))
    for first, second, kind in (
        (by_value(values), by_value(values[::-1]), "bootstrap"),
        (by_value(values, counts), by_value(values, counts[::-1]), "bootstrap"),
        ([1] * 12 + [0] * 8, [0] * 20, "mcnemar"),
    ):
        (found,) = compare(models({"teacher": first, "student": second}))["digest"]
        written = found.to_json()
        assert written["test"] == kind
        assert Comparison.of_json(written) == found
        score = [m.tasks["digest"].score for m in models({"s": second, "t": first})]
        assert written["difference"] == pytest.approx(score[0] - score[1])
    del written["test"]  # as it was before there were others
    assert Comparison.of_json(written) == found


def test_families_are_drawn_together(models, by_value):
    rng = np.random.default_rng(3)
    results = models({"teacher": by_value(rng.random(60)), "student": by_value(rng.random(60))})
    (apart,) = compare(results)["digest"]
    (together,) = compare(results, {"digest": [str(i // 2) for i in range(60)]})["digest"]
    assert (apart.test.groups, together.test.groups) == (60, 30)
    assert together.test.difference == pytest.approx(apart.test.difference)
