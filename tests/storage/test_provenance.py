from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from stillhouse.storage.provenance import (
    Provenance,
    Recipe,
    make_in_place,
    make_whole,
    read_provenance,
)


@dataclass(frozen=True)
class Facts:
    digest: str


RECIPE = Recipe({"dataset": "d1"}, {"epochs": 4, "kinds": ("a", "b")}, {"training": 1})


def test_a_record_says_what_it_was_given(tmp_path: Path) -> None:
    Provenance.now(RECIPE, Facts("x"), license="MIT", run_id="r").write(tmp_path)
    found = read_provenance(tmp_path)
    assert found is not None and found.facts == {"digest": "x"}
    assert found.recipe.fingerprint == RECIPE.fingerprint
    assert (found.license, found.run_id, found.dataset) == ("MIT", "r", None)
    assert found.libraries["python"]


def test_what_changed_is_named() -> None:
    changed = Recipe(
        {"dataset": "d2"}, {"epochs": 5, "kinds": ["a", "b"]}, {"training": 2}, {"torch": "3"}
    )
    assert changed.differences(RECIPE) == [
        "input dataset changed",
        "settings changed: epochs",
        "code changed: training",
        "libraries changed: torch",
    ]
    assert RECIPE.differences(RECIPE) == []


def test_a_record_is_withdrawn_before_the_artefact_changes(tmp_path: Path) -> None:
    """Else a run killed between the two leaves a record of what is no longer there."""
    Provenance.now(RECIPE, Facts("old")).write(tmp_path)

    def fail() -> Provenance:
        assert read_provenance(tmp_path) is None
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_in_place(tmp_path, fail)
    assert read_provenance(tmp_path) is None


def test_a_folder_that_is_replaced_keeps_its_record_until_the_new_one_is_whole(
    tmp_path: Path,
) -> None:
    def made(target: Path, name: str = "new") -> Provenance:
        (target / name).write_text("x")
        return Provenance.now(RECIPE, Facts(name))

    make_whole(tmp_path / "model", lambda target: made(target, "old"))

    def fail(target: Path) -> Provenance:
        made(target)
        found = read_provenance(tmp_path / "model")
        assert found is not None and found.facts == {"digest": "old"}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_whole(tmp_path / "model", fail)
    assert (tmp_path / "model" / "old").exists()
    make_whole(tmp_path / "model", made)
    found = read_provenance(tmp_path / "model")
    assert found is not None and found.facts == {"digest": "new"}
    assert {p.name for p in (tmp_path / "model").iterdir()} == {"new", "provenance.json"}


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "provenance.json").write_text('{"recipe": 3}')
    assert read_provenance(tmp_path) is None
