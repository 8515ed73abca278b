from __future__ import annotations

import json
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from stillhouse.config.corpus import Privacy
from stillhouse.config.project import load_project
from stillhouse.corpus.masked import mask_documents
from stillhouse.corpus.pii_gold import MARKED, read_gold
from stillhouse.corpus.pii_marking import write_texts_to_mark
from stillhouse.corpus.pii_quality import measure_masking, proven
from stillhouse.errors import UserError
from stillhouse.offline import go_offline
from stillhouse.outside import open_state, pii_gold
from stillhouse.shapes import Where
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table
from tests.made import MINIMAL

# Kinds without a model of names: these tests are about what is made of the findings.
QUICK = {"entities": ["EMAIL_ADDRESS"], "patterns": {"STREET": [r"\b\w+ Street \d+"]}}
LINES = [
    {"text": "Ann, ann@acme.example", "spans": [[0, 3, "NAME"], [5, 21, "EMAIL"]]},
    {"text": "Hill Street 4 in Hull", "spans": [[0, 21, "ADDRESS"]]},
    {"text": "Elm Street 7", "spans": [[0, 12, "ADDRESS"]]},
    {"text": "ticket@4711 info@acme.example", "spans": []},
]


def gold(folder: Path) -> Path:
    path = folder / "gold.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)))
    return path


def test_masking_is_measured_on_what_is_marked(tmp_path: Path) -> None:
    go_offline()
    layout = Layout(tmp_path / "var")
    privacy = Privacy(pii_gold=Path(gold(tmp_path).name), **QUICK)
    found = measure_masking(privacy, tmp_path, layout)
    # Masked: the mail and Elm Street; of Hill Street all but the town; not Ann. The last text's
    # mail is nobody's.
    assert (found.texts, found.spans, found.masked, found.partly_masked) == (4, 4, 2, 1)
    assert found.recall == 0.5
    assert found.precision == 0.75
    assert found.recall_by_kind == {"ADDRESS": 0.5, "EMAIL_ADDRESS": 1.0, "PERSON": 0.0}
    assert found.not_looked_for == ["PERSON"]
    assert found.recall_low is not None and found.recall_high is not None
    assert found.recall_low < 0.5 < found.recall_high
    assert proven(found, found.recall_low) and not proven(found, found.recall_low + 0.01)
    rows = {row["kind"]: row for row in read_table(layout.table("pii_quality")).to_pylist()}
    assert list(rows) == ["all", "ADDRESS", "EMAIL_ADDRESS", "PERSON"]
    assert (rows["all"]["recall"], rows["all"]["recall_low"]) == (0.5, found.recall_low)
    assert rows["PERSON"]["precision"] is None
    # Figures only: nothing of the texts is kept, nobody gets a pseudonym.
    assert not layout.vault.exists()
    kept = b"".join(p.read_bytes() for p in layout.root.rglob("*") if p.is_file())
    assert b"acme" not in kept and b"Street" not in kept
    assert measure_masking(privacy, tmp_path, layout) == found


def test_marked_texts_count_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "stillhouse.yaml").write_text(f"{MINIMAL}privacy: {{pii_gold: gold.jsonl}}\n")
    state = open_state(load_project(tmp_path))
    where = Where(state.project)
    assert pii_gold(state, where) is None  # not here now: what was measured counts
    with pytest.raises(UserError, match=r"privacy.pii_gold: .*gold.jsonl: can't be read"):
        measure_masking(state.project.privacy, tmp_path, state.layout)
    first = (gold(tmp_path), pii_gold(state, where))[1]
    (tmp_path / "gold.jsonl").touch()
    assert pii_gold(state, where) == first
    (tmp_path / "gold.jsonl").write_text(json.dumps(LINES[0]))
    assert pii_gold(state, where) not in (first, None)
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    assert pii_gold(open_state(load_project(tmp_path)), where) == "none"


def test_without_marked_texts_recall_is_unknown(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    found = measure_masking(Privacy(), tmp_path, layout)
    assert (found.texts, found.recall, found.recall_by_kind) == (0, None, {})
    assert not proven(found, 0.0)
    assert read_table(layout.table("pii_quality")).num_rows == 0


def test_texts_to_mark_become_the_gold_set(tmp_path: Path) -> None:
    go_offline()
    layout = Layout(tmp_path / "var")
    with pytest.raises(UserError, match="no documents were masked yet"):
        write_texts_to_mark(layout, 10)
    texts = {"a": "Ann, ann@acme.example", "b": "Elm Street 7", "c": "fine " * 2000}
    names = ("doc_id", "content_id", "status", "title", "text", "columns")
    schema = pa.schema([(n, pa.string()) for n in names])
    rows = [{"doc_id": n, "content_id": n, "status": "kept", "text": texts[n]} for n in texts]
    write_table(layout.table("cleansed_documents"), pa.Table.from_pylist(rows, schema=schema))
    mask_documents(Privacy(**QUICK), layout)
    levels = {"doc_id": [*texts], "level": ["internal", "restricted", "internal"]}
    write_table(layout.table("document_confidentiality"), pa.table(levels))

    path, written = write_texts_to_mark(layout, 10, "confidential")
    assert written == 2 and "Elm Street" not in path.read_text()
    path.unlink()
    path, written = write_texts_to_mark(layout, 10)
    assert written == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = {line["text"][:3]: line for line in map(json.loads, path.read_text().splitlines())}
    assert lines["Ann"]["spans"] == [{"kind": "EMAIL_ADDRESS", "value": "ann@acme.example"}]
    assert 0 < len(lines["fin"]["text"]) <= 4000
    with pytest.raises(UserError, match="nothing is marked"):
        read_gold(path)
    with pytest.raises(UserError, match="exists already"):
        write_texts_to_mark(layout, 10)

    lines["Ann"]["spans"].append({"kind": "PERSON", "value": "Ann"})
    marked = [line | {MARKED: True} for line in lines.values()]
    path.write_text("\n".join(map(json.dumps, marked)))
    privacy = Privacy(pii_gold=path, **QUICK)
    assert measure_masking(privacy, tmp_path, layout).recall == pytest.approx(2 / 3)
