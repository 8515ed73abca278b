"""`python -m stillhouse.cli.attached ...`: the command line, which ends when its standard input
does. Whoever starts it so and is killed leaves no server behind."""

from __future__ import annotations

import os
import signal
import sys
import threading


def _follow() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_follow, daemon=True).start()

    from stillhouse.cli.main import main

    main()
