"""Dagster's web server, with the project's pages beside its own: what `stillhouse dev` runs.

Reports quote documents and names, which are untrusted; their addresses belong to the same origin
as the UI, which can start runs. So each page is served as one that belongs to no origin (the policy
`sandbox`, HTML Living Standard 7.8), runs nothing, loads nothing and is framed by nobody.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from stillhouse.config.project import load_project
from stillhouse.pages import FORMER, ROOT, page_of
from stillhouse.storage.layout import Layout

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MODULE = "stillhouse.cli.webserver"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # What has to be forgotten stays in no browser.
    "Cache-Control": "no-store",
}
MISSING = (
    "There is no such page (any more). A report is made by the asset evaluation_report, a manifest "
    "by release: `stillhouse status` says what was not made yet.\n"
)


def answer(layout: Layout, request: Request) -> Response:
    """The page that was asked for, or that there is none."""
    from starlette.responses import FileResponse, PlainTextResponse

    found = page_of(layout, request.path_params["page"])
    if found is None:
        return PlainTextResponse(MISSING, status_code=404, headers=HEADERS)
    return FileResponse(found, headers=HEADERS)


def moved(kind: str, request: Request) -> Response:
    """Where a page lies that was asked for by its former address."""
    from starlette.responses import RedirectResponse

    names = request.path_params
    page = FORMER[kind].format(student=names["student"], of=names["of"])
    return RedirectResponse(f"{ROOT}/{page}", status_code=308, headers=HEADERS)


def with_pages(server: type, layout: Layout) -> type:
    """Dagster's server as a class that knows the project's pages, too."""
    from starlette.routing import Route

    class ServerWithPages(server):  # type: ignore[misc, valid-type]
        def build_routes(self) -> list[Any]:
            # Before Dagster's own: its last one takes every address.
            former = [
                Route(f"{ROOT}/{kind}/{{student}}/{{of}}", partial(moved, kind)) for kind in FORMER
            ]
            return [
                *former,
                Route(f"{ROOT}/{{page:path}}", lambda request: answer(layout, request)),
                *super().build_routes(),
            ]

    return ServerWithPages


def main() -> None:
    """`dagster-webserver`, with its options."""
    from dagster_webserver import app, cli
    from dagster_webserver.webserver import DagsterWebserver

    # Dagster has no setting for more routes: its application is made of our class.
    of_ours: Any = app
    of_ours.DagsterWebserver = with_pages(DagsterWebserver, Layout(load_project().data_path))
    cli.main()


if __name__ == "__main__":
    main()
