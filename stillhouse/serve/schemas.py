"""Whether a schema that a client sends can be made a grammar, found out in a process of its own.

Of a few dozen patterns that shall all hold, llguidance takes hours and gigabytes to find out what
is left of them, and a thread can't be stopped. So a schema is tried first where the kernel ends
what takes too much (setrlimit(2)). What is known of it is kept, as clients send the same ones.

`python -m stillhouse.serve.schemas` is that process, with a grammar on standard input.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

# Of one trial: processor seconds, bytes, and seconds where the machine is busy with other work.
CPU_SECONDS, MEMORY, SECONDS = 2, 2 << 30, 30
LARGEST = 64 << 10  # characters of a schema
KNOWN = 256

# So many at once; the others wait, and answers go on.
_trials = ThreadPoolExecutor(2, "schemas")


async def is_servable(grammar: str) -> bool:
    """Whether llguidance can take this in. It is no promise for every vocabulary."""
    if len(grammar) > LARGEST:
        return False
    return await asyncio.get_running_loop().run_in_executor(_trials, _tried, grammar)


@lru_cache(KNOWN)
def _tried(grammar: str) -> bool:
    command = [sys.executable, "-m", __name__, str(CPU_SECONDS)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, input=grammar.encode(), capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> None:
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)  # who answers goes first
    from llguidance import LLMatcher, LLTokenizer

    matcher = LLMatcher(LLTokenizer("byte"), sys.stdin.read(), log_level=0)
    matcher.compute_bitmask()
    sys.exit(matcher.is_error())


if __name__ == "__main__":
    main()
