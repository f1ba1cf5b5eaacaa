"""Options that say how data is split, for the verbs that split it."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from reasonrec_core.config_errors import validated
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.importers import import_path
from reasonrec_core.data.splits import SplitConfig
from reasonrec_core.data.storage import is_dataset

F = TypeVar("F", bound=Callable[..., Any])
KINDS = ("auto", "leave-one-out", "temporal", "ratio", "cold-item", "predefined")

OPTIONS = (
    click.option("--kind", type=click.Choice(KINDS), default="auto", show_default=True,
                 help="How to divide; auto: predefined where the data has parts, else leave-one-out."),
    click.option("--valid", type=float, help="Share for validation (temporal, ratio, cold-item).  [default: 0.1]"),
    click.option("--test", type=float, help="Share for the test (temporal, ratio, cold-item).  [default: 0.1]"),
    click.option("--valid-from", metavar="TIME", help="temporal: first moment of validation (2020-09-20 or seconds)."),
    click.option("--test-from", metavar="TIME", help="temporal: first moment of the test."),
    click.option("--until", metavar="TIME", help="temporal: end of the test, exclusive."),
    click.option("--min-history", type=int, help="Leave out queries with a shorter history.  [default: 1]"),
    click.option("--min-value", type=float, help="Interactions of a smaller value are no positives."),
    click.option("--repeats", type=click.Choice(["drop", "keep"]),
                 help="Targets that are already in the history.  [default: drop]"),
    click.option("--seed", type=int, help="Seed of every random choice.  [default: 0]"),
)  # fmt: skip
NAMES = ("valid", "test", "valid_from", "test_from", "until", "min_history", "min_value", "repeats", "seed")


def split_options(command: F) -> F:
    """Add the options; the command gets them as one dict ``split``, for `split_config`."""

    @functools.wraps(command)
    def with_split(*args: Any, **values: Any) -> Any:
        chosen = {name: values.pop(name) for name in NAMES}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        return command(*args, split={"kind": values.pop("kind"), **chosen}, **values)

    decorated: Any = with_split
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def split_config(dataset: Dataset, split: dict[str, Any]) -> SplitConfig:
    """The settings that the options mean for ``dataset``.

    Raises:
        ConfigError: a value that does not fit, by name.
    """
    kind = split["kind"]
    if kind == "auto":
        kind = "leave-one-out" if dataset.parts is None else "predefined"
    return validated(SplitConfig, {**split, "kind": kind})


@contextmanager
def dataset_at(path: Path, format: str, columns: dict[str, str]) -> Iterator[Dataset]:
    """The dataset saved at ``path``, or raw data there, imported for as long as the block lasts."""
    if is_dataset(path):
        yield Dataset.open(path)
        return
    raw = import_path(path, format=format, columns=columns)
    with tempfile.TemporaryDirectory(prefix="reasonrec-") as folder:
        yield Dataset.build(raw, Path(folder) / "dataset")
