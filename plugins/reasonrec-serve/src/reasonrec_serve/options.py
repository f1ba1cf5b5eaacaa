"""What command lines say of requests, read: ids in lists and files, conditions, assumptions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import IO, Any

import click

FILE = click.File("r", encoding="utf-8-sig")
CONDITION = re.compile(r"(?P<field>[^=<>]+)(?P<sign>>=|<=|=)(?P<value>.*)", re.DOTALL)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that rule items out."""
    for option in reversed(
        (
            click.option("--exclude", metavar="A,B,C", help="Items that must not be recommended."),
            click.option(
                "--exclude-file", type=FILE, metavar="FILE", help="A file with such items, one per line; - reads stdin."
            ),
            click.option("--only", metavar="A,B,C", help="Recommend only these items."),
            click.option(
                "--only-file", type=FILE, metavar="FILE", help="A file with such items, one per line; - reads stdin."
            ),
            click.option(
                "--where",
                multiple=True,
                metavar="FIELD=VALUE",
                help="Recommend only items with this value, e.g. categories=Comedy, 'price<=20', "
                "'year>=1990'. Repeatable: any value of the same field, but all fields must match.",
            ),
        )
    ):
        command = option(command)
    return command


def read_limits(given: dict[str, Any]) -> dict[str, Any]:
    """``exclude``, ``only`` and ``where`` of a request, from the options of `limit_options`, which are taken out."""
    exclude = read_id_options("exclude", given.pop("exclude"), (), given.pop("exclude_file"))
    only = read_id_options("only", given.pop("only"), (), given.pop("only_file"))
    return {"exclude": exclude or (), "only": only, "where": read_conditions(given.pop("where"))}


def read_id_options(what: str, text: str | None, each: tuple[str, ...], file: IO[str] | None) -> list[str] | None:
    """The ids of whichever option was given, None where none was.

    Raises:
        ConfigError: they are given in more than one way.
        DataError: a file that is not UTF-8.
    """
    given = [text is not None, bool(each), file is not None]
    if sum(given) > 1:
        from reasonrec_core.errors import ConfigError

        raise ConfigError("the ids are given in more than one way", where=f"--{what}", fix="Use one option.")
    if text is not None:
        return [part.strip() for part in text.split(",") if part.strip()]
    if file is not None:
        try:
            return [line for raw in file if (line := raw.rstrip("\r\n"))]
        except UnicodeDecodeError as error:
            from reasonrec_core.errors import DataError

            raise DataError("is not UTF-8 text", where=file.name) from error
    return list(each) or None


def read_conditions(given: Sequence[str]) -> dict[str, Any]:
    """Conditions by item field: ``FIELD=VALUE``, ``FIELD>=MIN``, ``FIELD<=MAX``; ``FIELD=`` is an item without one.

    Raises:
        ConfigError: one cannot be read, or contradicts another.
    """
    from reasonrec_core.errors import ConfigError

    found: dict[str, Any] = {}
    for text in given:
        read = CONDITION.fullmatch(text.strip())
        if read is None:
            fix = "Write --where categories=Comedy or --where 'price<=20'."
            raise ConfigError(f"cannot read {text!r}", where="--where", fix=fix)
        field, sign, value = read["field"].strip(), read["sign"], read["value"].strip()
        have = found.get(field)
        if sign == "=" and not isinstance(have, dict):
            found[field] = [*(have or []), value or None]
            continue
        end = {">=": "min", "<=": "max"}.get(sign, "")
        if not end or isinstance(have, list) or (have and end in have) or not value:
            raise ConfigError(f"{text!r} contradicts another condition, or has no value", where="--where")
        found[field] = {**(have or {}), end: value}
    return found


def read_pairs(given: Sequence[str], option: str, example: str) -> dict[str, str]:
    """Values by name, of ``NAME=VALUE``.

    Raises:
        ConfigError: one cannot be read, or two have one name; ``example`` shows how ``option`` is written.
    """
    from reasonrec_core.errors import ConfigError

    found: dict[str, str] = {}
    for text in given:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise ConfigError(f"cannot read {text!r}", where=option, fix=f"Write {option} {example}.")
        if name in found:
            raise ConfigError(f"two values are given for {name!r}", where=option, fix="Give one of them.")
        found[name] = value
    return found
