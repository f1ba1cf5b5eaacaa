"""``reasonrec serve``: a finished run behind HTTP."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
Examples:
  reasonrec serve runs/movielens
  reasonrec serve runs/shop --workers 2 --port 9000
  openssl rand -hex 32 > token; reasonrec serve runs/shop --host 0.0.0.0 --token-file token
  curl -s localhost:8000/v1/recommend -H 'Content-Type: application/json' -d '{"user": "42", "k": 5}'
"""


@click.command("serve", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Callers must bring the token in FILE."
)
def serve_command(run: Path, host: str, port: int, workers: int, token_file: Path | None) -> None:
    """Answer requests from a finished RUN over HTTP, until interrupted.

    Only this machine can reach it, unless --host says otherwise; then a token is demanded.
    """
    from reasonrec_serve.http.launch import launch
    from reasonrec_serve.http.settings import ServeSettings

    launch(ServeSettings(run=run, host=host, port=port, workers=workers, token_file=token_file).check())
