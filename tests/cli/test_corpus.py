"""`stillhouse corpus` as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.config.corpus import Cleansing
from stillhouse.config.project import load_project
from stillhouse.corpus.cleansed import cleanse_documents
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from tests.corpus.cleanse.made import BANNER, own_text, write_parsed

runner = CliRunner()


def test_a_document_is_shown_with_what_was_taken_out_and_why(
    small_project: Callable[..., Path],
) -> None:
    file = small_project(tickets=5)
    layout = Layout(load_project(file).data_path)
    show = ["corpus", "show", "-p", str(file)]
    with pytest.raises(UserError, match="no documents were cleansed yet"):
        runner.invoke(app, [*show, "abc"], catch_exceptions=False)
    bell = "A bell \x1b[2J and\u202e the PrÃ¼fung of a connec-\n\ntion."
    texts = {"abc1": f"{BANNER}\n{own_text('VPN')}", "abd2": bell, "abd3": "A text."}
    write_parsed(layout.table("parsed_documents"), texts)
    cleanse_documents(Cleansing(), layout)

    done = runner.invoke(app, [*show, "abc"], catch_exceptions=False)
    assert done.stdout.startswith("abc1, source wiki: kept\n  language en, quality 1.00\n")
    assert "  taken out or mended: 1 cookie_banner\n" in done.stdout
    assert "- Accept all  (cookie_banner)\n- Only necessary  (cookie_banner)\n" in done.stdout
    assert "\n  VPN at Acme\n\n  Summary\n" in done.stdout
    assert "not masked" in done.stderr
    only = runner.invoke(app, [*show, "abc", "--removed"], catch_exceptions=False)
    assert "(cookie_banner)" in only.stdout and "VPN at" not in only.stdout

    done = runner.invoke(app, [*show, "abd2"], catch_exceptions=False)
    line = "  A bell [2J and the Pr[-Ã¼-]{+ü+}fung of a connec[--↵↵-]tion."
    assert line in done.stdout.splitlines()
    for name, said in (("abd", "several documents"), ("", "no such"), ("x", "no such")):
        with pytest.raises(UserError, match=said):
            runner.invoke(app, [*show, name], catch_exceptions=False)
