from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stillhouse.corpus.masked import masked_schema
from stillhouse.corpus.pii.residual import residual_findings
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import table_writer


@pytest.mark.parametrize(
    ("residual", "passed"),
    [
        ([], True),
        ([["PERSON", "PERSON"]], True),
        ([["PERSON"], ["PERSON"]], False),  # more than one document in a hundred
        ([["PHONE_NUMBER"]], False),
        ([["EMPLOYEE_ID"]], False),  # a kind of the project's own
    ],
)
def test_fixed_forms_must_be_gone_names_nearly(
    tmp_path: Path, residual: list[list[str]], passed: bool
) -> None:
    layout = Layout(tmp_path)
    rows: list[dict[str, Any]] = [
        {"doc_id": str(n), "version": "1", "title": None, "text": "x", "entities": []}
        for n in range(100)
    ]
    with table_writer(layout.table("masked_documents"), masked_schema()) as write:
        write([{**row, "residual": left} for row, left in zip(rows, residual, strict=False)])
        write([{**row, "residual": []} for row in rows[len(residual) :]])
    facts = residual_findings(layout)
    assert facts.passed is passed
    assert facts.documents == 100
    kinds = [kind for kinds in residual for kind in kinds]
    assert facts.by_kind == {kind: kinds.count(kind) for kind in set(kinds)}
    assert facts.residual_of_fixed_form == sum(kind != "PERSON" for kind in kinds)
    assert facts.documents_with_residual_names == sum("PERSON" in kinds for kinds in residual)
