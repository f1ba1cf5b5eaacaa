"""Options of the verbs that read data and of those that split it, for the verbs of other packages too."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from reasonrec_core.data import (
    Dataset,
    SplitConfig,
    is_dataset,
    list_sources,
    list_splitters,
    make_splitter,
)
from reasonrec_core.errors import ConfigError
from reasonrec_datasets.importing.index import build_dataset
from reasonrec_datasets.importing.table_source import import_path
from reasonrec_datasets.importing.time_parsing import TICKS

F = TypeVar("F", bound=Callable[..., Any])


def _complete_formats(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in ("auto", *list_sources()) if name.startswith(incomplete)]


def _complete_kinds(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = ("auto", *list_splitters())
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


FORMAT = click.option(
    "--format", "--layout", "format_", default="auto", show_default=True, metavar="SOURCE",
    shell_complete=_complete_formats,
    help="The data source that reads the path (`reasonrec plugins` lists them); by default recognised by its files.",
)  # fmt: skip
COLUMN = click.option(
    "--column", "columns", multiple=True, metavar="OURS=THEIRS",
    help="Read the column THEIRS as OURS (user_id, item_id, timestamp, value, part, history, title, categories, ...). "
    "An empty THEIRS leaves a column out. Repeatable.",
)  # fmt: skip
OPTION = click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE",
    help="A setting of the data source's own. Repeatable.",
)  # fmt: skip
TIME_FORMAT = click.option(
    "--time-format", metavar="FORM", help="Format of the times, as for strptime: %m/%d/%Y, '%d.%m.%Y %H:%M'."
)
TIME_UNIT = click.option(
    "--time-unit", type=click.Choice(sorted(TICKS)),
    help="Unit of times that are numbers (excel: days in a spreadsheet).  [default: judged by their size]",
)  # fmt: skip
READ_OPTIONS = (
    click.option("--encoding", metavar="NAME",
                 help="Encoding of text files (latin-1, cp1252, utf-16, ...).  [default: UTF-8]"),
    click.option("--delimiter", metavar="CHARACTER",
                 help="Field separator: a character, or tab, space, comma, semicolon, pipe.  [default: the likeliest]"),
    click.option("--quote", type=click.Choice(["double", "single", "backslash", "none"]),
                 help="Quotes around fields. backslash: quotes inside are escaped by it; none: quotes are ordinary "
                 "characters.  [default: double]"),
    click.option("--max-bytes", type=click.IntRange(min=1),
                 help="Largest size of a file in bytes, unpacked.  [default: 1 GiB for packed ones]"),
    click.option("--max-columns", type=click.IntRange(min=1), help="Largest number of columns.  [default: 10000]"),
    click.option("--label-separator", metavar="TEXT", help="Separator of categories in a cell, besides |: , or ;"),
)  # fmt: skip
READ_NAMES = (
    "time_format",
    "time_unit",
    "encoding",
    "delimiter",
    "quote",
    "max_bytes",
    "max_columns",
    "label_separator",
)
"""Settings of every source of tables that have options of their own."""
LOG_OPTIONS = (
    click.option("--dedupe", type=click.Choice(["last", "sum", "none"]),
                 help="Rows with the same user, item and time. last: keep the last one; none: keep all; sum: merge "
                 "all rows of a user with an item and add their values.  [default: last]"),
    click.option("--min-value", type=float, help="Leave out rows with a smaller value."),
    click.option("--k-core", type=click.IntRange(min=0),
                 help="Leave out users and items with fewer rows, until all have enough."),
    click.option("--event-column", metavar="NAME", help="The column that holds the event (view, cart, buy)."),
    click.option("--event-weights", metavar="KIND=WEIGHT,...",
                 help="Weight of each event, used as the value of its rows; rows with other events are left out."),
    click.option("--drop-incomplete", is_flag=True, default=None,
                 help="Leave out rows without a user, item, time or value."),
)  # fmt: skip
LOG_NAMES = ("dedupe", "min_value", "k_core", "event_weights", "drop_incomplete")
SPLIT_OPTIONS = (
    click.option("--kind", default="auto", show_default=True, metavar="SPLITTER", shell_complete=_complete_kinds,
                 help="How to split. auto: predefined if the data has parts, otherwise leave-one-out."),
    click.option("--valid", type=float, help="Share for validation (temporal, ratio, cold-item).  [default: 0.1]"),
    click.option("--test", type=float, help="Share for the test (temporal, ratio, cold-item).  [default: 0.1]"),
    click.option("--valid-from", metavar="TIME", help="temporal: first moment of validation (2020-09-20 or seconds)."),
    click.option("--test-from", metavar="TIME", help="temporal: first moment of the test."),
    click.option("--until", metavar="TIME", help="temporal: end of the test, exclusive."),
    click.option("--min-history", type=int, help="Leave out queries with a shorter history.  [default: 1]"),
    click.option("--min-value", type=float, help="Interactions with a smaller value do not count as positive."),
    click.option("--repeats", type=click.Choice(["drop", "keep"]),
                 help="Targets that are already in the history.  [default: drop]"),
    click.option("--seed", type=click.IntRange(min=0), help="Seed of every random choice.  [default: 0]"),
    click.option("--split-option", multiple=True, metavar="NAME=VALUE",
                 help="A setting of the splitter's own. Repeatable."),
)  # fmt: skip
NAMES = ("valid", "test", "valid_from", "test_from", "until", "min_history", "min_value", "repeats", "seed")


def parse_pairs(pairs: Sequence[str], where: str, form: str = "NAME=VALUE") -> dict[str, str]:
    """``NAME=VALUE`` options as a mapping.

    Raises:
        ConfigError: no ``=``, or the same name twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            example = " E.g. --column user_id=customer." if where == "--column" else f" E.g. {where} {form}."
            raise ConfigError(f"{pair!r} is not {form}", where=where, fix=example.strip())
        if name in found:
            raise ConfigError(f"{name} is given twice", where=where)
        found[name] = value
    return found


def source_options(command: F) -> F:
    """Add the options that say how raw data is read; the command gets them as ``source``, for `import_path`."""

    @functools.wraps(command)
    def with_source(*args: Any, **values: Any) -> Any:
        format = values.pop("format_")
        columns = parse_pairs(values.pop("columns"), "--column", "OURS=THEIRS")
        options: dict[str, Any] = dict(parse_pairs(values.pop("options"), "--option"))
        said = {name: values.pop(name) for name in READ_NAMES}
        options |= {name: value for name, value in said.items() if value is not None}
        return command(*args, source={"format": format, "columns": columns, "options": options}, **values)

    decorated: Any = with_source
    for option in (OPTION, *reversed(READ_OPTIONS), TIME_UNIT, TIME_FORMAT, COLUMN, FORMAT):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def log_options(command: F) -> F:
    """Add the options that say which rows of a log are kept, to a command with `source_options` inside of it."""

    @functools.wraps(command)
    def with_rules(*args: Any, source: dict[str, Any], **values: Any) -> Any:
        said = {name: values.pop(name) for name in LOG_NAMES}
        options = source["options"] | {name: value for name, value in said.items() if value is not None}
        event = values.pop("event_column")
        columns = source["columns"] | ({"event": event} if event is not None else {})
        return command(*args, source={**source, "options": options, "columns": columns}, **values)

    decorated: Any = with_rules
    for option in reversed(LOG_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def split_options(command: F) -> F:
    """Add the options that say how data is divided; the command gets them as ``split``, for `choose_split`."""

    @functools.wraps(command)
    def with_split(*args: Any, **values: Any) -> Any:
        chosen = {name: values.pop(name) for name in NAMES}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        chosen |= parse_pairs(values.pop("split_option"), "--split-option")
        return command(*args, split={"kind": values.pop("kind"), **chosen}, **values)

    decorated: Any = with_split
    for option in reversed(SPLIT_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def choose_split(dataset: Dataset, split: dict[str, Any]) -> SplitConfig:
    """The settings that the options mean for ``dataset``, checked by the splitter.

    Raises:
        ConfigError: an unknown splitter, or a value that does not fit, by name.
    """
    kind = split["kind"]
    if kind == "auto":
        kind = "leave-one-out" if dataset.parts is None else "predefined"
    config = SplitConfig(**{**split, "kind": kind})
    make_splitter(config)
    return config


@contextmanager
def open_data(path: Path, source: dict[str, Any]) -> Iterator[Dataset]:
    """The dataset saved at ``path``, or raw data there, imported for as long as the block lasts."""
    if is_dataset(path):
        yield Dataset.open(path)
        return
    raw = import_path(path, **source)
    with tempfile.TemporaryDirectory(prefix="reasonrec-") as folder:
        yield build_dataset(raw, Path(folder) / "dataset")
