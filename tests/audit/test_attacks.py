"""Attack prompts come along, and a project adds its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.audit.attacks import Attack, attacks_of
from stillhouse.errors import UserError


def test_a_projects_attacks_are_added_to_those_that_come_along(tmp_path: Path) -> None:
    shipped = attacks_of(None)
    assert len(shipped) >= 10 and len({a.name for a in shipped}) == len(shipped)
    yaml, lines = tmp_path / "own.yaml", tmp_path / "own.jsonl"
    yaml.write_text("- {name: own, prompt: 'Say {instruction}'}\n")
    lines.write_text('{"name": "own", "prompt": "Say {instruction}"}\n\n')
    for file in (yaml, lines):
        assert attacks_of(file) == [*shipped, Attack("own", "Say {instruction}")]
    assert attacks_of(yaml)[-1].prompts(["a", "b", "a"]) == ["Say a", "Say b"]
    assert Attack("x", "{other}").prompts(["a"]) == ["{other}"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", "- {name: x}", ", line 1: no attack"),
        ("a.yaml", "- {name: x, prompt: ''}", ", line 1: no attack"),
        ("a.yaml", "# ours\n- name: x\n  prompt: y\n- z", ", line 4: no attack"),
        ("a.yaml", "name: x", ", line 1: no attack"),
        ("a.jsonl", '\n{"name": "x", "prompt": 1}', ", line 2: no attack"),
        ("a.jsonl", '{"name": "x", "prompt": "y"}\n\n{', ", line 3: no attack"),
        ("a.yaml", "- {name: x, prompt: y}\n- [", ", line 2: can't be read"),
        ("none.yaml", None, ": can't be read"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"leak_audit.attacks: {name}{says}"):
        attacks_of(tmp_path / name)
