"""Divide a dataset into what may be learned from, what tunes and what is tested once.

`make_split` applies one of five rules; `direct_split` and `click_split` draw candidates for a split once; `save_split`
and `open_split` keep both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.negative_sampling import with_candidates
from reasonrec_core.data.split import TRAIN, Split
from reasonrec_core.data.splits.cases import Division, tidy
from reasonrec_core.data.splits.cold_item import cold_item
from reasonrec_core.data.splits.config import SplitConfig
from reasonrec_core.data.splits.per_user import leave_one_out, ratio
from reasonrec_core.data.splits.presplit import predefined
from reasonrec_core.data.splits.store import (
    click_split,
    direct_split,
    open_split,
    save_split,
    split_hash,
)
from reasonrec_core.data.splits.temporal import temporal
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Cases, Interactions

__all__ = ["SplitConfig", "click_split", "direct_split", "make_split", "open_split", "save_split", "with_candidates"]


class Rule(Protocol):
    """Decides the part of every interaction; ``log`` holds the rows of the dataset that ``used`` marks."""

    def __call__(self, dataset: Dataset, log: Interactions, used: Bool, config: SplitConfig) -> Division: ...


RULES: Mapping[str, Rule] = {
    "leave-one-out": leave_one_out,
    "temporal": temporal,
    "ratio": ratio,
    "cold-item": cold_item,
    "predefined": predefined,
}


def make_split(dataset: Dataset, config: SplitConfig) -> Split:
    """Divide ``dataset``; equal data and settings give an equal split.

    Raises:
        DataError: nothing is left for a part, with the numbers that show why.
    """
    whole = dataset.interactions
    used = np.ones(len(whole), np.bool_)
    labelled = config.kind == "predefined"
    if config.min_value is not None and not labelled:
        if whole.values is None:
            raise DataError("min_value is set, but the interactions have no value column", where=dataset.name)
        used = whole.values >= config.min_value
    log = whole if used.all() else whole.take(used)
    if not len(log):
        raise DataError("no interactions to split", where=dataset.name)
    division = RULES[config.kind](dataset, log, used, config)
    left = dict(division.left_out)
    if not used.all():
        left[f"interactions with a value below {config.min_value:g}"] = int((~used).sum())
    valid = _kept("validation", division.valid, dataset, config, left)
    test = _kept("test", division.test, dataset, config, left)
    train = whole.take(division.parts == TRAIN)
    return Split(
        train,
        valid,
        test,
        _words(division.words, config, valid),
        split_hash(dataset.hash, config, division.parts, valid, test),
        division.parts,
        left,
        config.model_dump(mode="json"),
    )


def _kept(name: str, cases: Cases, dataset: Dataset, config: SplitConfig, left: dict[str, int]) -> Cases:
    """The cases that can be asked; what cannot is counted into ``left``."""
    if cases.labels is not None:
        kept = cases
    else:
        kept, counts = tidy(cases, dataset.n_items, repeats=config.repeats, min_history=config.min_history)
        left.update({f"{name}: {reason}": count for reason, count in counts.items()})
    if not len(kept):
        why = "; ".join(f"{count} {reason}" for reason, count in left.items()) or "no user has a target"
        raise DataError(f"no {name} users are left ({why})", where=dataset.name, fix="Change the split's settings.")
    return kept


def _words(rule: str, config: SplitConfig, valid: Cases) -> str:
    if valid.labels is not None:
        return rule
    repeats = "targets already in the history are left out" if config.repeats == "drop" else "repeats stay targets"
    return f"{rule}; {repeats}"
