"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", "-p", help="Project file, or the folder that holds stillhouse.yaml."),
]
TeacherOption = Annotated[str | None, typer.Option(help="Only this teacher version.")]
