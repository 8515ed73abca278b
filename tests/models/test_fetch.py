"""Fetching runs the real pip, against a folder of wheels made here: no index is reached."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from stillhouse.errors import UserError
from stillhouse.models import fetch as fetching
from stillhouse.models.fetch import default_cache, fetch, locate, parse_model, source_digest

WEIGHTS = b"not really weights, but 40 bytes of them"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, the only place pip looks in."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_model-1.2-py3-none-any.whl", "w") as wheel:
        info = "tiny_model-1.2.dist-info"
        wheel.writestr("tiny_model/weights.gguf", WEIGHTS)
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.2\nRequires-Dist: absent-one\n",
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    for name in ("PIP_CONFIG_FILE", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "/dev/null" if name == "PIP_CONFIG_FILE" else "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_package_is_unpacked_with_its_digests(shelf: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    folder = fetch("pypi:Tiny_Model==1.2", cache)
    assert (folder / "tiny_model" / "weights.gguf").read_bytes() == WEIGHTS
    record = json.loads((folder / "fetched.json").read_text())
    wheel = next(shelf.iterdir())
    expected = subprocess.run(
        ["sha256sum", wheel], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert record["wheel"] == {"name": wheel.name, "sha256": expected}
    assert sorted(p.name for p in (cache / "pypi").iterdir()) == ["tiny-model-1.2"]


def test_what_is_there_is_not_fetched_again(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch("pypi:tiny-model==1.2", tmp_path / "cache")
    monkeypatch.setattr(subprocess, "run", _forbidden)
    assert fetch("pypi:tiny-model==1.2", tmp_path / "cache") == first


def test_a_failed_fetch_leaves_nothing(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"pip could not fetch tiny-model==9"):
        fetch("pypi:tiny-model==9", tmp_path / "cache")
    assert list((tmp_path / "cache" / "pypi").iterdir()) == []


def test_locate_never_calls_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", _forbidden)
    with pytest.raises(UserError) as error:
        locate("pypi:tiny-model==1.2", tmp_path)
    assert "stillhouse teachers fetch" in error.value.remedy


def test_what_did_not_change_is_hashed_once(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch("pypi:tiny-model==1.2", tmp_path / "cache")
    monkeypatch.setattr("stillhouse.models.fetch.sha256_of", _forbidden)
    assert locate("pypi:tiny-model==1.2", tmp_path / "cache") == folder


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_damaged_package_is_noticed(shelf: Path, tmp_path: Path, damage: str) -> None:
    folder = fetch("pypi:tiny-model==1.2", tmp_path / "cache")
    weights = folder / "tiny_model" / "weights.gguf"
    if damage == "change":
        weights.write_bytes(WEIGHTS[::-1])
    else:
        weights.unlink()
    with pytest.raises(UserError, match="no longer as it was fetched"):
        locate("pypi:tiny-model==1.2", tmp_path / "cache")


@pytest.mark.parametrize(
    "model",
    [
        "pypi:tiny-model",
        "pypi:tiny-model>=1.2",
        "pypi:tiny-model==1.*",
        "pypi:tiny-model==1.2,!=1.3",
        "pypi:tiny-model[extra]==1.2",
        "pypi:tiny-model @ https://example.org/tiny.whl",
        "pypi:--index-url=https://example.org tiny-model==1.2",
        "pypi:",
        "hf:tiny",
        "hf:/tiny",
        "hf:a/b/c",
    ],
)
def test_only_one_version_of_one_model_can_be_named(model: str) -> None:
    with pytest.raises(UserError, match=r"teachers\[\]\.model"):
        parse_model(model)


def test_local_models_are_found_from_the_project_folder(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    cache = tmp_path / "cache"
    assert locate("models/mine", cache, tmp_path) == tmp_path / "models" / "mine"
    absolute = str(tmp_path / "models")
    assert locate(absolute, cache, Path("/elsewhere")) == Path(absolute)
    with pytest.raises(UserError, match="does not exist"):
        locate("models/theirs", cache, tmp_path)


def test_hugging_face_models_come_from_the_local_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="not in the local Hugging Face cache"):
        locate("hf:house/small", tmp_path)
    revision = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--house--small" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (tmp_path / "models--house--small" / "refs").mkdir()
    (tmp_path / "models--house--small" / "refs" / "main").write_text(revision)
    assert locate("hf:house/small", tmp_path).resolve() == snapshot.resolve()
    assert locate(f"hf:house/small@{revision}", tmp_path).resolve() == snapshot.resolve()


def test_the_cache_can_be_put_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    monkeypatch.delenv("STILLHOUSE_CACHE", raising=False)
    assert default_cache() == Path("/var/cache/me/stillhouse")
    monkeypatch.setenv("STILLHOUSE_CACHE", "/srv/models")
    assert default_cache() == Path("/srv/models")


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """Headers suffice: nothing here opens a weight."""
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(8)
    (folder / "model.safetensors").write_bytes(content)
    for name in ("config.json", "tokenizer.json", "README.md"):
        (folder / name).write_text("{}")
    return folder


def digest_of(teacher: Path) -> str:
    root = teacher.parent.parent
    return source_digest("models/mine", root / "cache", root, known=root / "known.json")


def test_the_digest_of_a_source_is_that_of_its_content(teacher: Path, tmp_path: Path) -> None:
    first = digest_of(teacher)
    for file in teacher.iterdir():
        os.utime(file, (1, 1))
    assert digest_of(teacher) == first, "times don't count"
    (teacher / "README.md").write_text("a better word")
    assert digest_of(teacher) == first, "nor does what is no part of the model"
    elsewhere = tmp_path / "copied" / "models" / "mine"
    shutil.copytree(teacher, elsewhere)
    assert digest_of(elsewhere) == first, "nor does the place"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_an_edited_source_has_another_digest(teacher: Path, name: str) -> None:
    first = digest_of(teacher)
    content = bytearray((teacher / name).read_bytes())
    content[-1] ^= 1
    (teacher / name).write_bytes(content)
    assert digest_of(teacher) != first


def test_a_file_more_or_less_makes_another_digest(teacher: Path) -> None:
    first = digest_of(teacher)
    (teacher / "added_tokens.json").write_text("{}")
    more = digest_of(teacher)
    (teacher / "added_tokens.json").rename(teacher / "vocab.json")
    renamed = digest_of(teacher)
    (teacher / "vocab.json").unlink()
    assert len({first, more, renamed}) == 3
    assert digest_of(teacher) == first


def test_an_unchanged_file_is_read_once(teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    sha256_of = fetching.sha256_of

    def counted(file: Path) -> str:
        read.append(file.name)
        return sha256_of(file)

    monkeypatch.setattr(fetching, "sha256_of", counted)
    first = digest_of(teacher)
    assert sorted(read) == ["config.json", "model.safetensors", "tokenizer.json"]
    read.clear()
    assert digest_of(teacher) == first
    assert read == []
    (teacher / "config.json").write_text("[]")  # as many bytes as before
    assert digest_of(teacher) != first
    assert read == ["config.json"]
    known = teacher.parent.parent / "known.json"
    for damaged in ("", "{"):
        known.write_text(damaged)
        assert digest_of(teacher) != first


def test_a_source_that_left_keeps_its_last_digest(teacher: Path) -> None:
    """A project copied to another machine still uses what it imported; so it does while a share
    is not mounted, which looks like an empty folder."""
    first = digest_of(teacher)
    aside = teacher.rename(teacher.with_name("aside"))
    assert digest_of(teacher) == first
    teacher.mkdir()
    assert digest_of(teacher) == first
    teacher.rmdir()
    (aside / "config.json").write_text("[]")
    aside.rename(teacher)
    assert digest_of(teacher) != first


def test_a_source_that_never_was_here_has_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        digest_of(tmp_path / "models" / "mine")
    with pytest.raises(UserError, match="not on this machine"):
        source_digest("pypi:tiny-model==1.2", tmp_path, known=tmp_path / "known.json")


def test_gguf_sources_and_packages_have_digests_too(shelf: Path, tmp_path: Path) -> None:
    known, cache = tmp_path / "known.json", tmp_path / "cache"
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    one.write_bytes(WEIGHTS)
    other.write_bytes(WEIGHTS)

    def found(model: str | Path) -> str:
        return source_digest(str(model), cache, known=known)

    assert found(one) == found(other)
    other.write_bytes(WEIGHTS[::-1])
    assert found(one) != found(other)
    package = fetch("pypi:tiny-model==1.2", cache)
    digest = found("pypi:tiny-model==1.2")
    shutil.rmtree(package)
    assert found("pypi:tiny-model==1.2") == digest
    fetch("pypi:tiny-model==1.2", cache)
    assert found("pypi:tiny-model==1.2") == digest
    (tmp_path / "folder" / "below").mkdir(parents=True)
    shutil.copy(one, tmp_path / "folder" / "below")
    before = found(tmp_path / "folder")
    (tmp_path / "folder" / "below" / "one.gguf").write_bytes(WEIGHTS[::-1])
    assert found(tmp_path / "folder") != before


def _forbidden(*args: object, **options: object) -> None:
    raise AssertionError("a process was started")
