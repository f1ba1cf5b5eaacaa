"""Starting the processes of a server."""

from __future__ import annotations

import os
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from reasonrec_core.errors import ConfigError, RunError
from reasonrec_serve.http.settings import ServeSettings

FACTORY = "reasonrec_serve.http.app:make_worker_app"
STOP = 10
"""Seconds in which requests that were begun are finished when the server stops."""
LOAD = 300
"""Seconds that a new worker may take to load the run."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def launch(settings: ServeSettings) -> None:
    """Serve until interrupted.

    Raises:
        RunError: there is no run.
        ConfigError: the address cannot be listened at.
    """
    if not (settings.run / "run.json").is_file():
        raise RunError("there is no run here", where=str(settings.run), fix="Make one: reasonrec run PIPELINE.")
    listening = _listen(settings)
    settings = settings.model_copy(update={"port": listening.getsockname()[1]})
    settings.tell_workers()
    _share_cores(settings.workers)
    config = uvicorn.Config(
        FACTORY,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP,
        timeout_worker_healthcheck=LOAD,
        ws="none",
    )
    _announce(settings)
    if settings.workers == 1:
        uvicorn.Server(config).run([listening])
    else:
        Multiprocess(config, [listening]).run()


def _listen(settings: ServeSettings) -> socket.socket:
    """The socket that all workers accept from; whoever asks before they are ready waits."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(kind, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        where = f"--host {settings.host} --port {settings.port}"
        fix = "Choose another --port; 0 takes a free one."
        raise ConfigError(f"cannot listen here ({error.strerror or error})", where=where, fix=fix) from error
    listening.set_inheritable(True)
    return listening


def _share_cores(workers: int) -> None:
    """Give each worker its part of the cores, unless the environment says how many threads it wants."""
    for name in THREADS:
        os.environ.setdefault(name, str(max((os.cpu_count() or 1) // workers, 1)))


def _announce(settings: ServeSettings) -> None:
    from reasonrec_core.cli.console import note

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    many = "" if settings.workers == 1 else f" by {settings.workers} processes"
    note(f"Serving {settings.run.name} at http://{host}:{settings.port}{many}. Stop it with Ctrl+C.")
