from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from stillhouse.storage.provenance import (
    Provenance,
    Recipe,
    library_versions,
    read_provenance,
    reuse_or_make,
    why_stale,
)

RECIPE = Recipe({"dataset": "d1"}, {"epochs": 4, "kinds": ("a", "b")}, "1")


def test_an_artefact_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, str]:
        made.append(1)
        return {"digest": "x"}

    assert reuse_or_make(tmp_path, RECIPE, make)[1] is False
    record, reused = reuse_or_make(tmp_path, RECIPE, make)
    assert reused and record.facts == {"digest": "x"} and made == [1]
    assert record.libraries == library_versions()
    other = replace(RECIPE, settings={"epochs": 5})
    assert reuse_or_make(tmp_path, other, make)[1] is False


def test_a_failed_make_leaves_no_record(tmp_path: Path) -> None:
    def fail() -> dict[str, str]:
        raise RuntimeError

    with contextlib.suppress(RuntimeError):
        reuse_or_make(tmp_path, RECIPE, fail)
    assert read_provenance(tmp_path) is None
    assert why_stale(tmp_path, RECIPE) == "it was never made"


def test_the_reasons_for_staleness_are_named(tmp_path: Path) -> None:
    Provenance.of(RECIPE, {"digest": "x"}).write(tmp_path)
    assert why_stale(tmp_path, RECIPE) is None
    changed = Recipe({"dataset": "d2"}, {"epochs": 5, "kinds": ["a", "b"]}, "2")
    assert why_stale(tmp_path, changed) == (
        "input dataset changed; settings changed: epochs; the code of the step changed"
    )


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "provenance.json").write_text('{"recipe": 3}')
    assert read_provenance(tmp_path) is None
