"""Parts of a test split, cut by what is known of its pairs."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from stillhouse.evaluate.slices import judged_slices, sliced, slices_of
from stillhouse.storage.tables import write_table
from stillhouse.tasks.results import Scored

ENGLISH = "The invoice for our last order has not arrived at the office yet, please send it again."
GERMAN = "Die Rechnung für unsere letzte Bestellung ist noch nicht im Büro angekommen, danke sehr."


def pair(number: int, **values: object) -> dict[str, object]:
    return {
        "pair_id": f"p{number:03}",
        "task": "routing",
        "split": "test",
        "source": "wiki" if number < 40 else "tickets",
        "instruction": "Route.",
        "input": (GERMAN if number % 2 else ENGLISH) + " x" * number,
        "response": "<a>",
        "label": ("billing", "access", "rare")[number % 3],
        "confidentiality": "internal",
        "created_at": f"2025-01-{number % 28 + 1:02}" if number < 80 else None,
        **values,
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slices") / "pairs.parquet"
    learned = {"billing": 9, "access": 8, "rare": 1}
    rows = [pair(number) for number in range(120)]
    rows += [
        pair(500 + 10 * place + n, label=name, split="train")
        for place, (name, many) in enumerate(learned.items())
        for n in range(many)
    ]
    write_table(path, pa.Table.from_pylist(rows))
    return path


def kind(*, countable: bool = True) -> SimpleNamespace:
    return SimpleNamespace(task=SimpleNamespace(name="routing"), countable=countable)


def scored(right: np.ndarray) -> Scored:
    return Scored(len(right), float(right.mean()), right, {}, {}, {}, None, None)


def test_pairs_are_cut_by_what_is_known_of_them(dataset: Path) -> None:
    found = slices_of(dataset, kind())
    many = {
        by: {v: values.count(v) for v in sorted(set(values), key=str)}
        for by, values in found.items()
    }
    assert many == {
        "source": {"tickets": 80, "wiki": 40},
        "class": {"access": 40, "billing": 40, "rare": 40},
        "class by training examples": {"fewest": 40, "more": 80},
        "length": {"short": 40, "middle": 40, "long": 40},
        "language": {"de": 60, "en": 60},
        "time": {None: 40, "older": many["time"]["older"], "newer": many["time"]["newer"]},
    }  # confidentiality is the same of all
    assert 30 <= many["time"]["older"] <= 50
    # What an extraction answers is what its document says: no slice is called by it.
    assert "class" not in slices_of(dataset, kind(countable=False))


def test_the_slice_that_is_worse_is_found_and_the_others_are_not(dataset: Path) -> None:
    teacher = np.ones(120, dtype=bool)
    student = teacher.copy()
    student[[number for number in range(120) if number % 3 == 2][:24]] = False  # the rare class
    results = {"teacher": {"routing": scored(teacher)}}
    results["student_quantized"] = {"routing": scored(student)}
    families = [f"f{number}" for number in range(120)]
    rows = sliced([kind()], dataset, results, {"routing": families})["routing"]
    by_name = {(row["by"], row["value"]): row for row in rows}
    rare = by_name["class", "rare"]
    assert (rare["n"], rare["difference"], rare["worse"]) == (40, pytest.approx(-0.6), True)
    assert rare["teacher"]["score"] == 1
    assert rare["student_quantized"]["score"] == pytest.approx(0.4)
    assert rare["ci"][0] < -0.6 < rare["ci"][1] < 0
    assert not by_name["class", "billing"]["worse"]
    assert all(row["p_holm"] >= row["p_value"] for row in rows if row["judged"])
    assert not any(row["better"] for row in rows)


def test_a_small_slice_is_shown_and_not_judged() -> None:
    wrong, right = np.zeros(60, dtype=bool), np.ones(60, dtype=bool)
    cut = {"source": ["few"] * 19 + ["many"] * 41}
    families = [f"f{number}" for number in range(60)]
    both = {"teacher": scored(right), "student": scored(wrong)}
    few, many = judged_slices(cut, both, families)
    assert (few["judged"], few["worse"], few["p_holm"]) == (False, False, None)
    assert (many["judged"], many["worse"]) == (True, True)
    # Forty-one copies of one text say no more than one.
    same = [*families[:19], *["one"] * 41]
    _, many = judged_slices(cut, both, same)
    assert (many["families"], many["judged"], many["worse"]) == (1, False, False)
    assert judged_slices(cut, {"student": scored(wrong)}, families) == []


def test_many_slices_make_chance_findings_rarer() -> None:
    """Of two models that don't differ, no slice may be called worse more often than 5 in 100."""
    random = np.random.default_rng(4)
    cut = {"source": [f"s{number % 10}" for number in range(300)]}
    families = [f"f{number}" for number in range(300)]
    alarms = 0
    for _ in range(8):
        first, second = random.random((2, 300)) < 0.7
        rows = judged_slices(cut, {"teacher": scored(first), "student": scored(second)}, families)
        alarms += any(row["worse"] or row["better"] for row in rows)
    assert alarms <= 2
