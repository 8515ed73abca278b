"""A process that reads one file after another, for `pool`; started as a module.

It may be killed at any file, and ends by itself when the process that started it does. What goes
between the two is JSON: a process that hostile files run in is not trusted with pickles.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from stillhouse.corpus.parse.clock import watch
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError
from stillhouse.offline import go_offline
from stillhouse.progress import silence_bars

READY, PAGE, PROGRAM = b"ready", b"page", b"program"


def main(descriptor: str, handler: str) -> None:
    """Answer each job that comes over the connection with what `handler` ("module:name") makes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when this ends
    go_offline()
    silence_bars()
    module, name = handler.split(":")
    handle = getattr(importlib.import_module(module), name)
    connection = Connection(int(descriptor))
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, jobs), daemon=True).start()
    connection.send_bytes(READY)
    watch(lambda: connection.send_bytes(PAGE), lambda: connection.send_bytes(PROGRAM))
    # From here on, what is printed may be a library's words about a document.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    while True:
        answer = _answer(handle, json.loads(jobs.get()))
        connection.send_bytes(json.dumps(answer).encode())


def _listen(connection: Connection, jobs: queue.SimpleQueue[bytes]) -> None:
    """Pass jobs on; the end of the connection is that of the parent, whatever runs here."""
    while True:
        try:
            jobs.put(connection.recv_bytes())
        except (EOFError, OSError):
            if os.getpgrp() == os.getpid():  # with the programs that it started
                os.killpg(0, signal.SIGKILL)
            os._exit(1)


def _answer(handle: Callable[[Any], Any], job: Any) -> dict[str, Any]:
    """One of `rows`, `part` (a path), `unparsable` (its three fields), `user_error` (its two)."""
    try:
        result = handle(job)
        return {"part": str(result)} if isinstance(result, Path) else {"rows": result}
    except UserError as error:
        return {"user_error": [error.message, error.remedy]}
    except Unparsable as error:
        return {"unparsable": [error.category, error.reason, error.remedy]}
    except MemoryError:
        return {"unparsable": None}
    except Exception as error:  # a file of a kind that nobody thought of costs itself alone
        reason = f"the file breaks its parser ({type(error).__name__})"
        remedy = "open it in its own program and save it again."
        return {"unparsable": ["corrupt", reason, remedy]}


if __name__ == "__main__":
    main(*sys.argv[1:])
