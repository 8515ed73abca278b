"""The files in .zip, .tar, .tgz and .gz, each as a part of its own."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Self, cast

from stillhouse.corpus.parse.confluence import attachment_names
from stillhouse.corpus.parse.parts import (
    ENCRYPTED_FLAG,
    MAX_MEMBERS,
    MAX_PART_BYTES,
    Budget,
    Exhausted,
    Holder,
    Member,
    Part,
    of_the_disk,
    read_part,
    refuse_ratio,
    too_large,
)
from stillhouse.corpus.parse.unparsable import Unparsable

# Says of a zip that it is a space export of Confluence; it holds nothing to read.
DESCRIPTOR = "exportDescriptor.properties"


def zip_parts(holder: Holder) -> Iterator[Part]:
    """What its directory says of the whole is checked before anything is unpacked."""
    with zipfile.ZipFile(holder.stream) as archive:
        entries = [e for e in archive.infolist() if not e.is_dir() and not _hidden(e.filename)]
        if len(entries) > MAX_MEMBERS:
            raise _too_many()
        refuse_ratio(sum(entry.file_size for entry in entries), holder.size)
        names = _attachments(archive, entries)
        for entry in entries:
            part = _entry(archive, entry, holder.budget)
            if isinstance(part, Member) and (name := names.get(part.name)):
                part = Member(name, part.data)
            if entry.filename != DESCRIPTOR or not names:
                yield part


def _attachments(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> dict[str, str]:
    """Of a space export of Confluence, what its attachments are called, by their places in it:
    `attachments/PAGE/ATTACHMENT/VERSION`, all of them numbers."""
    if not {"entities.xml", DESCRIPTOR} <= {entry.filename for entry in entries}:
        return {}
    try:
        with archive.open("entities.xml") as stream:
            titles = attachment_names(cast(BinaryIO, stream))
    except Exception:  # whoever reads the pages says what is wrong with it
        titles = {}
    places = [entry.filename for entry in entries if entry.filename.startswith("attachments/")]
    return {DESCRIPTOR: "", **{place: titles.get(place.split("/")[-2], "") for place in places}}


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: Budget) -> Part:
    """An entry by itself: others can be read where it is broken."""
    if _leads_out(entry.filename):
        return _outside()
    if stat.S_ISLNK(entry.external_attr >> 16):
        return _link()
    if entry.flag_bits & ENCRYPTED_FLAG:
        return Unparsable(
            "encrypted", "the archive asks for a password", remedy="pack it without a password."
        )
    if entry.file_size > MAX_PART_BYTES:
        return too_large()
    try:
        refuse_ratio(entry.file_size, entry.compress_size)
        budget.unpack(entry.file_size)
        with archive.open(entry) as stream:
            return Member(entry.filename, read_part(cast(BinaryIO, stream)))
    except (Exhausted, MemoryError):
        raise
    except Unparsable as error:
        return error
    except NotImplementedError:
        return Unparsable(
            "unsupported",
            "packed in a way that is not read",
            remedy="pack it anew as a usual .zip (deflate).",
        )
    except Exception as error:  # of one of four ways to pack, each with errors of its own
        if of_the_disk(error):
            raise
        return Unparsable(
            "corrupt",
            f"damaged within its archive ({type(error).__name__})",
            remedy="pack or copy the archive again.",
        )


def tar_parts(holder: Holder) -> Iterator[Part]:
    yield from _tar_parts(holder.stream, holder.budget, packed=False)


def tgz_parts(holder: Holder) -> Iterator[Part]:
    yield from _tar_parts(cast(BinaryIO, _Unpacked(holder)), holder.budget, packed=True)


def gz_parts(holder: Holder) -> Iterator[Part]:
    """The one file in it: `note.txt.gz` is a `.txt`."""
    name = PurePosixPath(holder.name).stem
    yield Member(name, read_part(cast(BinaryIO, _Unpacked(holder))))


class _Unpacked:
    """What a .gz unpacks to, counted while it is read."""

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self.inner = gzip.GzipFile(fileobj=holder.stream)
        self.size = 0

    def read(self, size: int) -> bytes:
        data = self.inner.read(size)
        self.size += len(data)
        refuse_ratio(self.size, self.holder.size)
        self.holder.budget.unpack(len(data))
        return data


class _Header(tarfile.TarInfo):
    """tarfile takes a broken header for the end of the archive: here it is an error."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


def _tar_parts(stream: BinaryIO, budget: Budget, *, packed: bool) -> Iterator[Part]:
    members = 0
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
        while (entry := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # it keeps all it has seen
            if entry.isdir() or _hidden(entry.name):
                continue
            members += 1
            if members > MAX_MEMBERS:
                raise _too_many()
            if not packed:  # a file with holes is far larger than its archive
                budget.unpack(entry.size)
            yield _tar_entry(archive, entry)


def _tar_entry(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Part:
    if _leads_out(entry.name):
        return _outside()
    if entry.issym() or entry.islnk():
        return _link()
    stream = archive.extractfile(entry) if entry.isfile() else None
    if stream is None:
        return Unparsable("unsupported", "a pipe or a device in the archive", remedy="remove it.")
    if entry.size > MAX_PART_BYTES:
        return too_large()
    return Member(entry.name, read_part(cast(BinaryIO, stream)))


def _hidden(name: str) -> bool:
    """As in folders: names that begin with a dot, and the lock files of office programs."""
    parts = name.replace("\\", "/").split("/")
    return any(part.startswith(("~$", ".")) and part not in (".", "..") for part in parts)


def _leads_out(name: str) -> bool:
    """Nothing is written under this name; but an archive that tries is not to be trusted."""
    name = name.replace("\\", "/")
    return name.startswith("/") or name[1:3] == ":/" or ".." in name.split("/")


def _outside() -> Unparsable:
    return Unparsable(
        "outside",
        "a name that leads out of the archive",
        remedy="pack it again, with names below one folder.",
    )


def _link() -> Unparsable:
    return Unparsable(
        "outside", "a link, which is not followed", remedy="pack the file itself in its place."
    )


def _too_many() -> Unparsable:
    return Unparsable(
        "too_large",
        f"an archive of more than {MAX_MEMBERS} files",
        remedy="split it into smaller archives.",
    )
