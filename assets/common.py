"""What all assets share: results from provenance, previews, and failures without a stack trace."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from stillhouse.errors import UserError
from stillhouse.storage.provenance import Provenance, Recipe, reuse_or_make

# What `dg.asset(...)` returns.
AssetDecorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]

logger = logging.getLogger("stillhouse")

OWNERS = ["team:stillhouse"]

teacher_versions = dg.DynamicPartitionsDefinition(name="teacher_version")

# Facts that are for machines; the rest becomes metadata.
HIDDEN_FACTS = ("digest", "history", "header")


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error that the user can mend into a failure that no retry will try again."""
    try:
        yield
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def materialize(
    folder: Path,
    recipe: Recipe,
    make: Callable[[], dict[str, Any]],
    *,
    license_name: str | None = None,
    scratch: Path | None = None,
) -> dg.MaterializeResult:
    """Reuse what lies in `folder` or make it, and report it.

    `scratch` is what a killed `make` would resume from; it goes once the record is written.
    """
    name = dg.AssetExecutionContext.get().asset_key.to_user_string()
    logger.info("%s", name)
    started = time.monotonic()
    with user_errors():
        record, reused = reuse_or_make(folder, recipe, make, license_name=license_name)
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
    seconds = time.monotonic() - started
    logger.info("%s: %s", name, "up to date" if reused else f"done in {seconds:.1f} s")
    return report(folder, record, reused=reused)


def report(folder: Path, record: Provenance, *, reused: bool) -> dg.MaterializeResult:
    """An artefact's facts as metadata; a fact whose name ends in `_md` is Markdown."""
    metadata = {
        name.removesuffix("_md"): _value(name, value)
        for name, value in record.facts.items()
        if name not in HIDDEN_FACTS and value is not None
    }
    return dg.MaterializeResult(
        metadata={
            **metadata,
            "reused": dg.MetadataValue.bool(reused),
            "path": dg.MetadataValue.path(folder),
            "made_at": record.created_at,
        },
        data_version=dg.DataVersion(str(record.facts["digest"])),
    )


def _value(name: str, value: Any) -> Any:
    if name.endswith("_md"):
        return dg.MetadataValue.md(str(value))
    return dg.MetadataValue.json(value) if isinstance(value, dict | list) else value


def preview(rows: Sequence[dict[str, Any]], columns: Sequence[str], width: int = 160) -> str:
    """A Markdown table of some rows. Document text is untrusted: it can't leave its cell, nor
    bring markup of its own."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(row.get(c), width) for c in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any, width: int) -> str:
    text = " ".join(str("" if value is None else value).split())
    text = text[: width - 1] + "…" if len(text) > width else text
    for character in "\\`*_{}[]<>()#+!|~&":
        text = text.replace(character, f"&#{ord(character)};")
    return text
