from __future__ import annotations

import dagster as dg
import pytest

from stillhouse.assets.common import user_errors
from stillhouse.errors import UserError


def test_an_error_that_the_user_can_mend_is_a_failure_without_retries() -> None:
    with pytest.raises(dg.Failure) as caught, user_errors():
        raise UserError("file.yaml: field: wrong", remedy="mend it.")
    assert caught.value.allow_retries is False
    assert "file.yaml: field: wrong" in str(caught.value.description)
