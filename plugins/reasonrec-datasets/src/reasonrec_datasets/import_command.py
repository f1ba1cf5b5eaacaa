"""``reasonrec data import``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reasonrec_core.cli.console import note, out, plain, print_json, progress
from reasonrec_core.data import Dataset, is_dataset
from reasonrec_core.data.storage import LOG, MANIFEST
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.io import require_replaceable
from reasonrec_datasets.importing.index import build_dataset, extend_items
from reasonrec_datasets.importing.table_source import import_path
from reasonrec_datasets.new_items import read_new_items
from reasonrec_datasets.options import log_options, source_options


@click.command(name="import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Folder for the dataset.")
@source_options
@log_options
@click.option("--name", help="Name of the dataset; by default that of the file or folder.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed for the order of the indices."
)
@click.option("--force", is_flag=True, help="Replace a dataset that is in the folder already.")
@click.option("--extend", type=click.Path(path_type=Path), metavar="DATASET",
              help="PATH holds new items only: add them to this dataset, whose items keep their indices.")  # fmt: skip
@click.option("--into", type=click.Path(path_type=Path), metavar="RUN",
              help="PATH holds new items only: add them to this run, which can recommend them at once.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the manifest (with --into: what was added) as JSON.")
def import_command(
    path: Path,
    folder: Path | None,
    source: dict[str, Any],
    name: str | None,
    seed: int,
    force: bool,
    extend: Path | None,
    into: Path | None,
    as_json: bool,
) -> None:
    """Read data with any data source, check it, and save it as a dataset.

    PATH is a folder or file: tables (interactions.csv, items.csv, users.csv, images/), predefined parts
    (train.csv, valid.csv, test.csv), RecBole atomic files, folders of Hugging Face datasets, a published data set
    (MovieLens, Amazon, LightGCN, MIND, ...), tables under any names, or whatever else an installed data source reads.

    With --extend or --into, PATH is a table of items, or a folder with items.csv and images/. Nothing is fitted again.

    \b
    Examples:
      reasonrec data import ml-1m --out sets/ml-1m
      reasonrec data import shop.csv --out sets/shop --column user_id=customer --column timestamp=t
      reasonrec data import reviews.json.gz --out sets/reviews --format amazon --column value=
      reasonrec data import clicks.csv --out sets/clicks --event-column type --event-weights view=1,buy=5 --k-core 5
      reasonrec data import new-items.csv --extend sets/shop --out sets/shop-2
      reasonrec data import new-items/ --into runs/shop
    """
    if into is not None:
        given = {"--out": folder, "--extend": extend, "--name": name, "--force": force or None}
        for option in (option for option, value in given.items() if value is not None):
            raise ConfigError(
                f"{option} cannot be combined with --into", where="data import", fix="Leave one of them out."
            )
        _into_run(path, into, source["columns"], as_json=as_json)
        return
    if folder is None:
        raise ConfigError("no --out", where="data import", fix="Name the dataset's folder (--out), or a run (--into).")
    if is_dataset(folder) and not force:
        raise DataError("already holds a dataset", where=str(folder), fix="Use --force to replace it.")
    require_replaceable(folder, MANIFEST, LOG)
    with progress() as step:
        step(0, 2, "import")
        if extend is not None:
            new = read_new_items(path, source["columns"])
            step(1, 2, "import")
            dataset = extend_items(Dataset.open(extend), new.table, folder, new.images, new.place)
        else:
            raw = import_path(path, name=name, **source)
            step(1, 2, "import")
            dataset = build_dataset(raw, folder, seed=seed)
    for remark in dataset.notes:
        note(plain(f"note: {remark}"))
    if as_json:
        print_json(dataset.manifest)
    else:
        counts = f"{dataset.n_users:,} users, {dataset.n_items:,} items, {len(dataset):,} interactions"
        out.print(plain(f"{dataset.name}: {counts}, saved to {folder} (hash {dataset.hash[:12]})"), soft_wrap=True)


def _into_run(path: Path, run: Path, columns: dict[str, str], *, as_json: bool) -> None:
    """Add items to a finished run, and say what was added."""
    from reasonrec_datasets.run_items import add_items

    with progress() as step:
        added = add_items(run, read_new_items(path, columns), step)
    for remark in added.notes:
        note(plain(f"note: {remark}"))
    if added.refused:
        first = added.refused[0]
        note(plain(f"{len(added.refused)} images were not used; the first, {first.path!r}: {first.reason}"))
    if as_json:
        print_json(added.to_dict())
        return
    seen = "".join(f", {count:,} with {name}" for name, count in added.present.items())
    items = "item" if added.items == 1 else "items"
    out.print(plain(f"{added.items:,} {items} added{seen}; {run} now recommends from {added.total:,}"), soft_wrap=True)
    note(plain(f"Nothing was fitted again: results and report still describe the {added.n_fitted:,} items of the fit."))
    if added.ranked_last:
        who = ", ".join(added.ranked_last)
        note(plain(f"Until the next fit these models rank the new items last, knowing nothing of them: {who}."))
