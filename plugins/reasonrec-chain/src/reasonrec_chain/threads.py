"""One core for what takes a few milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_LOCK = Lock()
_WITHIN: list[Any] = []
"""The limits of those who are within a block now; the first set it, the last takes it back: it is the process's."""


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Within the block numpy's products use one core, if that is ``wanted``.

    What takes a few milliseconds gains nothing from a second core, and waits long for it where other work runs.
    """
    if not wanted:
        yield
        return
    with _LOCK:
        _WITHIN.append(_WITHIN[0] if _WITHIN else _find_libraries().limit(limits=1))
    try:
        yield
    finally:
        with _LOCK:
            limit = _WITHIN.pop()
            if not _WITHIN:
                limit.restore_original_limits()


@lru_cache(maxsize=1)
def _find_libraries() -> ThreadpoolController:
    """The libraries of linear algebra of this process; finding them takes a millisecond."""
    return ThreadpoolController().select(user_api="blas")
