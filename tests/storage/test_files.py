from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse.storage.files import (
    atomic_dir,
    atomic_file,
    digest,
    read_json,
    remove_leftovers,
    write_json,
)


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"n": 1})
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"n": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with atomic_dir(path) as folder:
        (folder / "old").write_text("1")
    with atomic_dir(path) as folder:
        (folder / "new").write_text("2")
    assert os.listdir(path) == ["new"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_failing_writer_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with atomic_dir(path) as folder:
        (folder / "old").write_text("1")
    with pytest.raises(RuntimeError), atomic_dir(path) as folder:
        (folder / "new").write_text("2")
        raise RuntimeError
    assert os.listdir(path) == ["old"]
    assert os.listdir(tmp_path) == ["model"]


WRITER = """
import sys, time
from pathlib import Path
from stillhouse.storage.files import atomic_dir
with atomic_dir(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("x")
    print("writing", flush=True)
    time.sleep(60)
"""


def start_writer(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    return child


def test_what_a_killed_writer_leaves_is_never_read_and_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "model"
    child = start_writer(path)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not path.exists()
    assert len(os.listdir(tmp_path)) == 1
    with atomic_dir(path) as folder:
        (folder / "whole").write_text("y")
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(path) == ["whole"]


SAVER = """
import sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from stillhouse.storage.files import atomic_file
for n in range(10**6):
    with atomic_file(Path(sys.argv[1]) / f"{n % 3}.safetensors") as temporary:
        save_file({"x": np.zeros(4_000_000)}, temporary)
"""


def temporary_files(folder: Path) -> list[str]:
    """The library's own, while another process makes and removes folders: os.walk bears that."""
    return [name for _, _, names in os.walk(folder) for name in names if name.startswith(".tmp")]


def test_a_librarys_own_temporary_file_goes_with_the_killed_writers(tmp_path: Path) -> None:
    """safetensors writes to a hidden file under a random name, which a kill leaves behind."""
    for _ in range(50):
        child = subprocess.Popen([sys.executable, "-c", SAVER, str(tmp_path)])
        while child.poll() is None and not temporary_files(tmp_path):
            pass
        child.kill()
        assert child.wait() == -signal.SIGKILL
        if temporary_files(tmp_path):
            break
    else:
        pytest.fail("no kill fell into the writing of a file")
    write_json(tmp_path / "another.json", {})
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")]


def test_models_are_as_readable_as_any_new_file(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    (tmp_path / "usual").write_text("")
    with atomic_file(tmp_path / "a.safetensors") as temporary:
        save_file({"x": np.zeros(3)}, temporary)
    with atomic_dir(tmp_path / "model") as folder:
        (folder / "weights").mkdir()
        save_file({"x": np.zeros(3)}, folder / "weights" / "b.safetensors")
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.rglob("*") if p.is_file()}
    assert modes["a.safetensors"] == modes["b.safetensors"] == modes["usual"]


def test_what_this_process_or_a_live_one_still_writes_is_kept(tmp_path: Path) -> None:
    child = start_writer(tmp_path / "b")
    try:
        with atomic_file(tmp_path / "a") as temporary:
            temporary.write_text("mine")
            write_json(tmp_path / "c.json", {})
            remove_leftovers(tmp_path)
            assert temporary.exists()
        assert len(list(tmp_path.glob(".b.*.part"))) == 1
    finally:
        child.kill()
        child.wait()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["a", "c.json"]


def test_a_writer_of_another_container_is_told_from_a_dead_one(tmp_path: Path) -> None:
    """Its process number means nothing here; only its lock does."""
    child = start_writer(tmp_path / "b")
    try:
        # As another container would see it: the process can't be found, whatever its number.
        code = f"""
import os
from pathlib import Path
from stillhouse.storage.files import remove_leftovers
def nobody(*_): raise ProcessLookupError
os.kill = nobody
remove_leftovers(Path({str(tmp_path)!r}))
"""
        subprocess.run([sys.executable, "-c", code], check=True)
        assert len(list(tmp_path.glob(".b.*.part"))) == 1
    finally:
        child.kill()
        child.wait()


def test_a_folder_moved_aside_by_a_killed_writer_comes_back(tmp_path: Path) -> None:
    aside = tmp_path / ".model.0123abcd.part" / ".old"
    aside.mkdir(parents=True)
    (aside / "old").write_text("1")
    with pytest.raises(RuntimeError), atomic_dir(tmp_path / "model"):
        raise RuntimeError
    assert os.listdir(tmp_path / "model") == ["old"]


def test_a_folder_comes_back_when_taking_its_place_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption, or a full disk, between the two renames must not cost the old one."""
    path = tmp_path / "model"
    with atomic_dir(path) as folder:
        (folder / "old").write_text("1")
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target == path and self.name != ".old":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_dir(path) as folder:
        (folder / "new").write_text("2")
    assert os.listdir(path) == ["old"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_is_searched_for_leftovers_once_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[object] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(path) or scan(path))
    for number in range(20):
        write_json(tmp_path / f"{number}.json", {})
    assert len([s for s in scans if s == tmp_path]) == 1


def test_the_digest_is_the_same_in_every_process() -> None:
    code = "from stillhouse.storage.files import digest; print(digest({'b': 1, 'a': ['x']}, 'y'))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert found == digest({"a": ["x"], "b": 1}, "y")
