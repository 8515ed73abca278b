"""What lies in the project's sources: one row a file, hashed again only when it was touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.base import ConfigError
from stillhouse.config.corpus import Source
from stillhouse.config.project import Project
from stillhouse.corpus.parse.records import RECORD_SUFFIXES
from stillhouse.progress import track
from stillhouse.storage.files import digest, sha256_of

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


def source_schema() -> pa.Schema:
    """`path` is relative to the project file; `sha256` is null for a file that can't be read."""
    import pyarrow as pa

    text = ("file_id", "source", "kind", "path", "sha256", "label", "confidentiality")
    numbers = ("size", "modified_ns", "position")
    return pa.schema([(n, pa.string()) for n in text] + [(n, pa.int64()) for n in numbers])


def list_files(project: Project) -> Iterator[tuple[Source, Path]]:
    """Files of all sources, by source and path; raises `ConfigError` for a path that isn't there.

    Hidden files and the lock files of office programs are no documents.
    """
    for index, source in enumerate(project.sources):
        base = project.root / source.path
        if not base.exists():
            raise ConfigError(
                f"{project.file}: sources[{index}].path: there is no {base}",
                remedy="correct the path (it is relative to the project file), or create it.",
            )
        if base.is_file():
            yield source, base
            continue
        for path in sorted(base.rglob("*")):
            hidden = any(p.startswith((".", "~$")) for p in path.relative_to(base).parts)
            wanted = source.kind == "documents" or path.suffix.lower() in RECORD_SUFFIXES
            if path.is_file() and not hidden and wanted:
                yield source, path


def scan_sources(project: Project, previous: pa.Table | None = None) -> pa.Table:
    """One row for each source file.

    `previous` is the last scan: a file of the same size and modification time keeps its hash.
    """
    import pyarrow as pa

    known = {
        (row["path"], row["size"], row["modified_ns"]): row["sha256"]
        for row in (previous.to_pylist() if previous is not None else [])
    }
    rows: list[Row] = []
    for source, path in track(list_files(project), "Scanning sources", unit="files"):
        stat = path.stat()
        name = _relative(path, project.root)
        hashed = known.get((name, stat.st_size, stat.st_mtime_ns)) or _sha256(path)
        rows.append(
            {
                "file_id": digest(source.name, name, hashed),
                "source": source.name,
                "kind": source.kind,
                "path": name,
                "sha256": hashed,
                "label": _folder_label(source, path, project.root / source.path),
                "confidentiality": source.confidentiality,
                "size": stat.st_size,
                "modified_ns": stat.st_mtime_ns,
                "position": len(rows),
            }
        )
    return pa.Table.from_pylist(rows, schema=source_schema())


def listing_digest(project: Project) -> str:
    """Changes when a file comes, goes or is touched; reads no file's content."""
    return digest(
        [
            (source.name, str(path), stat.st_size, stat.st_mtime_ns)
            for source, path in list_files(project)
            for stat in [path.stat()]
        ]
    )


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None  # parsing says why, and quarantines it


def _folder_label(source: Source, path: Path, base: Path) -> str | None:
    if source.label_from != "folder" or path.parent == base:
        return None
    return path.parent.name
