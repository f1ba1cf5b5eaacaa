"""``reasonrec data split``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reasonrec_core.cli.console import note, plain, print_json
from reasonrec_core.data import Dataset, Split, draw_direct_split, make_split, save_split
from reasonrec_core.errors import ConfigError
from reasonrec_datasets.facts_table import print_facts
from reasonrec_datasets.options import choose_split, open_data, source_options, split_options


@click.command(name="split")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Save the split to this folder.")
@split_options
@click.option("--negatives", type=int, help="Draw this many other candidates for each target (direct task), e.g. 99.")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def split_command(
    path: Path,
    folder: Path | None,
    split: dict[str, Any],
    negatives: int | None,
    source: dict[str, Any],
    as_json: bool,
) -> None:
    """Divide a dataset, or raw data, into training, validation and test.

    \b
    leave-one-out  per user: last = test, the one before = validation
    temporal       one cut in time for all users; targets are everything after it
    ratio          per user: the last part of the sequence
    cold-item      whole items are held out; only their content can lead to them
    predefined     parts that came with the data; labels make it a click task

    \b
    Examples:
      reasonrec data split sets/ml-1m
      reasonrec data split sets/hm-week --kind temporal --valid 0.15 --test 0.15
      reasonrec data split sets/ml-1m --negatives 99 --out splits/ml-1m-direct
    """
    with open_data(path, source) as dataset:
        config = choose_split(dataset, split)
        if negatives is not None and negatives < 1:
            raise ConfigError("must be at least 1", where="--negatives")
        made = make_split(dataset, config)
        if negatives is not None:
            made = draw_direct_split(made, dataset, negatives=negatives, seed=made.config["seed"])
        if folder is not None:
            save_split(made, folder, dataset)
        facts = _facts(made, dataset)
    if as_json:
        print_json(facts)
    else:
        _show(facts)
    if folder is not None:
        note(f"saved to {plain(str(folder))}")


def _facts(split: Split, dataset: Dataset) -> dict[str, Any]:
    parts = {}
    for name, cases in (("valid", split.valid), ("test", split.test)):
        parts[name] = {
            "queries": len(cases),
            "targets": len(cases.targets),
            "mean_history": round(float(cases.queries.history.lengths.mean()), 2),
            "task": cases.queries.task.value,
        }
        if cases.queries.candidates is not None:
            parts[name]["candidates"] = int(cases.queries.candidates.shape[1])
    return {
        "dataset": {"name": dataset.name, "hash": dataset.hash},
        "protocol": split.protocol,
        "hash": split.hash,
        "train": {"interactions": len(split.train)},
        **parts,
        "left_out": dict(split.left_out),
        "config": dict(split.config),
    }


def _show(facts: dict[str, Any]) -> None:
    rows = [("protocol", facts["protocol"]), ("training", f"{facts['train']['interactions']:,} interactions")]
    for name, label in (("valid", "validation"), ("test", "test")):
        part = facts[name]
        drawn = f", {part['candidates']} candidates each" if part.get("candidates", 1) > 1 else ""
        line = f"{part['queries']:,} queries, {part['targets']:,} targets, mean history {part['mean_history']}{drawn}"
        rows.append((label, f"{line} ({part['task']})"))
    rows += [("left out", f"{count:,} {reason}") for reason, count in facts["left_out"].items()]
    print_facts([*rows, ("hash", facts["hash"])], facts["dataset"]["name"])
