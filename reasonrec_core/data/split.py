"""A split: what may be learned from, what is tuned on, what is tested once; made by a splitter that settings name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reasonrec_core.components import Kind, Splitter
from reasonrec_core.data.cases import LEFT_OUT, TRAIN, UInt8, drop_unreachable
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import ConfigError, DataError, did_you_mean
from reasonrec_core.io import content_hash, read_json, require_replaceable, sha256_of, whole_folder, write_json
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, History, Interactions, QueryBatch, Task

SPLIT_FORMAT = 1
SPLIT_MANIFEST = "split.json"
KEEP_MORE = 'Add more data, or leave out less: split.repeats = "keep", split.min_history = 0, no split.min_value.'
UNUSED = {"valid": 0.1, "test": 0.1, "valid_from": None, "test_from": None, "until": None, "task": None}
"""Enters the hash for settings that a splitter does not have, as when all had the same: hashes stay what they were."""


class SplitConfig(BaseModel):
    """Which splitter divides the data and, in the same table, its settings, which the splitter itself checks."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    kind: str = Field("leave-one-out", description="Name of a splitter.")

    @property
    def settings(self) -> dict[str, Any]:
        """What the splitter's ``Config`` is made from."""
        return dict(self.model_extra or {})


@dataclass(frozen=True)
class Split:
    """One way to divide a dataset.

    Attributes:
        train: what components learn from, sorted by user, oldest first.
        valid: validation queries (history = the training part) with targets.
        test: test queries (history = training and validation parts) with targets.
        protocol: the rule in words, part of every reported metric's context.
        hash: of the rule, the dataset and the drawn candidates.
        parts: uint8[N] part of each interaction of the dataset (`TRAIN`, `VALID`, `TEST`, `LEFT_OUT`).
        left_out: what was not used, by reason, e.g. ``{"users with fewer than 3 interactions": 12}``.
        config: the settings that made it, with the splitter's name as ``kind``.
    """

    train: Interactions
    valid: Cases
    test: Cases
    protocol: str
    hash: str
    parts: UInt8
    left_out: Mapping[str, int] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


def list_splitters() -> list[str]:
    """Names of the installed splitters."""
    return Registry.discover().names(Kind.SPLITTER)


def make_splitter(config: SplitConfig, registry: Registry | None = None, *, where: str = "split") -> Splitter[Any]:
    """The splitter that ``config`` names, with its settings checked.

    Raises:
        ConfigError: no such splitter, an unknown setting, or a value out of bounds; names the key.
    """
    registry = registry or Registry.discover()
    registry.spec(Kind.SPLITTER, config.kind, where=f"{where}.kind")
    fields = registry.load(Kind.SPLITTER, config.kind).Config.model_fields
    for key in config.settings.keys() - fields.keys():
        fix = did_you_mean(key, ["kind", *fields])
        raise ConfigError(f"the splitter {config.kind!r} has no such setting", where=f"{where}.{key}", fix=fix)
    splitter = registry.create(Kind.SPLITTER, config.kind, config.settings, where=where)
    assert isinstance(splitter, Splitter)
    return splitter


def make_split(dataset: Dataset, config: SplitConfig, registry: Registry | None = None) -> Split:
    """Divide ``dataset``; equal data and settings give an equal split.

    Raises:
        ConfigError: the splitter or a setting of it is unknown or wrong.
        DataError: nothing is left for a part, with the numbers that show why.
    """
    registry = registry or Registry.discover()
    splitter = make_splitter(config, registry)
    settings = splitter.config
    whole = dataset.interactions
    used = np.ones(len(whole), np.bool_)
    if settings.min_value is not None and not splitter.reads_labels:
        if whole.values is None:
            raise DataError("min_value is set, but the interactions have no value column", where=dataset.name)
        used = whole.values >= settings.min_value
    log = whole if used.all() else whole.take(used)
    if not len(log):
        raise DataError("no interactions to split", where=dataset.name)
    with registry.guard(Kind.SPLITTER, config.kind, "divide"):
        division = splitter.divide(dataset, log)
    left = dict(division.left_out)
    if not used.all():
        left[f"interactions with a value below {settings.min_value:g}"] = int((~used).sum())
    parts: UInt8 = np.full(len(whole), LEFT_OUT, np.uint8)
    parts[used] = division.parts
    valid = _keep_reachable("validation", division.valid, dataset, splitter, left)
    test = _keep_reachable("test", division.test, dataset, splitter, left)
    chosen = {"kind": config.kind, **settings.model_dump(mode="json")}
    words = _describe_repeats(division.words, settings.repeats, valid)
    hashed = _hash_split(dataset.hash, chosen, parts, valid, test)
    return Split(whole.take(parts == TRAIN), valid, test, words, hashed, parts, left, chosen)


def _keep_reachable(name: str, cases: Cases, dataset: Dataset, splitter: Splitter[Any], left: dict[str, int]) -> Cases:
    """The cases that can be asked; what cannot is counted into ``left``."""
    if cases.labels is not None:
        kept = cases
    else:
        settings = splitter.config
        kept, counts = drop_unreachable(
            cases, dataset.n_items, repeats=settings.repeats, min_history=settings.min_history
        )
        left.update({f"{name}: {reason}": count for reason, count in counts.items()})
    if not len(kept):
        why = "; ".join(f"{count} {reason}" for reason, count in left.items()) or "no user has a target"
        raise DataError(f"no {name} users are left ({why})", where=dataset.name, fix=KEEP_MORE)
    return kept


def _describe_repeats(rule: str, repeats: str, valid: Cases) -> str:
    if valid.labels is not None:
        return rule
    how = "targets already in the history are left out" if repeats == "drop" else "repeated items stay targets"
    return f"{rule}; {how}"


def _hash_split(dataset_hash: str, settings: Mapping[str, Any], parts: UInt8, valid: Cases, test: Cases) -> str:
    """Hash of everything that a result under this split depends on."""
    named = {key: value for key, value in {**UNUSED, **settings}.items() if key != "negatives"}
    cases = [part for c in (valid, test) for part in map(to_bytes, (c.queries.users, c.targets, c.labels))]
    return content_hash(dataset_hash, named, to_bytes(parts), *cases)


def to_bytes(array: Any) -> bytes:
    """An array's values for a hash; nothing for None."""
    return b"" if array is None else np.ascontiguousarray(array).tobytes()


def save_split(split: Split, folder: Path, dataset: Dataset) -> None:
    """Write the split to ``folder``, whole or not at all; an older split there is replaced, nothing else is."""
    require_replaceable(folder, SPLIT_MANIFEST)
    with whole_folder(folder, SPLIT_MANIFEST) as aside:
        for name, cases in (("valid", split.valid), ("test", split.test)):
            np.savez_compressed(aside / f"{name}.npz", **_list_arrays(cases))
        np.save(aside / "parts.npy", split.parts)
        manifest = {
            "format": SPLIT_FORMAT,
            "protocol": split.protocol,
            "hash": split.hash,
            "config": dict(split.config),
            "left_out": dict(split.left_out),
            "dataset": {"name": dataset.name, "hash": dataset.hash},
            "tasks": {"valid": split.valid.queries.task.value, "test": split.test.queries.task.value},
            "files": {path.name: sha256_of(path) for path in sorted(aside.iterdir())},
        }
        write_json(aside / SPLIT_MANIFEST, manifest)


def open_split(folder: Path, dataset: Dataset) -> Split:
    """Read what `save_split` wrote; damaged files and a split of other data are a `DataError`."""
    manifest = read_json(folder / SPLIT_MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != SPLIT_FORMAT:
        raise DataError("not a split of this version", where=str(folder / SPLIT_MANIFEST), fix="Make it again.")
    if manifest["dataset"]["hash"] != dataset.hash:
        fix = f"Split {dataset.name} again, or open the dataset it was made from."
        raise DataError(f"this split belongs to other data ({manifest['dataset']['name']})", where=str(folder), fix=fix)
    for name, wanted in manifest["files"].items():
        path = folder / name
        if Path(name).name != name or not path.is_file() or sha256_of(path) != wanted:
            raise DataError("missing or changed since the split was saved", where=str(path), fix="Make it again.")
    try:
        parts, tasks = np.load(folder / "parts.npy", allow_pickle=False), manifest["tasks"]
        train = dataset.interactions.take(parts == TRAIN)
        valid, test = (_read_cases(folder / f"{part}.npz", Task(tasks[part])) for part in ("valid", "test"))
        return Split(
            train, valid, test, manifest["protocol"], manifest["hash"], parts, manifest["left_out"], manifest["config"]
        )
    except Exception as error:  # of forged files numpy raises anything
        raise DataError("does not hold a split", where=str(folder), fix="Make it again.") from error


def _list_arrays(cases: Cases) -> dict[str, Any]:
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
        "context": queries.context,
        "labels": cases.labels,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def _read_cases(path: Path, task: Task) -> Cases:
    with np.load(path, allow_pickle=False) as arrays:
        stored = {name: arrays[name] for name in arrays.files}
    history = History(stored["history_indptr"], stored["history_items"], stored["history_times"])
    known: dict[str, Any] = {name: stored.get(name) for name in ("candidates", "times", "context")}
    queries = QueryBatch(task, stored["users"], history, **known)
    return Cases(queries, stored["target_indptr"], stored["targets"], stored.get("labels"))
