from __future__ import annotations

import dagster as dg
import pytest

from stillhouse.assets.common import preview, user_errors
from stillhouse.errors import UserError


def test_document_text_cannot_leave_its_cell_or_bring_markup() -> None:
    hostile = "a | b\n\n<script>alert(1)</script> ![x](http://evil.example/p.png) `code`"
    table = preview([{"text": hostile}], ["text"])
    assert len(table.splitlines()) == 3
    row = table.splitlines()[2]
    assert row.count("|") == 2
    assert not set("<>![]()`") & set(row)


def test_long_cells_are_cut() -> None:
    row = preview([{"text": "word " * 100}], ["text"], width=20).splitlines()[2]
    assert row == "| word word word word… |"


def test_an_error_that_the_user_can_mend_is_a_failure_without_retries() -> None:
    with pytest.raises(dg.Failure) as caught, user_errors():
        raise UserError("file.yaml: field: wrong", remedy="mend it.")
    assert caught.value.allow_retries is False
    assert "file.yaml: field: wrong" in str(caught.value.description)
