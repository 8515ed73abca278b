"""After how long without a run an asset is overdue, as the project file says: by default never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from stillhouse.config.automation import Stage
from stillhouse.steps import STEPS

# From this share of the time on, the UI warns.
WARN_AT = 0.75


def with_freshness(assets: Sequence[Any], days: Mapping[Stage, float]) -> Sequence[Any]:
    """The assets of the stages (groups of steps) that `days` names, with a freshness policy.

    `assets` are assets definitions, as Dagster loads them from modules.
    """

    def fresh(spec: dg.AssetSpec) -> dg.AssetSpec:
        stage = STEPS[spec.key.path[-1]].group
        if stage not in days:
            return spec
        # Whole seconds: of others the UI shows no policy at all.
        seconds = round(days[stage] * 86_400)  # type: ignore[index]
        policy = dg.FreshnessPolicy.time_window(
            timedelta(seconds=seconds), warn_window=timedelta(seconds=round(WARN_AT * seconds))
        )
        return spec.replace_attributes(freshness_policy=policy)

    return [asset.map_asset_specs(fresh) for asset in assets] if days else assets
