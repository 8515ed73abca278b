from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from stillhouse.tasks.nearest import Nearest

TEXTS = ["My invoice is wrong.", "The screen stays dark.", "A dark screen, and no INVOICE!", "Oh."]


def test_texts_with_more_and_rarer_words_in_common_are_nearer() -> None:
    found = list(Nearest(TEXTS).ranked("dark invoice, dark screen"))
    assert found[0] == 2
    assert found[-1] == 3
    assert sorted(found) == [0, 1, 2, 3]


def test_few_or_many_come_in_the_same_order() -> None:
    texts = [f"{word} {'screen ' * n}" for n, word in enumerate("abcdefgh" * 5)]
    whole = list(Nearest(texts).ranked("screen", few=len(texts)))
    assert list(Nearest(texts).ranked("screen", few=3)) == whole
    assert list(islice(Nearest(texts).ranked("screen", few=3), 5)) == whole[:5]
    assert whole != sorted(whole)


@pytest.mark.parametrize("text", ["", "?!", "unknown words alone"])
def test_what_is_near_to_nothing_comes_in_order(text: str) -> None:
    assert list(Nearest(TEXTS).ranked(text)) == [0, 1, 2, 3]
    assert list(Nearest(["", "?"]).ranked("screen")) == [0, 1]


def test_scripts_without_spaces_are_compared_too() -> None:
    texts = ["ใบแจ้งหนี้ของฉันผิด", "หน้าจอมืด", "画面が暗いままです", "請求書が間違っています"]
    assert next(Nearest(texts).ranked("หน้าจอยังมืดอยู่")) == 1
    assert next(Nearest(texts).ranked("画面は暗い")) == 2


def test_jax_is_not_started_where_it_is_installed(tmp_path: Path) -> None:
    """It would take most of a GPU's memory; whoever wants it can import it still."""
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("print('jax was started')")
    script = (
        "from stillhouse.tasks.nearest import Nearest\n"
        "print(next(Nearest(['one', 'two']).ranked('two')))\n"
        "import jax"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["1", "jax was started"]
