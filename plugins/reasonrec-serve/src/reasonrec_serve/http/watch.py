"""Noticing that a newer run is ready, so that workers can be replaced by such that answer from it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from reasonrec_core.errors import ReasonRecError
from reasonrec_core.io import content_hash
from reasonrec_core.pipeline import ServingCatalog
from reasonrec_serve.final_models import AGENT as FINAL

STAMP = "stage.json"
LOG = logging.getLogger("reasonrec.serve")


def identify_run(path: Path) -> str:
    """What a worker that starts now would answer from: another run, fit or catalogue is another text.

    Raises:
        ReasonRecError: there is no whole run yet.
    """
    served, final = ServingCatalog.open(path), path / "stages" / FINAL / STAMP
    newest = final.read_text(encoding="utf-8") if final.is_file() else ""
    return content_hash(os.path.realpath(path), served.key, str(served.features), newest)


class RunWatcher(threading.Thread):
    """Looks at a run folder (or at what a link points to) every so often.

    Args:
        path: of the run.
        seconds: between two looks.
        changed: is called when another run, whole and ready to be loaded, is there.
    """

    def __init__(self, path: Path, seconds: float, changed: Callable[[], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self.path, self.seconds, self.changed = path, seconds, changed
        self._served = identify_run(path)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.wait(self.seconds):
            self.look()

    def look(self) -> bool:
        """Whether a newer run was found; one that is not whole yet is looked at again."""
        try:
            now = identify_run(self.path)
        except (ReasonRecError, OSError) as error:
            LOG.info("the run is not ready: %s", error)
            return False
        if now == self._served:
            return False
        LOG.warning("there is a newer run: workers are replaced one by one")
        self._served = now
        self.changed()
        return True

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
