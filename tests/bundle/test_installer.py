"""What install.sh says of its arguments, before it does anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stillhouse import bundle

INSTALLER = Path(bundle.__file__).with_name("install.sh")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no PREFIX"),
        (["p", "q"], "more than one PREFIX"),
        (["p", "--demo", "--other"], "unknown option --other"),
        (["p", "--key"], "--key names no file"),
        (["p", "--key", "none.pub"], "--key none.pub: it can't be read"),
    ],
)
def test_what_the_installer_is_told_wrongly(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    command = ["sh", str(INSTALLER), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and said in done.stderr
    assert list(tmp_path.iterdir()) == []
