"""The process that masks requests and writes them: `python -m stillhouse.serve.masked_log PROJECT
FOLDER`, with a JSON object a line on standard input.

A file a day, which `traffic.logs` can name: in the flat form that monitor/requests.py reads, and
feedback as monitor/outcomes.py does. What can't be masked, or in which a last scan still finds
somebody, is left out.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stillhouse.offline import go_offline
from stillhouse.storage.private import keep_private

TEXTS = ("input", "answer", "right_answer")

logger = logging.getLogger("stillhouse")


def main() -> None:
    go_offline()
    keep_private()
    os.nice(10)  # who answers goes first
    project, folder = map(Path, sys.argv[1:])
    write(masked(sys.stdin.buffer, _masker(project)), folder)


def _masker(file: Path) -> Any:
    from stillhouse.config.project import load_project
    from stillhouse.corpus.masked import mask_settings
    from stillhouse.corpus.pii.masker import Masker
    from stillhouse.corpus.pii.vault import load_or_create_key
    from stillhouse.storage.layout import Layout

    project = load_project(file)
    key = load_or_create_key(Layout(project.data_path).key("pseudonyms"))
    return Masker(mask_settings(project.privacy, project.root), key)


def masked(lines: Any, masker: Any) -> Iterator[dict[str, Any]]:
    """Each request or feedback with its texts masked; in one go, so that who is known from one is
    found in the others."""
    from stillhouse.corpus.pii.parts import BREAK

    for line in lines:
        try:
            entry = {"id": uuid.uuid4().hex, **json.loads(line)}
            texts = list(_texts(entry))
            said = [holder[name].replace(BREAK, "\n") for holder, name in texts]
            left: list[Any] = []
            if said:
                ((found, rest),) = masker.clean_many([BREAK.join(said)])
                for (holder, name), part in zip(texts, found.text.split(BREAK), strict=True):
                    holder[name] = part
                left = rest.entities
        except Exception as error:
            # Its words may be those of the text.
            logger.error("A request was not logged: %s", type(error).__name__)
            continue
        if left:
            logger.warning("A request was not logged: something in it still looks like a person's")
            continue
        yield entry


def _texts(entry: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Where texts stand that somebody wrote: what is masked."""
    for holder, names in ((entry, TEXTS), (entry.get("shadow", {}), ("answer",))):
        yield from ((holder, name) for name in names if name in holder)


def write(entries: Iterator[dict[str, Any]], folder: Path) -> None:
    """A line each, to the file of its day; whole lines alone are ever there. What finds no room is
    dropped, and the next one tried: somebody may make room."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    failing = False
    for entry in entries:
        line = json.dumps(entry).encode("ascii") + b"\n"
        try:
            _append(folder / f"requests-{entry['time'][:10]}.jsonl", line)
        except OSError as error:
            if not failing:
                logger.error("Requests can't be logged, until it is mended: %s", error.strerror)
            failing = True
            continue
        if failing:
            logger.warning("Requests are logged again")
        failing = False


def _append(path: Path, line: bytes) -> None:
    with path.open("ab", buffering=0) as stream:
        before = os.fstat(stream.fileno()).st_size
        if stream.write(line) < len(line):  # no room for all of it
            stream.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


if __name__ == "__main__":
    main()
