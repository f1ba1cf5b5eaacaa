"""A split on disk: Parquet for the training log, plain arrays for the cases, a manifest with the rule and hashes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.negative_sampling import with_candidates
from reasonrec_core.data.split import Split, UInt8
from reasonrec_core.data.splits.config import SplitConfig
from reasonrec_core.errors import DataError
from reasonrec_core.io import content_hash, read_json, require_replaceable, sha256_of, whole_folder, write_json
from reasonrec_core.types import Cases, History, Interactions, QueryBatch, Task

FORMAT = 1
MANIFEST = "split.json"


def direct_split(split: Split, dataset: Dataset, *, negatives: int, seed: int) -> Split:
    """The same split for `Task.DIRECT`: one query per target, with candidates drawn once from the seed."""
    valid = with_candidates(split.valid, dataset, negatives, seed)
    test = with_candidates(split.test, dataset, negatives, seed + 1)
    words = (
        f"{split.protocol}; each target among {negatives} uniform negatives that its user never touched (seed {seed})"
    )
    drawn = content_hash(split.hash, _bytes(valid.queries.candidates), _bytes(test.queries.candidates))
    return replace(split, valid=valid, test=test, protocol=words, hash=drawn)


def click_split(split: Split, dataset: Dataset, *, seed: int) -> Split:
    """The same split for `Task.CTR` where nobody said no: each target as a click, beside one drawn item as none.

    One query per target with two candidates in an order of chance; labels float32[T, 2] are 1 for the target and 0 for
    an item, uniform over those that the user never touched. Half of all rows are clicks, by construction.

    Raises:
        DataError: the split has labelled rows, or a user has touched everything.
    """
    if split.test.labels is not None:
        raise DataError(
            "the rows of this split are labelled, so that clicks are not drawn beside rankings",
            where=dataset.name,
            fix='Ask for evaluate.tasks = ["ctr"] alone.',
        )
    drawn = direct_split(split, dataset, negatives=1, seed=seed)
    words = f"{split.protocol}; clicks: each target against one uniform item that its user never touched (seed {seed})"
    return replace(drawn, valid=_clicks(drawn.valid), test=_clicks(drawn.test), protocol=words)


def _clicks(cases: Cases) -> Cases:
    candidates = cases.queries.candidates
    assert candidates is not None
    labels = (candidates == cases.targets[:, None]).astype(np.float32)
    return replace(cases, queries=replace(cases.queries, task=Task.CTR), labels=labels)


def split_hash(dataset_hash: str, config: SplitConfig, parts: UInt8, valid: Cases, test: Cases) -> str:
    """Hash of everything that a result under this split depends on."""
    settings = config.model_dump(mode="json", exclude={"negatives"})
    cases = [part for c in (valid, test) for part in (_bytes(c.queries.users), _bytes(c.targets), _bytes(c.labels))]
    return content_hash(dataset_hash, settings, _bytes(parts), *cases)


def save_split(split: Split, folder: Path, dataset: Dataset) -> None:
    """Write the split to ``folder``, whole or not at all; an older split there is replaced, nothing else is."""
    require_replaceable(folder, MANIFEST)
    with whole_folder(folder, MANIFEST) as aside:
        log = split.train
        columns: dict[str, Any] = {"user": log.users, "item": log.items, "time": log.times}
        if log.values is not None:
            columns["value"] = log.values
        pq.write_table(pa.table(columns), aside / "train.parquet")
        for name, cases in (("valid", split.valid), ("test", split.test)):
            np.savez_compressed(aside / f"{name}.npz", **_arrays(cases))
        if split.parts is not None:
            np.save(aside / "parts.npy", split.parts)
        manifest = {
            "format": FORMAT,
            "protocol": split.protocol,
            "hash": split.hash,
            "config": dict(split.config),
            "left_out": dict(split.left_out),
            "dataset": {"name": dataset.name, "hash": dataset.hash},
            "tasks": {"valid": split.valid.queries.task.value, "test": split.test.queries.task.value},
            "files": {path.name: sha256_of(path) for path in sorted(aside.iterdir())},
        }
        write_json(aside / MANIFEST, manifest)


def open_split(folder: Path, dataset: Dataset) -> Split:
    """Read what `save_split` wrote; damaged files and a split of other data are a `DataError`."""
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError("not a split of this version", where=str(folder / MANIFEST), fix="Make it again.")
    if manifest["dataset"]["hash"] != dataset.hash:
        raise DataError(
            f"this split belongs to other data ({manifest['dataset']['name']})",
            where=str(folder),
            fix=f"Split {dataset.name} again, or open the dataset it was made from.",
        )
    for name, wanted in manifest["files"].items():
        path = folder / name
        if Path(name).name != name or not path.is_file() or sha256_of(path) != wanted:
            raise DataError("missing or changed since the split was saved", where=str(path), fix="Make it again.")
    parts = np.load(folder / "parts.npy", allow_pickle=False) if "parts.npy" in manifest["files"] else None
    return Split(
        _read_log(folder / "train.parquet"),
        _read_cases(folder / "valid.npz", Task(manifest["tasks"]["valid"])),
        _read_cases(folder / "test.npz", Task(manifest["tasks"]["test"])),
        manifest["protocol"],
        manifest["hash"],
        parts,
        manifest["left_out"],
        manifest["config"],
    )


def _bytes(array: Any) -> bytes:
    return b"" if array is None else np.ascontiguousarray(array).tobytes()


def _arrays(cases: Cases) -> dict[str, Any]:
    queries = cases.queries
    arrays = {
        "users": queries.users,
        "history_indptr": queries.history.indptr,
        "history_items": queries.history.items,
        "history_times": queries.history.times,
        "target_indptr": cases.target_indptr,
        "targets": cases.targets,
        "candidates": queries.candidates,
        "times": queries.times,
        "labels": cases.labels,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def _read_cases(path: Path, task: Task) -> Cases:
    with np.load(path, allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    history = History(held["history_indptr"], held["history_items"], held["history_times"])
    queries = QueryBatch(task, held["users"], history, candidates=held.get("candidates"), times=held.get("times"))
    return Cases(queries, held["target_indptr"], held["targets"], held.get("labels"))


def _read_log(path: Path) -> Interactions:
    table = pq.read_table(path)
    values = np.asarray(table.column("value")) if "value" in table.column_names else None
    users, items, times = (np.asarray(table.column(name)) for name in ("user", "item", "time"))
    return Interactions(users, items, times, values)
