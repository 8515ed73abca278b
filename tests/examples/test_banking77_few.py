"""The builder of examples/banking77/few, on queries of our own in the data's form."""

import csv
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from stillhouse.config.project import load_project

FEW = Path(__file__).parents[2] / "examples" / "banking77" / "few"
INTENTS = {
    "age_limit": "How old must my {} be for an account?",
    "atm_support": "Does the machine beside the {} take my card?",
    "cancel_transfer": "I sent the {} some money by mistake, stop it.",
}
WHO = (
    *("aunt", "baker", "barber", "brother", "butcher", "carpenter", "cashier", "chemist", "cook"),
    *("cousin", "daughter", "dentist", "doctor", "driver", "farmer", "friend", "gardener"),
    *("grocer", "jeweller", "joiner", "landlord", "lawyer", "miller", "nephew", "niece"),
    *("painter", "plumber", "porter", "sister", "tailor"),
)


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("banking77_few_build", FEW / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("banking77")
    rows = [(text.format(who), intent) for who in WHO for intent, text in INTENTS.items()]
    other = [("Where is the money that I was sent?", "pending_transfer")]
    for name, part in (("train", rows[:60] + other), ("test", rows[60:])):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "category"), *part])
    return folder


def test_ten_of_training_keep_their_label_and_all_that_measure(
    build: ModuleType, data: Path, tmp_path: Path
) -> None:
    build.main(["--banking77", str(data), "--out", str(tmp_path / "a"), "--labelled", "5"])
    with (tmp_path / "a" / "queries.csv").open(encoding="utf-8", newline="") as stream:
        written = [build.Query(**row) for row in csv.DictReader(stream)]
    assert len(written) == 90
    given = {q.id: q for q in build.read(data, list(INTENTS))}
    assert all(q.text == given[q.id].text for q in written)
    assert all(q.category in ("", given[q.id].category) for q in written)

    # The project deals what was written as the builder foresaw.
    project = load_project(FEW)
    before = build.dealt(project, list(given.values()))
    labelled = [q for q in written if q.category]
    after = build.dealt(project, labelled)
    assert after == {q.id: before[q.id] for q in labelled}
    assert Counter(q.category for q in labelled if after[q.id] == "train") == dict.fromkeys(
        INTENTS, 5
    )
    measuring = {key for key, split in before.items() if split != "train"}
    assert len(measuring) > 10
    assert measuring == {key for key, split in after.items() if split != "train"}


def test_too_few_in_training_are_said(build: ModuleType, data: Path) -> None:
    queries = build.read(data, list(INTENTS))
    splits = {q.id: "train" if q.category != "age_limit" else "test" for q in queries}
    with pytest.raises(SystemExit, match="age_limit: 0 queries in training, but 10 asked for"):
        build.few(queries, splits, 10, 7)


def test_the_seed_decides_which(build: ModuleType, data: Path) -> None:
    queries = build.read(data, list(INTENTS))
    splits = {q.id: "train" for q in queries[:-1]}  # the last one is a copy of another

    def kept(seed: int) -> set[str]:
        return {q.id for q in build.few(queries, splits, 10, seed) if q.category}

    assert len(kept(7)) == 30
    assert queries[-1].id not in kept(7)
    assert kept(7) == kept(7) != kept(8)


def test_missing_data_is_said(build: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"train\.csv: not there"):
        build.read(tmp_path, ["age_limit"])


def test_both_projects_have_the_same_task() -> None:
    """So that their figures can stand side by side."""
    whole, few = load_project(FEW.parent), load_project(FEW)
    assert few.splits == whole.splits
    assert few.privacy == whole.privacy
    assert few.tasks[0].unlabelled == "teacher"
    assert few.tasks[0].model_copy(update={"unlabelled": "ignore"}) == whole.tasks[0]
    assert few.students == whole.students
