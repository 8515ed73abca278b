"""`dagster dev` with the web server of ours: UI, daemon and one code server for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stillhouse.cli.webserver import MODULE

DAGSTERS = "dagster_webserver"


def main() -> None:
    """`dagster dev`, with its options."""
    from dagster._cli import dev

    services: Any = dev
    started = services.open_ipc_subprocess

    def start(command: Sequence[str], **settings: Any) -> Any:
        ours = [MODULE if part == DAGSTERS else part for part in command]
        return started(ours, **settings)

    # Dagster has no setting for which server it starts.
    services.open_ipc_subprocess = start
    services.dev_command()


if __name__ == "__main__":
    main()
