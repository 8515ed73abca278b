from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import ClassificationTask, Task
from stillhouse.errors import UserError
from stillhouse.facts import TeacherAnswersFacts
from stillhouse.storage.tables import read_table
from stillhouse.tasks.common import Kind, training_rows
from stillhouse.tasks.running import Runner
from stillhouse.teacher import answers
from stillhouse.teacher.answers import TABLE, answer_pairs

Pairs = list[dict[str, Any]]
Answer = Callable[..., TeacherAnswersFacts]


@pytest.fixture
def unanswered(routing_pairs: Pairs) -> Pairs:
    """Training pairs without an answer."""
    gold = routing_pairs[0]
    blank = {"response": None, "label": None, "origin": "unlabelled", "split": "train"}
    return [gold | blank | {"pair_id": f"u{i}", "input": f"Where is bill {i}?"} for i in range(60)]


@pytest.fixture
def dataset(
    tmp_path: Path, write_dataset: Callable[..., Path], routing_pairs: Pairs, unanswered: Pairs
) -> Path:
    return write_dataset(tmp_path / "dataset.parquet", [*routing_pairs, *unanswered])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pairs that the teacher was asked."""
    keys: list[str] = []
    original = Runner.predict

    def predict(self: Runner, kind: Kind, rows: Any) -> Any:
        keys.extend(row["pair_id"] for row in rows)
        return original(self, kind, rows)

    monkeypatch.setattr(Runner, "predict", predict)
    return keys


@pytest.fixture
def answer(tiny_teacher: Path, tmp_path: Path) -> Answer:
    def call(dataset: Path, digest: str = "teacher", **task: Any) -> TeacherAnswersFacts:
        tasks: list[Task] = [
            ClassificationTask.model_validate(
                {"name": "routing", "kind": "classification", "sources": ["tickets"]}
                | {"unlabelled": "teacher", "min_confidence": 0.0}
                | task
            )
        ]
        (tmp_path / "answers").mkdir(exist_ok=True)
        return answer_pairs(
            tmp_path / "answers",
            dataset,
            tasks,
            lambda: Runner(tiny_teacher, dataset, 64),
            teacher_digest=digest,
            scores={"routing": 1.0},
            staging=tmp_path / "staging",
        )

    return call


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return list(read_table(folder / "answers" / TABLE).to_pylist())


def test_answers_are_learned_from_beside_gold_ones(
    answer: Answer, dataset: Path, tmp_path: Path
) -> None:
    facts = answer(dataset)
    assert (facts.asked, facts.kept, facts.computed, facts.reused) == (60, 60, 60, 0)
    assert facts.shares["routing"]["gold"] == pytest.approx(5 / 65)
    rows = rows_of(tmp_path)
    assert {r["response"] for r in rows} <= {"<|routing:billing|>", "<|routing:hardware|>"}
    assert {r["origin"] for r in rows} == {"teacher"}
    assert all(0.5 <= r["confidence"] <= 1 for r in rows)  # the likelier one of two
    learned = [
        r for b in training_rows(dataset, "routing", tmp_path / "answers" / TABLE) for r in b
    ]
    assert len(learned) == 65
    assert len([r for b in training_rows(dataset, "routing") for r in b]) == 5


def test_each_pair_is_asked_once(
    answer: Answer,
    asked: list[str],
    dataset: Path,
    unanswered: Pairs,
    routing_pairs: Pairs,
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    answer(dataset)
    assert len(asked) == 60
    asked.clear()
    new = unanswered[0] | {"pair_id": "new", "input": "Where is it?"}
    changed = write_dataset(tmp_path / "d2.parquet", [*routing_pairs, *unanswered[5:], new])
    facts = answer(changed)
    assert asked == ["new"]
    assert (facts.asked, facts.reused) == (56, 55)
    asked.clear()
    answer(changed, digest="another teacher")
    assert len(asked) == 56


def test_another_threshold_asks_nothing_again(
    answer: Answer, asked: list[str], dataset: Path, tmp_path: Path
) -> None:
    answer(dataset)
    asked.clear()
    middle = sorted(r["confidence"] for r in rows_of(tmp_path))[30]
    facts = answer(dataset, min_confidence=middle)
    assert asked == []
    assert 0 < facts.kept < 60
    assert facts.dropped == {f"routing: {answers.UNSURE}": 60 - facts.kept}
    kept = [r["confidence"] for r in rows_of(tmp_path) if r["kept"]]
    assert min(kept) >= middle


@pytest.mark.parametrize(("seconds", "lots"), [(600.0, [8, 16, 32, 4]), (0.0, [8] * 7 + [4])])
def test_lots_grow_while_they_are_quick(
    answer: Answer,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    lots: list[int],
) -> None:
    """And each is written before the next begins: a slow teacher's answers are lost by few."""
    monkeypatch.setattr(answers, "LOTS", (8, 32))
    monkeypatch.setattr(answers, "LOT_SECONDS", seconds)
    original, sizes, written = answers._answer, [], []

    def watched(*args: Any) -> Iterator[Any]:
        for found in original(*args):
            written.append(len(list((tmp_path / "staging").rglob("*.parquet"))))
            sizes.append(found.inputs)
            yield found

    monkeypatch.setattr(answers, "_answer", watched)
    answer(dataset)
    assert sizes == lots
    assert written == list(range(len(lots)))


def test_a_killed_run_goes_on(
    answer: Answer, asked: list[str], dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LOTS", (16, 16))
    original = answers._answer

    def killed(*args: Any) -> Iterator[Any]:
        for place, found in enumerate(original(*args)):
            if place == 2:
                raise KeyboardInterrupt
            yield found

    with monkeypatch.context() as patch:
        patch.setattr(answers, "_answer", killed)
        with pytest.raises(KeyboardInterrupt):
            answer(dataset)
    seen = set(asked[:32])
    asked.clear()
    facts = answer(dataset)
    assert set(asked).isdisjoint(seen)
    assert facts.asked == facts.kept == 60


def test_a_teacher_that_is_sure_of_nothing_stops_the_run(answer: Answer, dataset: Path) -> None:
    with pytest.raises(UserError, match=r"of 60 answers of the teacher 0 are .*mean confidence 0"):
        answer(dataset, min_confidence=1.0)


def test_answers_to_a_task_that_is_gone_are_cleared_away(
    answer: Answer, dataset: Path, tmp_path: Path
) -> None:
    """They hold texts."""
    answer(dataset)
    asked = tmp_path / "answers" / "asked"
    (asked / "routing.parquet").rename(asked / "gone.parquet")
    answer(dataset)
    assert [f.name for f in asked.iterdir()] == ["routing.parquet"]
