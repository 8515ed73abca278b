from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from stillhouse.cli.reviewing import print_sample, write_to_mark
from stillhouse.config.project import load_project
from stillhouse.corpus import pii_marking
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import write_table
from tests.made import MINIMAL


def test_the_sample_is_shown_and_cannot_write_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    project = load_project(tmp_path)
    with pytest.raises(UserError, match="review_sample was not made yet"):
        print_sample(project)
    rows = [
        {"task": "routing", "label": "billing", "split": "train", "input": "Twice\x1b[2J charged."},
        {"task": "gist", "label": None, "split": "test", "input": "A long text."},
    ]
    rows = [row | {"answer": None if row["label"] else "Short."} for row in rows]
    write_table(Layout(project.data_path).table("review_sample"), pa.Table.from_pylist(rows))
    print_sample(project)
    out = capsys.readouterr().out
    assert "routing, train: billing\nTwice [2J charged." in out
    assert "gist, test: Short.\nA long text." in out


def test_whoever_marks_is_told_that_the_texts_are_not_masked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    project = load_project(tmp_path)
    path = Layout(project.data_path).texts_to_mark
    monkeypatch.setattr(pii_marking, "write_texts_to_mark", lambda *_: (path, 7))
    write_to_mark(project, 7)
    out = capsys.readouterr().out
    assert f"Wrote 7 texts to {path}" in out
    assert "NOT masked" in out and "0600" in out and "pii_gold" in out
