"""What must hold of the code location before anything is materialized."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from stillhouse.definitions import build_defs
from stillhouse.steps import STEPS

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    *("torch", "transformers", "unstructured", "presidio_analyzer", "spacy", "sklearn", "numba"),
    *("rapidocr", "onnxruntime", "cv2", "pypdfium2", "PIL"),
)


@pytest.fixture(scope="module")
def defs(helpdesk: Path) -> dg.Definitions:
    return build_defs(helpdesk / "stillhouse.yaml")


@pytest.fixture(scope="module")
def helpdesk() -> Path:
    return ROOT / "examples" / "helpdesk"


def test_loading_imports_nothing_heavy() -> None:
    code = f"import sys, stillhouse.definitions; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_imports_no_room_that_computes() -> None:
    """Each costs: with them all, loading took twice what `import dagster` takes."""
    computing = {"corpus", "dataset", "lm", "models", "monitor", "release", "student", "teacher"}
    code = f"""
import sys, stillhouse.definitions
loaded = {{name.split(".")[1] for name in sys.modules if name.startswith("stillhouse.")}}
print(sorted(loaded & {computing}), [m for m in ("numpy", "pyarrow", "duckdb") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_the_command_line_loads_without_dagster() -> None:
    heavy = {*HEAVY, "dagster"}
    code = f"import sys, stillhouse.cli.main as _; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_only_three_modules_of_the_library_know_dagster() -> None:
    knowing = {
        path.relative_to(ROOT / "stillhouse").as_posix()
        for path in (ROOT / "stillhouse").rglob("*.py")
        if "import dagster" in path.read_text()
        and path.relative_to(ROOT / "stillhouse").parts[0]
        not in ("assets", "resources", "sensors", "schedules")
    }
    assert knowing == {"definitions.py", "instance.py", "cli/runs.py"}


def test_the_graph_is_the_plans(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    names = {key.to_user_string() for key in graph.materializable_asset_keys}
    assert names == {
        *("source_files", "parsed_documents", "cleansed_documents", "masked_documents"),
        *("pii_quality", "document_confidentiality", "unique_documents", "reidentification_risk"),
        *("instruction_pairs", "dataset_splits", "review_sample"),
        *("teacher_model", "adapted_teacher", "teacher_answers", "soft_labels"),
        *("router/checkpoint", "router/quantized_model", "router/evaluation_report"),
        "router/latency_profile",
        *("router/leak_audit", "router/release", "version_comparison", "tco_report"),
        "teacher_comparison",
        *("production_traffic", "router/drift_report", "router/ab_test"),
    }
    ends = dg.AssetSelection.assets("router/release", "version_comparison", "tco_report")
    ancestors = ends.upstream().resolve(graph)
    missing = graph.materializable_asset_keys - ancestors
    assert {key.path[-1] for key in missing} == {
        *("production_traffic", "drift_report", "ab_test", "teacher_comparison")
    }


def test_the_edges_are_those_of_the_data(defs: dg.Definitions) -> None:
    """The UI shows what `steps.py` says that is read, no edge more and none less."""
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        step = STEPS[key.path[-1]]
        parents = {parent.path[-1] for parent in graph.get(key).parent_keys}
        assert parents == {*step.reads, *step.gathers}, key
        assert graph.get(key).code_version == step.code_version


def test_what_is_made_on_demand_is_part_of_no_other_job(defs: dg.Definitions) -> None:
    """Every candidate's answers would be the cost of each redistillation."""
    asked = dg.AssetKey("teacher_comparison")
    found = {
        name: asked in defs.resolve_job_def(name).asset_layer.selected_asset_keys
        for name in ("ingest", "distill", "refresh", "watch", "compare")
    }
    assert [name for name, there in found.items() if there] == ["compare"]


def test_every_asset_says_what_it_is(defs: dg.Definitions) -> None:
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners and spec.kinds and spec.code_version and spec.group_name, spec.key


def test_teacher_and_below_share_one_partition_dimension(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        partitions = graph.get(key).partitions_def
        if STEPS[key.path[-1]].scope == "project":
            assert partitions is None
        else:
            assert isinstance(partitions, dg.DynamicPartitionsDefinition)
            assert partitions.name == "teacher_version"


def test_students_come_from_the_project_file(helpdesk: Path, tmp_path: Path) -> None:
    values = yaml.safe_load((helpdesk / "stillhouse.yaml").read_text())
    values["students"].append({**values["students"][0], "name": "tiny", "init": {"layers": 2}})
    (tmp_path / "stillhouse.yaml").write_text(yaml.safe_dump(values))
    graph = build_defs(tmp_path / "stillhouse.yaml").resolve_asset_graph()
    assert dg.AssetKey(["tiny", "quantized_model"]) in graph.materializable_asset_keys
    for key in graph.materializable_asset_keys:
        group = graph.get(key).group_name
        assert group == (key.path[0] if len(key.path) == 2 else STEPS[key.path[-1]].group)


def test_definitions_validate_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate"]
    done = subprocess.run(
        [*command, "-m", "stillhouse.definitions"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_package_list_names_every_folder() -> None:
    """Mapped folders are invisible to setuptools' discovery, so the list is by hand."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    mapped = {"assets", "resources", "schedules", "sensors"}
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "stillhouse").rglob("__init__.py")
        if path.parent.name not in mapped
    } | {f"stillhouse.{name}" for name in mapped}
    assert set(settings["packages"]) == folders
    assert settings["package-dir"] == {f"stillhouse.{name}": name for name in sorted(mapped)}


def test_files_stay_short() -> None:
    """A house rule with some slack: a file that grows past this wants to be two."""
    code = [
        p
        for folder in ("stillhouse", "assets", "resources", "sensors", "schedules")
        for p in (ROOT / folder).rglob("*.py")
    ]
    long = {p.name: n for p in code if (n := len(p.read_text().splitlines())) > 340}
    assert not long
