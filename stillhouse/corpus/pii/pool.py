"""Masking in several processes, block by block, in order, with bounded memory."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from stillhouse.corpus.pii.masker import Cleaned, Masker
from stillhouse.corpus.pii.settings import MaskSettings

# Fewer characters than this are masked before another process has loaded its model.
WORTH_A_PROCESS = 500_000
BLOCK = 128

_masker: Masker | None = None


def clean_in_processes(masker: Masker, texts: Iterable[str], processes: int) -> Iterator[Cleaned]:
    """As `masker.clean_many(texts)`, in several processes; small inputs stay in this one.

    More than one process pays from some thousand short texts on: each loads its own model, several
    seconds and 300 MB. They end with the iteration, however it ends.
    """
    if processes == 1:
        yield from masker.clean_many(texts)
        return
    texts = iter(texts)
    head: list[str] = []
    size = 0
    for text in texts:
        head.append(text)
        size += len(text)
        if size >= WORTH_A_PROCESS:
            break
    else:
        yield from masker.clean_many(head)
        return
    yield from _sharded(masker, itertools.chain(head, texts), processes)


def _sharded(masker: Masker, texts: Iterator[str], processes: int) -> Iterator[Cleaned]:
    pool = ProcessPoolExecutor(
        processes,
        # fork would copy whatever threads and locks this process has.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(masker.settings, masker._key),
    )
    waiting: deque[Future[list[Cleaned]]] = deque()
    try:
        while block := list(itertools.islice(texts, BLOCK)):
            waiting.append(pool.submit(_clean_block, block))
            if len(waiting) >= 2 * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(settings: MaskSettings, key: bytes) -> None:
    from stillhouse.offline import go_offline

    global _masker
    go_offline()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _masker = Masker(settings, key)


def _end_with_parent() -> None:
    """A parent that is killed can't end its pool: this process would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _clean_block(texts: list[str]) -> list[Cleaned]:
    if _masker is None:
        raise RuntimeError("this process has not been started by the pool")
    return list(_masker.clean_many(texts))
