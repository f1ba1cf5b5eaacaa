"""``reasonrec recommend RUN --users``: recommendations for many users, written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SINGLE = ("user", "history", "candidates", "task", "assume", "ignore", "query")
"""Parts of a request that name or concern one user."""


def recommend_to_users(
    run: Path,
    models: str | None,
    users: str,
    out: Path | None,
    workers: int,
    request: dict[str, Any],
    *,
    because: bool = False,
) -> None:
    """Answer the request for many users, and say what was written.

    Args:
        run: the run folder.
        models: which models answer (`Recommender.open`).
        users: "all", or a file with an id a line ("-" is stdin).
        out: the file that is written.
        workers: processes, 0 for one per core.
        request: the fields of a `Request`, as the command line gives them.
        because: whether the file shall say what items are recommended for.

    Raises:
        ConfigError: options that concern one user, or no file to write.
    """
    from reasonrec_core.cli.console import progress
    from reasonrec_core.errors import ConfigError
    from reasonrec_core.pipeline import ServingCatalog
    from reasonrec_serve.batch import UserList, read_batch_request
    from reasonrec_serve.batch_files import read_form
    from reasonrec_serve.batch_workers import write_batch
    from reasonrec_serve.final_models import choose_models
    from reasonrec_serve.item_filter import ItemFilter
    from reasonrec_serve.resolve import read_context, resolve_limits

    for name in SINGLE:
        if request.pop(name):
            raise ConfigError(
                "is for one user, but --users is for many", where=f"--{name}", fix="Use only one of the two."
            )
    if out is None:
        raise ConfigError("answers for many users are written to a file", where="--out", fix="Add --out recs.parquet.")
    read_form(out)
    asked = read_batch_request(request.pop("k"), request)
    served = choose_models(models)(ServingCatalog.open(run))
    limits, skipped = resolve_limits(served.dataset.catalog, asked, ItemFilter(served.dataset.catalog))
    _, unknown = read_context(served.dataset.context, asked.context)
    skipped |= {"context": unknown} if unknown else {}
    named = UserList.of(served.dataset, "all" if users == "all" else _read_users(users))
    with progress() as bar:
        counts, before = write_batch(served, models, named, asked, out, workers, bar, because=because)
    _say(named, skipped, limits.allowed is not None and not limits.allowed.any(), before)
    _say_written(out, named, counts, "final" if "final" in served.state else "evaluated")


def _read_users(path: str) -> list[str]:
    import click

    from reasonrec_core.errors import DataError

    try:
        with click.open_file(path, encoding="utf-8-sig") as file:
            return [line for raw in file if (line := raw.rstrip("\r\n"))]
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8 text", where=path) from error
    except OSError as error:
        fix = "Give a file with one id per line, or all."
        raise DataError(f"cannot be read ({error.strerror or error})", where=path, fix=fix) from error


def _say(users: Any, skipped: dict[str, int], nothing: bool, before: int) -> None:
    """What of the request was skipped, and what an earlier attempt had left."""
    from reasonrec_core.cli.console import note
    from reasonrec_serve.notes import tell_skipped

    for part, count in skipped.items():
        note(tell_skipped(part, count))
    if users.repeated:
        note(f"{users.repeated} repeated ids were answered once.")
    if users.unknown:
        note(f"{users.unknown} users are new: their answers are not personalised.")
    if nothing:
        note("No item is allowed, so nobody gets a recommendation.")
    if before:
        note(f"The answers for {before} users were kept from an earlier attempt.")


def _say_written(out: Path, users: Any, counts: Any, models: str) -> None:
    from reasonrec_core.cli.console import note, plain
    from reasonrec_core.cli.console import out as say

    said = f"{counts.rows:,} recommendations for {counts.users:,} users, by the {models} models"
    say.print(f"{said}: {plain(str(out))}", soft_wrap=True)
    if counts.quoted:
        note(f"{counts.quoted:,} cells start with an apostrophe now: a spreadsheet would treat them as formulas.")
    if missing := len(users.names) - counts.users:
        note(f"{missing:,} users got no items: nothing is left for them, or no answer is confident enough.")
