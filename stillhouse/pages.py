"""Pages that stand beside Dagster's: what a link in the UI opens, and which file that is.

A browser opens no `file://` link on a page that came by HTTP; so reports and manifests have
addresses of their own on the server of the UI (see cli/webserver.py). They are relative: whatever
host and port the UI is looked at by, also through a tunnel, they lead there.
"""

from __future__ import annotations

from pathlib import Path

from stillhouse.config.base import is_slug
from stillhouse.storage.layout import Layout

ROOT = "/stillhouse"


def report_url(student: str, version: str) -> str:
    return f"{ROOT}/reports/{student}/{version}"


def manifest_url(student: str, release: str) -> str:
    return f"{ROOT}/releases/{student}/{release}"


def page_of(layout: Layout, kind: str, student: str, of: str) -> tuple[Path, str] | None:
    """The file that an address leads to, and its media type; None where there is none.

    Nothing but reports and manifests is found, whatever is asked for: names that aren't those of
    students, versions and releases, and links that lead out of the data directory, are no pages.
    """
    from stillhouse.release.published import MANIFEST
    from stillhouse.report.assemble import PAGE

    if not (is_slug(student) and is_slug(of)):
        return None
    found = {
        "reports": (layout.student(student, of) / PAGE, "text/html"),
        "releases": (layout.release(student, of) / MANIFEST, "application/json"),
    }.get(kind)
    if found is None or not found[0].is_file():
        return None
    return found if found[0].resolve().is_relative_to(layout.root.resolve()) else None
