"""The code location: assets, checks, jobs, schedules and sensors of one project.

Students are built from the project file, so another file gives another graph.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from stillhouse.offline import go_offline
from stillhouse.progress import silence_bars
from stillhouse.storage.private import keep_private
from stillhouse.threads import be_considerate

go_offline()  # before any library that phones home is imported
silence_bars()
be_considerate()
keep_private()

import dagster as dg  # noqa: E402

# Partitioned asset checks are a preview in 1.13. They are used on purpose: without partitions, a
# gate of one teacher version would stand for all.
warnings.filterwarnings("ignore", message=".*partitions_def.*", category=dg.PreviewWarning)

from stillhouse.assets import (  # noqa: E402
    confidentiality,
    corpus,
    dataset,
    monitoring,
    selection,
    teacher,
)
from stillhouse.assets.ab_test import build_ab_asset  # noqa: E402
from stillhouse.assets.common import asset_key  # noqa: E402
from stillhouse.assets.economics import build_tco_asset  # noqa: E402
from stillhouse.assets.evaluation import build_report_asset  # noqa: E402
from stillhouse.assets.freshness import with_freshness  # noqa: E402
from stillhouse.assets.history import build_comparison_asset  # noqa: E402
from stillhouse.assets.latency import build_latency_asset  # noqa: E402
from stillhouse.assets.leak_audit import build_leak_audit_asset  # noqa: E402
from stillhouse.assets.release import build_release_asset  # noqa: E402
from stillhouse.assets.student import build_student_assets  # noqa: E402
from stillhouse.config.project import load_project  # noqa: E402
from stillhouse.resources.project import ProjectResource  # noqa: E402
from stillhouse.schedules.caches import clear_caches  # noqa: E402
from stillhouse.schedules.calendar import build_schedules  # noqa: E402
from stillhouse.sensors.alerts import build_alert_sensors  # noqa: E402
from stillhouse.sensors.dataset_moved import build_dataset_moved_sensor  # noqa: E402
from stillhouse.sensors.dead_runs import build_dead_run_sensor  # noqa: E402
from stillhouse.sensors.drift import build_drift_sensor  # noqa: E402
from stillhouse.sensors.new_teachers import build_new_teacher_sensor  # noqa: E402
from stillhouse.sensors.source_files import build_source_file_sensor  # noqa: E402
from stillhouse.sensors.staleness import build_staleness_sensor  # noqa: E402
from stillhouse.steps import STEPS  # noqa: E402


def build_defs(project_file: str | Path | None = None) -> dg.Definitions:
    """The graph of a project file; see `find_project_file` for the default.

    Raises `ConfigError` when the file is wrong.
    """
    project = load_project(project_file, or_sample=True)
    stages = [corpus, confidentiality, dataset, selection, teacher, monitoring]
    assets = [
        *dg.load_assets_from_modules(stages),
        *(a for s in project.students for a in build_student_assets(s)),
        *(a for s in project.students for a in build_report_asset(s)),
        *(a for s in project.students for a in build_latency_asset(s)),
        *(a for s in project.students for a in build_leak_audit_asset(s)),
        *(a for s in project.students for a in build_release_asset(s)),
        *(a for s in project.students for a in monitoring.build_drift_asset(s)),
        *(a for s in project.students for a in build_ab_asset(s)),
        *build_comparison_asset(project.students),
        *build_tco_asset(project.students),
    ]
    on_demand = dg.AssetSelection.assets(*(asset_key(s) for s in STEPS.values() if s.on_demand))
    of_project = [s for s in STEPS.values() if s.scope == "project" and not s.on_demand]
    ingestion = dg.AssetSelection.assets(
        *(asset_key(s) for s in of_project if s.group not in ("monitoring", "economics"))
    )
    watched = dg.AssetSelection.assets(
        asset_key(STEPS["production_traffic"]),
        *(
            asset_key(STEPS[step], student.name)
            for step in ("drift_report", "ab_test")
            for student in project.students
        ),
    )
    ingest = dg.define_asset_job(
        "ingest", selection=ingestion, description="From source files to splits."
    )
    distill = dg.define_asset_job(
        "distill",
        selection=dg.AssetSelection.all() - ingestion - on_demand,
        description="From a teacher version to its students and their reports.",
    )
    refresh = dg.define_asset_job(
        "refresh",
        selection=dg.AssetSelection.all() - on_demand,
        description="Ingest, then distil for one teacher version.",
    )
    compare = dg.define_asset_job(
        "compare",
        selection=on_demand,
        description="Every teacher version as it came, on the validation split.",
    )
    watch = dg.define_asset_job(
        "watch",
        selection=watched,
        description="From request logs to drift reports and A/B tests of a teacher version.",
    )
    return dg.Definitions(
        assets=with_freshness(assets, project.automation.freshness),
        asset_checks=[
            *dg.load_asset_checks_from_modules(stages),
            *map(confidentiality.build_vocabulary_check, project.students),
        ],
        jobs=[ingest, distill, refresh, compare, watch, clear_caches],
        schedules=build_schedules(
            project, {"redistill": refresh, "watch": watch, "clear_caches": clear_caches}
        ),
        sensors=[
            build_source_file_sensor(project, ingest),
            build_dataset_moved_sensor(project, distill),
            *build_alert_sensors(project),
            build_staleness_sensor(str(project.file)),
            build_dead_run_sensor(str(project.file)),
            build_new_teacher_sensor(project, distill),
            build_drift_sensor(project, watch, refresh),
        ],
        resources={"project": ProjectResource(project_file=str(project.file))},
        # One process a step, forked from a server that has the heavy imports done already.
        executor=dg.multiprocess_executor.configured(
            {
                "max_concurrent": 1,
                "start_method": {
                    "forkserver": {"preload_modules": ["stillhouse.definitions", "torch"]}
                },
            }
        ),
    )


defs = build_defs()
