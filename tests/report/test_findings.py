import numpy as np
import pytest

from stillhouse.metrics.paired import mcnemar_exact
from stillhouse.report import findings
from stillhouse.report.results import evaluation


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


@pytest.fixture
def said(models):
    """The headline of a report on a student and a teacher that are right on so many of 200."""

    def headline(student: int, teacher: int) -> str:
        right = {
            "teacher": [1] * teacher + [0] * (200 - teacher),
            "student": [1] * student + [0] * (200 - student),
        }
        return findings.headline(
            evaluation(
                project="p",
                student="s",
                teacher_version="v",
                kinds={"digest": "summarization"},
                results=models(right),
                gates=[],
            )
        )

    return headline


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
