"""Work on queries batch by batch, in a few threads that do not fight over the cores."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

from reasonrec_core.errors import DataError
from reasonrec_core.types import Progress, QueryBatch


def run_batches(
    work: Callable[[int, QueryBatch], None],
    queries: QueryBatch,
    chunk: int,
    threads: int,
    progress: Progress | None,
    name: str | None,
) -> None:
    """Call ``work(position of the first query, batch)`` on consecutive batches; the first error stops all.

    Args:
        work: what to do; its result is ignored.
        queries: all of them.
        chunk: queries per batch.
        threads: Python threads, each with one BLAS thread; with 1, BLAS keeps its own threads.
        progress: called as ``progress(done, total, label)`` in queries.
        name: for the label, ``evaluate NAME``.

    Raises:
        DataError: there are no queries.
    """
    total, label = len(queries), f"evaluate {name}" if name else "evaluate"
    if not total:
        raise DataError("there are no queries to evaluate", fix="Check the split: its test part is empty.")
    chunk = max(chunk, 1)
    threads = max(min(threads, -(-total // chunk)), 1)

    def one(start: int) -> int:
        work(start, queries.slice(start, min(start + chunk, total)))
        return min(chunk, total - start)

    done = 0
    with ExitStack() as stack:
        run: Callable[..., Any] = map
        if threads > 1:
            # One BLAS thread per Python thread: BLAS threads of two callers would fight for the cores. OpenBLAS and
            # MKL take the limit for the process; OpenMP for the calling thread, so each worker sets its own.
            controller = _controller(len(sys.modules))
            stack.enter_context(controller.limit(limits=1))
            pool = ThreadPoolExecutor(threads, initializer=lambda: controller.select(user_api="openmp").limit(limits=1))
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            run = pool.map
        for size in run(one, range(0, total, chunk)):
            done += size
            if progress is not None:
                progress(done, total, label)


@lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:
    """The BLAS and OpenMP libraries of this process. Finding them takes a millisecond, so once per set of modules."""
    return ThreadpoolController()
