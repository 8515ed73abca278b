"""A teacher that a server runs becomes a version whole or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stillhouse.assets.teacher import teacher_model
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.layout import Layout
from tests.made import MINIMAL

REMOTE = MINIMAL.replace(
    "- {version: t-1, model: models/t, license: MIT}",
    """- version: t-1
    model: "openai:http://127.0.0.1:%d/v1#m"
    license: MIT
    tokenizer: %s
    adapt: {method: none}
    endpoint: {log_probs: none, patience: 0.2}""",
).replace(
    "tasks: [routing]}",
    "tasks: [routing], init: {from: m, license: MIT}, distillation: {alpha: 0}}",
)


class _Server(BaseHTTPRequestHandler):
    """Lists a model and answers in words, once `behaves`."""

    behaves = False

    def _say(self, found: dict[str, Any]) -> None:
        kind = "application/json" if self.behaves else "text/html"
        body = json.dumps(found) if self.behaves else "<html>Log in</html>"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self) -> None:
        self._say({"data": [{"id": "m", "max_model_len": 99}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say({"model": "m", "choices": [{"message": {"content": "yes"}}]})

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(_Server, "behaves", False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_endpoint_that_answers_with_a_page_leaves_nothing_behind(
    tmp_path: Path, tiny_base: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "stillhouse.yaml"
    file.write_text(REMOTE % (port, tiny_base))
    (tmp_path / "t.jsonl").touch()
    resources = {"project": ProjectResource(project_file=str(file))}
    folder = Layout(tmp_path / "var").teacher_weights("t-1")
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("teacher_version", ["t-1"])

        def made() -> dg.ExecuteInProcessResult:
            return dg.materialize(
                [teacher_model],
                instance=instance,
                partition_key="t-1",
                resources=resources,
                raise_on_error=False,
            )

        failed = made()
        assert not failed.success
        (event,) = failed.get_step_failure_events()
        assert "text/html where JSON is due" in str(event.step_failure_data.user_failure_data)
        assert not folder.exists()
        assert instance.get_materialized_partitions(teacher_model.key) == set()
        monkeypatch.setattr(_Server, "behaves", True)
        assert made().success
        assert instance.get_materialized_partitions(teacher_model.key) == {"t-1"}
    found = json.loads((folder / "endpoint.json").read_text())
    assert (found["log_probs"], found["says"]) == ("none", "m")
    # The same version stands for one way to be asked.
    file.write_text(file.read_text().replace("patience: 0.2", "sampling: {seed: 3}"))
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("teacher_version", ["t-1"])
        again = dg.materialize(
            [teacher_model],
            instance=instance,
            partition_key="t-1",
            resources=resources,
            raise_on_error=False,
        )
        (event,) = again.get_step_failure_events()
        assert "changed since it was recorded" in str(event.step_failure_data.user_failure_data)
