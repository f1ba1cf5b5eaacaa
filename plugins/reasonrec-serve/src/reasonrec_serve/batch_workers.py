"""Many users, answered by processes, each of which opens the run (threads do not scale: they share Python's lock)."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reasonrec_core.errors import ConfigError, RunError
from reasonrec_core.io import content_hash
from reasonrec_core.pipeline import ServingCatalog
from reasonrec_core.types import Progress
from reasonrec_serve.batch import CHUNK, UserList, answer_batch
from reasonrec_serve.batch_files import BatchFile, PartCounts
from reasonrec_serve.recommender import Recommender
from reasonrec_serve.request import Request

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What libraries of linear algebra read when a process starts."""

Work = tuple[Path, str | None, BatchFile, Request, bool]
"""What a process answers: the run, its models, the file that its parts are of, what is asked, whether with reasons."""


def write_batch(
    served: ServingCatalog,
    models: str | None,
    users: UserList,
    request: Request,
    out: Path,
    workers: int,
    progress: Progress,
    *,
    because: bool = False,
) -> tuple[PartCounts, int]:
    """Write the answers for many users to a file; parts that an earlier attempt finished are not made again.

    Args:
        served: the run, and what it answers from.
        models: which models answer (`Recommender.open`).
        users: who is asked for.
        request: what (`read_batch_request`).
        out: the file, ``.parquet``, ``.csv`` or ``.jsonl``; it appears whole or not at all.
        workers: processes; 0 for one per processor core. One answers in this process.
        progress: called with users that are done.
        because: whether to work out what items are recommended for (`answer_batch`).

    Returns:
        what was written; how many users' answers an earlier attempt had left.

    Raises:
        ConfigError: the file cannot have this name.
        RunError: another process writes the file, or a worker was killed.
    """
    if workers < 0:
        raise ConfigError(f"must be a number of processes, or 0 for one per core, not {workers}", where="--workers")
    about = {name: getattr(request, name) for name in Request.__dataclass_fields__}
    key = content_hash(
        served.state, served.dataset.hash, repr(about), because, list(users.names), CHUNK, out.suffix.lower()
    )
    parts = [users.names[start : start + CHUNK] for start in range(0, len(users.names), CHUNK)]
    file = BatchFile(out, key, len(parts))
    with file.lock():
        todo = file.missing()
        done = before = len(users.names) - sum(len(parts[number]) for number in todo)
        workers = min(workers or count_cores(), max(len(todo), 1))
        made = _make_parts((served.run.path, models, file, request, because), parts, todo, workers)
        progress(done, len(users.names), "users")
        for number in made:
            done += len(parts[number])
            progress(done, len(users.names), "users")
        return file.finish(), before


def count_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make_parts(work: Work, parts: Sequence[Sequence[str]], todo: Sequence[int], workers: int) -> Iterator[int]:
    """The numbers of the parts as they are done."""
    if workers == 1 or not todo:
        _begin(*work)
        for number in todo:
            _make_part(number, parts[number])
            yield number
        return
    context = multiprocessing.get_context("spawn")
    with _share_cores(workers):
        pool = ProcessPoolExecutor(workers, context, _begin, work)
        try:
            waiting: dict[Future[None], int] = {}
            left = list(reversed(todo))
            while left or waiting:
                while left and len(waiting) < 2 * workers:
                    number = left.pop()
                    waiting[pool.submit(_make_part, number, parts[number])] = number
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    future.result()
                    yield waiting.pop(future)
        except BrokenProcessPool as error:
            fix = "What was finished is kept: run the same command again. If memory is short, use fewer --workers."
            raise RunError("a worker process was killed", where=str(work[2].path), fix=fix) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _share_cores(workers: int) -> Iterator[None]:
    """While processes are started: each may use its part of the cores."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(max(1, count_cores() // workers))))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


_WORK: list[Work] = []
"""What this process is for."""
_OPENED: list[Recommender] = []
"""What it answers from, once it has been asked: an error then reaches whoever asks."""


def _begin(*work: *Work) -> None:
    """Begin work; a process that was started for it ends when the one that started it does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _WORK[:] = [work]
    _OPENED.clear()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _make_part(number: int, users: Sequence[str]) -> None:
    run, models, file, request, because = _WORK[0]
    if not _OPENED:
        _OPENED.append(Recommender.open(run, trace=False, models=models))
    file.write_part(number, answer_batch(_OPENED[0], users, request, because=because))
