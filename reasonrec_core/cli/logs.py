"""Log records of the project on stderr; apart from the console, since every ``--help`` sets this up without rich."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what is stderr at that moment: a progress bar redirects it, and so do tests."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: object) -> None:
        return


def set_up_logging(verbosity: int) -> None:
    """Show records of logger "reasonrec" and below from the level that ``verbosity`` (-1 to 2) asks for."""
    logger = logging.getLogger("reasonrec")
    logger.setLevel(LEVELS[verbosity])
    if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
        handler = _Stderr()
        handler.setFormatter(_Line())
        logger.addHandler(handler)
        logger.propagate = False
