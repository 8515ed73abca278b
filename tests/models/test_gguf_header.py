"""Headers of GGUF files, as the format's own library writes them."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse.models.gguf_header import read_header

TOKENS = "tokenizer.ggml.tokens"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from gguf import GGUFWriter

    path = tmp_path_factory.mktemp("gguf") / "a.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_license("apache-2.0")
    for kind, value in VALUES.items():
        getattr(writer, f"add_{kind}")(f"mine.{kind}", value)
    writer.add_array("mine.numbers", [3, -1, 2])
    writer.add_token_list(["a", "ü", ""])
    writer.add_token_merges(["a b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


VALUES = {
    "uint8": 255, "int8": -128, "uint16": 65_535, "int16": -2, "uint32": 1 << 31, "int32": -3,
    "float32": 0.5, "uint64": 1 << 63, "int64": -(1 << 62), "float64": 0.1, "bool": True,
    "string": "größer",
}  # fmt: skip


def test_every_kind_of_value_is_read(file: Path) -> None:
    found = read_header(file)
    assert found["general.license"] == "apache-2.0"
    assert {kind: found[f"mine.{kind}"] for kind in VALUES} == VALUES
    assert found["mine.numbers"] == [3, -1, 2]


def test_strings_of_an_array_are_read_where_they_are_asked_for(file: Path) -> None:
    assert read_header(file)[TOKENS] is None
    found = read_header(file, {TOKENS})
    assert found[TOKENS] == ["a", "ü", ""]
    assert found["tokenizer.ggml.merges"] is None


def test_a_header_that_is_cut_short_anywhere_is_told(file: Path, tmp_path: Path) -> None:
    content, cut = file.read_bytes(), tmp_path / "cut.gguf"
    whole = content.index(b"a b") + 3  # what is last in it
    for length in range(whole):
        cut.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"within its header|begin as one"):
            read_header(cut)
    cut.write_bytes(content[:whole])
    assert read_header(cut) == read_header(file)


@pytest.mark.parametrize(
    ("at", "written", "said"),
    [
        (4, struct.pack("<I", 1), "its version is 1"),
        (16, struct.pack("<Q", 1 << 60), "within its header"),
        (24, struct.pack("<Q", 1 << 62), "within its header"),
        (24 + 8, b"general.architecturE", "names no architecture"),
        (24 + 8 + len("general.architecture"), struct.pack("<I", 99), "type 99"),
    ],
)
def test_a_damaged_header_is_told(
    file: Path, tmp_path: Path, at: int, written: bytes, said: str
) -> None:
    content = file.read_bytes()
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(content[:at] + written + content[at + len(written) :])
    with pytest.raises(ValueError, match=said):
        read_header(damaged)


def test_a_licence_is_read_without_heavy_libraries(file: Path) -> None:
    code = """
import sys
from pathlib import Path
from stillhouse.models.licence import stated_licences
print([s.licence for s in stated_licences(Path(sys.argv[1]))])
print([name for name in ("torch", "transformers", "numpy", "gguf") if name in sys.modules])
"""
    command = [sys.executable, "-c", code, str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["['Apache-2.0']", "[]"]
