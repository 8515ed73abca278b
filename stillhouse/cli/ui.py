"""Before the UI starts: a free port, and a workspace that bears the project's name."""

from __future__ import annotations

import socket
from pathlib import Path

from stillhouse.errors import UserError
from stillhouse.storage.files import write_text

WORKSPACE = """\
load_from:
  - python_module:
      module_name: stillhouse.definitions
      location_name: {name}
"""


def require_free(host: str, port: int) -> None:
    """Raise `UserError` when nothing can listen there: someone else may already do."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As servers do: a port that was let go of a moment ago counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise UserError(
            f"--host {host} --port {port}: nothing can listen there ({error.strerror or error})",
            remedy="name another port with --port, or stop what listens on this one.",
        ) from error


def write_workspace(name: str, home: Path) -> Path:
    """A workspace file in `home` whose code location is called `name`."""
    path = home / "workspace.yaml"
    write_text(path, WORKSPACE.format(name=name))
    return path
