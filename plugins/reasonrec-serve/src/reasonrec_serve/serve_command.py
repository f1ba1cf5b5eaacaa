"""``reasonrec serve``: a finished run behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

EPILOG = """\b
Examples:
  reasonrec serve runs/movielens --open
  reasonrec serve runs/shop --workers 2 --port 9000
  openssl rand -hex 32 > token; reasonrec serve runs/shop --host 0.0.0.0 --token-file token
  reasonrec serve runs/shop --store postgresql://shop@localhost/shop --watch 10
  curl -s localhost:8000/v1/recommend -H 'Content-Type: application/json' -d '{"user": "42", "k": 5}'
"""


@click.command("serve", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The port; 0 takes a free one."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Callers must send the token in FILE."
)
@click.option(
    "--store",
    default="",
    envvar="REASONREC_STORE",
    metavar="URL",
    help="Where events are stored: a path, redis://, postgresql://, or none. The environment variable "
    "REASONREC_STORE sets it too.",
)
@click.option("--trace", is_flag=True, help="Write a row per decision into RUN, with hashed user ids.")
@click.option(
    "--watch", type=float, default=0.0, metavar="SECONDS", help="How often to look for a newer run; 0: never."
)
@click.option(
    "--learn",
    type=float,
    default=0.0,
    metavar="SECONDS",
    help="How often confidence and counting delegates learn from events.",
)
@click.option(
    "--rate",
    type=float,
    default=1000.0,
    show_default=True,
    help="Most requests per second from one client; 0: no limit.",
)
@click.option("--queue", type=int, default=64, show_default=True, help="Most requests that may wait for a worker.")
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@click.option("--max-body", type=int, default=1_000_000, show_default=True, help="Largest body of a request, in bytes.")
def serve_command(run: Path, show: bool, **options: Any) -> None:
    """Answer requests from a finished RUN over HTTP, until interrupted.

    Only this machine can reach the server, unless --host says otherwise; then a token is required. Events that are
    sent to
    /v1/events are stored (by default in RUN.events.sqlite) and count in their users' histories immediately.
    """
    from pydantic import ValidationError

    from reasonrec_core.errors import ConfigError
    from reasonrec_serve.http.launch import launch
    from reasonrec_serve.http.settings import ServeSettings

    try:
        settings = ServeSettings(run=run, **options)
    except ValidationError as error:
        fault = error.errors()[0]
        where = "--" + "-".join(str(part) for part in fault["loc"]).replace("_", "-")
        raise ConfigError(f"{fault['msg']} (given: {fault['input']!r})", where=where) from error
    launch(settings.check(), show=show)
