"""What the command line says of a teacher that a server runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stillhouse.cli import doctor
from stillhouse.cli.asking import answer
from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from tests.made import MINIMAL


def test_a_server_that_is_not_there_or_lacks_its_model_is_told(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_machine", "_sources"):
        monkeypatch.setattr(doctor, name, lambda *_: [])
    file = tmp_path / "stillhouse.yaml"
    remote = f'model: "{server.model_of}", tokenizer: {server.model}, adapt: {{method: none}}'
    text = MINIMAL.replace("model: models/t", remote)
    begins = f"init: {{from: {server.model}, license: MIT}}"
    file.write_text(text.replace("tasks: [routing]}", f"tasks: [routing], {begins}}}"))

    def found() -> dict[str, doctor.Finding]:
        return {f.subject: f for f in doctor.examine(load_project(file))}

    assert found()["server of t-1"].ok
    assert found()["student router begins as"].message.startswith("MIT; ")
    monkeypatch.setattr("stillhouse.cli.asking._made", lambda folder, *_: folder)
    with pytest.raises(UserError, match="is sent masked texts alone"):
        answer(
            load_project(file),
            "router",
            "t-1",
            "My name is Ostrey",
            None,
            task=None,
            beside_teacher=True,
        )
    assert server.seen["asked"] == 0
    server.behave(lists="other")
    told = found()["server of t-1"]
    assert not told.ok
    assert "has no model 'tiny'" in told.message
