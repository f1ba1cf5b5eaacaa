"""Starting the processes of a server."""

from __future__ import annotations

import os
import signal
import socket
import tempfile

import uvicorn
from uvicorn.supervisors import Multiprocess

from reasonrec_core.errors import ConfigError, RunError
from reasonrec_serve.http.settings import ServeSettings, find_store

FACTORY = "reasonrec_serve.http.app:make_worker_app"
STOP = 10
"""Seconds in which requests that were begun are finished when the server stops."""
BACKLOG = 2048
"""Connections that wait to be accepted; also by a server that still loads its run."""
LOAD = 300
"""Seconds that a new worker may take to load the run."""
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Where processes share what they count (`reasonrec_serve.http.metrics`)."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def launch(settings: ServeSettings) -> None:
    """Serve until interrupted.

    Raises:
        RunError: there is no run.
        ConfigError: the address cannot be listened at, or the store can never be used.
    """
    if not (settings.run / "run.json").is_file():
        raise RunError("there is no run here", where=str(settings.run), fix="Make one: reasonrec run PIPELINE.")
    store = find_store(settings)
    if store is not None:
        store.close()  # opened to say now what is wrong with it
    listening = _listen(settings)
    settings = settings.model_copy(update={"port": listening.getsockname()[1]})
    settings.tell_workers()
    _use_one_thread()
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
    if settings.workers == 1 and not settings.watch:
        uvicorn.Server(config).run([listening])
    else:
        _supervise(config, listening, settings)


def _supervise(config: uvicorn.Config, listening: socket.socket, settings: ServeSettings) -> None:
    """Start workers, again where they die, and one by one anew when there is a newer run."""
    with tempfile.TemporaryDirectory(prefix="reasonrec-metrics-") as shared:
        os.environ[SHARED] = shared
        supervisor = Multiprocess(config, [listening])
        if settings.watch:
            from reasonrec_serve.http.watch import RunWatcher

            # What uvicorn does at this signal: a new worker is ready before an old one goes.
            RunWatcher(settings.run, settings.watch, lambda: supervisor.signal_queue.append(signal.SIGHUP)).start()
        supervisor.run()


def _listen(settings: ServeSettings) -> socket.socket:
    """The socket that all workers accept from; whoever asks before they are ready waits."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(kind, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        where = f"--host {settings.host} --port {settings.port}"
        fix = "Choose another --port; 0 takes a free one."
        raise ConfigError(f"cannot listen here ({error.strerror or error})", where=where, fix=fix) from error
    listening.set_inheritable(True)
    return listening


def _use_one_thread() -> None:
    """Let numerical libraries compute in one thread, unless the environment says otherwise.

    One request is too small to be divided; threads that wait for one another would take the other workers' cores.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")


def _announce(settings: ServeSettings) -> None:
    from reasonrec_core.cli.console import note
    from reasonrec_serve.final_models import has_final_models

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    many = "" if settings.workers == 1 else f" by {settings.workers} processes"
    note(f"Serving {settings.run.name} at http://{host}:{settings.port}{many}. Stop it with Ctrl+C.")
    if not has_final_models(settings.run):
        note(
            "The evaluated models answer, which have never seen each user's newest interactions. Models that have seen "
            f"everything: reasonrec final {settings.run}"
        )
