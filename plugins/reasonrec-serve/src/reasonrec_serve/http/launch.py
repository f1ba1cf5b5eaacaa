"""Starting the processes of a server."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from reasonrec_core.cli.console import note
from reasonrec_core.errors import ConfigError, RunError
from reasonrec_serve.http.settings import ServeSettings, find_store

FACTORY = "reasonrec_serve.http.app:make_worker_app"
STOP = 10
"""Seconds in which requests that were begun are finished when the server stops."""
BACKLOG = 2048
"""Connections that wait to be accepted; also by a server that still loads its run."""
KEEP = 75
"""Seconds that a connection stays open between requests; proxies close theirs earlier."""
LOAD = 300
"""Seconds that a new worker may take to load the run."""
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Where processes share what they count (`reasonrec_serve.http.metrics`)."""
HANGS = 60
"""Seconds without a sign of life after which a worker is taken for dead."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def launch(settings: ServeSettings, *, show: bool = False) -> None:
    """Serve until interrupted; ``show``: open the page in a browser.

    Raises:
        RunError: there is no run, or it cannot be served.
        ConfigError: the address cannot be listened at, or the store can never be used.
    """
    if not (settings.run / "run.json").is_file():
        raise RunError("there is no run here", where=str(settings.run), fix="Create one: reasonrec run PIPELINE.toml.")
    if not (settings.run / "stages" / "agent").is_dir():
        raise RunError("the run is not fitted", where=str(settings.run), fix="Finish it: reasonrec fit or run.")
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
        timeout_keep_alive=KEEP,
        timeout_graceful_shutdown=STOP,
        timeout_worker_healthcheck=HANGS,
        ws="none",
    )
    _announce(settings)
    if show:
        threading.Thread(target=_show_page, args=[_find_url(settings)], daemon=True).start()
    if settings.supervised:
        _supervise(config, listening, settings)
    else:
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again when all requests are answered
            uvicorn.Server(config).run([listening])
    note("Stopped.")


def _supervise(config: uvicorn.Config, listening: socket.socket, settings: ServeSettings) -> None:
    """Start workers, again where they die, and one by one anew when there is a newer run."""
    with tempfile.TemporaryDirectory(prefix="reasonrec-metrics-") as shared:
        os.environ[SHARED] = shared
        supervisor = _make_supervisor(config, listening)
        if settings.watch:
            from reasonrec_serve.http.watch import RunWatcher

            # What uvicorn does at this signal: a new worker is ready before an old one goes.
            RunWatcher(settings.run, settings.watch, lambda: supervisor.signal_queue.append(signal.SIGHUP)).start()
        supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise RunError("no worker could serve the run", where=str(settings.run), fix="The messages above tell why.")


def _make_supervisor(config: uvicorn.Config, listening: socket.socket) -> Any:
    """Uvicorn's, which notices at once when a worker dies, and waits longer for one that loads a newer run."""
    supervisor: Any = Multiprocess(config, [listening])
    start, look, replace = supervisor.init_processes, supervisor.keep_subprocess_alive, supervisor.handle_hup

    def let_go(work: Callable[[], None]) -> None:
        work()
        for process in supervisor.processes:
            process.child_conn.close()  # the worker has its own end; while ours is open, its death looks like silence

    def replace_patiently() -> None:
        config.timeout_worker_healthcheck = LOAD
        let_go(replace)
        config.timeout_worker_healthcheck = HANGS

    supervisor.init_processes, supervisor.keep_subprocess_alive = partial(let_go, start), partial(let_go, look)
    supervisor.handle_hup = replace_patiently
    return supervisor


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


def _find_url(settings: ServeSettings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _show_page(url: str) -> None:
    """Open the page; the browser's request waits until a worker is ready."""
    if not webbrowser.open(url):
        note(f"There is no browser here. Open {url} in one.")


def _announce(settings: ServeSettings) -> None:
    from reasonrec_serve.final_models import has_final_models

    many = "" if settings.workers == 1 else f" by {settings.workers} processes"
    note(f"Serving {settings.run.name} at {_find_url(settings)}{many}. Stop it with Ctrl+C.")
    if not has_final_models(settings.run):
        note(
            "The evaluated models answer; they have not learned from each user's newest interactions. To "
            f"make models that have: reasonrec final {settings.run}"
        )
    if settings.learn:
        note("Delegates that count learn from new events; other models keep their last fit. GET /v1/status names them.")
