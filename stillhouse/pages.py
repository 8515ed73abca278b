"""Pages that stand beside Dagster's: what a link in the UI opens, and which file that is.

A browser opens no `file://` link on a page that came by HTTP; so reports and manifests have
addresses on the server of the UI (see cli/webserver.py): their paths below the data directory, so
that links between pages hold there as they do between the files. They are relative: whatever host
and port the UI is looked at by, also through a tunnel, they lead there.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from stillhouse.config.base import is_slug
from stillhouse.storage.layout import Layout

ROOT = "/stillhouse"
# A star stands for the name of a student, a version, a release. Nothing else has an address.
PAGES = (
    "students/*/*/current/report.html",
    "students/*/*/leak_audit/leak_audit.html",
    "students/*/*/latency/latency.html",
    "students/*/*/ab_test/ab_test.html",
    "releases/*/*/manifest.json",
    "economics/tco.html",
)
# Addresses that stand in what runs of earlier releases recorded.
FORMER = {
    "reports": "students/{student}/{of}/current/report.html",
    "releases": "releases/{student}/{of}/manifest.json",
}


def page_url(layout: Layout, file: Path) -> str:
    """The address of one of PAGES."""
    return f"{ROOT}/{file.relative_to(layout.root).as_posix()}"


def report_url(student: str, version: str) -> str:
    return f"{ROOT}/students/{student}/{version}/current/report.html"


def manifest_url(student: str, release: str) -> str:
    return f"{ROOT}/releases/{student}/{release}/manifest.json"


def page_of(layout: Layout, address: str) -> Path | None:
    """The file that an address below ROOT leads to; None where it is no page, or there is none.

    Whatever is asked for, nothing but PAGES is found: neither names that aren't those of students,
    versions and releases, nor links that lead out of the data directory.
    """
    parts = address.split("/")
    known = any(_is(PurePosixPath(page).parts, parts) for page in PAGES)
    file = layout.root / address
    if not known or not file.is_file():
        return None
    return file if file.resolve().is_relative_to(layout.root.resolve()) else None


def _is(page: tuple[str, ...], parts: list[str]) -> bool:
    return len(page) == len(parts) and all(
        is_slug(part) if asked == "*" else part == asked
        for asked, part in zip(page, parts, strict=True)
    )
