from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from stillhouse.cli.grading import grade_outputs
from stillhouse.cli.reviewing import print_sample, write_to_mark
from stillhouse.config.project import load_project
from stillhouse.corpus import pii_marking
from stillhouse.dataset.pairs import pair_schema
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
        {"task": "routing", "label": "billing", "input": "Twice\x1b[2J charged."},
        {"task": "gist", "label": None, "input": "A long text."},
    ]
    rows = [
        row | {"source": "tickets", "answer": None if row["label"] else "Short."} for row in rows
    ]
    layout = Layout(project.data_path)
    write_table(layout.table("review_sample"), pa.Table.from_pylist(rows))
    pair = {**dict.fromkeys(pair_schema().names), "pair_id": "a1", "task": "routing"}
    pair |= {"response": "<|routing:billing|>", "label": "billing"}
    write_table(
        layout.table("instruction_pairs"), pa.Table.from_pylist([pair], schema=pair_schema())
    )
    layout.reviews.mkdir()
    text = "reviewer,pair_id,verdict\nAnn,pair-a1,reject\nAnn,pair-b2,accept\nBob,pair-a1,no\n"
    (layout.reviews / "a.csv").write_text(text)
    print_sample(project)
    out = capsys.readouterr().out
    assert "routing, tickets: billing\nTwice [2J charged." in out
    assert "gist, tickets: Short.\nA long text." in out
    assert f"put the CSVs into {layout.reviews}" in out and "review.html" in out
    assert "Decided so far: 1, by 1 reviewers; 1 rows are of no pair of today" in out
    assert "a.csv:4: verdict: this is none; write accept, reject or correct" in out


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


def test_outputs_that_nobody_made_cannot_be_graded(tmp_path: Path) -> None:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    project = load_project(tmp_path)
    with pytest.raises(UserError, match="dataset_splits was not made yet"):
        grade_outputs(project, "router", "t-1", 7)
    with pytest.raises(UserError, match="there is no 'other'"):
        grade_outputs(project, "other", "t-1", 7)
