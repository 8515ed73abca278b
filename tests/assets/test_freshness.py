"""What is overdue, and after how long: nothing, unless the project file says so."""

from __future__ import annotations

import typing
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stillhouse.config.automation import Stage
from stillhouse.config.base import ConfigError
from stillhouse.config.project import load_project
from stillhouse.definitions import build_defs
from stillhouse.steps import STEPS
from tests.made import MINIMAL


def policies(folder: Path, more: str = "") -> dict[str, Any]:
    (folder / "stillhouse.yaml").write_text(MINIMAL + more)
    (folder / "t.jsonl").write_text("")
    specs = build_defs(folder).resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec.freshness_policy for spec in specs}


def test_nothing_is_overdue_without_being_asked(tmp_path: Path) -> None:
    assert {*policies(tmp_path).values()} == {None}


def test_the_assets_of_a_stage_are_overdue_after_its_days(tmp_path: Path) -> None:
    found = policies(tmp_path, "automation: {freshness: {corpus: 1, release: 90}}\n")
    named = {name: policy for name, policy in found.items() if policy is not None}
    assert named.keys() == {
        *(step.name for step in STEPS.values() if step.group == "corpus"),
        "router/release",
    }
    a_day = dg.FreshnessPolicy.time_window(timedelta(days=1), timedelta(hours=18))
    assert named["source_files"] == a_day
    assert named["router/release"] != a_day


def test_any_number_of_days_is_whole_seconds(tmp_path: Path) -> None:
    """The UI's GraphQL has whole ones alone, and shows nothing of others."""
    found = policies(tmp_path, "automation: {freshness: {release: 0.0011, corpus: 0.33333}}\n")
    windows = [
        window.total_seconds()
        for policy in found.values()
        if policy is not None
        for window in (policy.fail_window.to_timedelta(), policy.warn_window.to_timedelta())
    ]
    assert windows and all(window == int(window) for window in windows)


def test_every_stage_can_be_named_and_nothing_else(tmp_path: Path) -> None:
    assert {*typing.get_args(Stage)} == {step.group for step in STEPS.values()}
    for wrong in ("{corpse: 1}", "{corpus: 0}", "{corpus: soon}"):
        (tmp_path / "stillhouse.yaml").write_text(MINIMAL + f"automation: {{freshness: {wrong}}}\n")
        with pytest.raises(ConfigError, match=r"automation\.freshness"):
            load_project(tmp_path)
