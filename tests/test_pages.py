"""What the links in the UI open: reports and manifests, and nothing else of the data directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from stillhouse.cli import services, webserver
from stillhouse.pages import manifest_url, page_of, page_url, report_url
from stillhouse.report import latency, leaks
from stillhouse.storage.layout import Layout

HOSTILE = "<h1>A report</h1><script>fetch('/graphql')</script>"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A report, a manifest, and things beside them that no address leads to."""
    found = Layout(tmp_path / "var")
    written = {
        found.student("router", "t-1") / "report.html": HOSTILE,
        found.student("router", "t-1") / "provenance.json": "secret",
        found.leak_audit("router", "t-1") / "leak_audit.html": "An audit",
        found.economics / "tco.html": "Costs",
        found.release("router", "t-1-abc") / "manifest.json": '{"release": "t-1-abc"}',
        found.root / "keys" / "release.key": "secret",
        tmp_path / "outside" / "report.html": "secret",
    }
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (found.root / "students" / "router" / "t-2").mkdir()
    found.student("router", "t-2").symlink_to(tmp_path / "outside")
    return found


@pytest.fixture
def client(layout: Layout) -> TestClient:
    """In place of Dagster's server one route that takes every address, as its last does."""

    class Dagsters:
        def build_routes(self) -> list[Route]:
            return [Route("/{path:path}", lambda _: PlainTextResponse("Dagster"))]

    server = webserver.with_pages(Dagsters, layout)()
    return TestClient(Starlette(routes=server.build_routes()))


def test_a_report_belongs_to_no_origin_runs_nothing_and_is_kept_nowhere(client: TestClient) -> None:
    found = client.get(report_url("router", "t-1"))
    assert found.status_code == 200 and found.text == HOSTILE
    assert found.headers["content-type"].startswith("text/html")
    policy = [part.strip() for part in found.headers["content-security-policy"].split(";")]
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= {*policy}
    assert found.headers["cache-control"] == "no-store"
    assert found.headers["x-content-type-options"] == "nosniff"


def test_a_manifest_is_shown_as_it_was_signed(client: TestClient) -> None:
    found = client.get(manifest_url("router", "t-1-abc"))
    assert found.json() == {"release": "t-1-abc"}
    assert "sandbox" in found.headers["content-security-policy"]


@pytest.mark.parametrize(
    "address",
    [
        report_url("router", "t-9"),
        report_url("router", "t-2"),
        report_url("router", quote("..", safe="")),
        report_url("..", "router"),
        report_url("Router", "t-1"),
        manifest_url("router", "t-1"),
        "/stillhouse/keys/release.key",
        "/stillhouse/students/router/t-1/current/provenance.json",
        "/stillhouse/students/router/t-1/current//report.html",
        "/stillhouse/economics/../keys/release.key",
        "/stillhouse/economics/%2e%2e/keys/release.key",
        "/stillhouse/",
    ],
)
def test_nothing_else_has_an_address(client: TestClient, address: str) -> None:
    found = client.get(address)
    assert "secret" not in found.text
    assert found.status_code == 404 or found.text == "Dagster"
    assert found.status_code == 200 or "stillhouse status" in found.text


def test_names_that_lead_elsewhere_are_no_pages(layout: Layout) -> None:
    for student, of in (("..", ".."), ("router", "../t-1"), ("", ""), ("router/t-1", "current")):
        assert page_of(layout, f"students/{student}/{of}/current/report.html") is None
    assert page_of(layout, "students/router/t-1/current/report.html") is not None


def test_a_reports_links_hold_where_the_ui_serves_it(client: TestClient, layout: Layout) -> None:
    for page in (leaks.PAGE, latency.PAGE):
        address = urljoin(report_url("router", "t-1"), page.path)
        file = layout.root / address.removeprefix("/stillhouse/")
        assert address == page_url(layout, file)
        assert client.get(address).status_code == (200 if file.exists() else 404)
    assert client.get(urljoin(report_url("router", "t-1"), leaks.PAGE.path)).text == "An audit"
    assert client.get(page_url(layout, layout.economics / "tco.html")).text == "Costs"


def test_addresses_that_earlier_runs_recorded_lead_there(client: TestClient) -> None:
    assert client.get("/stillhouse/reports/router/t-1").text == HOSTILE
    assert client.get("/stillhouse/releases/router/t-1-abc").json() == {"release": "t-1-abc"}


def test_dagster_is_as_we_extend_it() -> None:
    """Its names that we put ours in place of; without them `stillhouse dev` would show no page."""
    code = f"""
from dagster._cli import dev
from dagster_webserver import app
from stillhouse.cli import services, webserver
started = []
dev.open_ipc_subprocess = lambda command, **_: started.append(command)
dev.dev_command = lambda: dev.open_ipc_subprocess(["python", "-m", {services.DAGSTERS!r}, "-p"])
services.main()
assert started == [["python", "-m", webserver.MODULE, "-p"]], started
built = app.create_app_from_workspace_process_context.__globals__
assert built["DagsterWebserver"].build_routes
import inspect
assert "open_ipc_subprocess(" in inspect.getsource(dev.dev_command_impl)
assert f'"{{services.DAGSTERS}}"' in inspect.getsource(dev.dev_command_impl)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
