"""The parts of a split as frames: what a model of one's own may learn from, and what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from reasonrec_core.config_errors import validated
from reasonrec_core.data import TEST, TRAIN, VALID, Dataset, SplitConfig, make_split
from reasonrec_frames.native_frames import FrameKind, write_frame


class SplitFrames(NamedTuple):
    """Interactions by part, each a frame of ``user_id``, ``item_id`` and, where they are known, times and values.

    A model that is measured with `evaluate_lists` may learn from ``train`` and be tuned on ``valid``.
    """

    train: Any
    valid: Any
    test: Any


def make_split_frames(dataset: Dataset, split: str | Mapping[str, Any] | None, kind: FrameKind) -> SplitFrames:
    """The interactions of each part, sorted by user, oldest first."""
    cut = make_split(dataset, read_split(split))
    log = dataset.interactions
    ids = {"user_id": dataset.users.column("user_id").combine_chunks(), "item_id": pa.array(dataset.catalog.ids)}
    columns: dict[str, Any] = {"user_id": log.users, "item_id": log.items}
    columns |= {"timestamp": log.times if dataset.has_clock else None, "value": log.values}
    parts = []
    for part in (TRAIN, VALID, TEST):
        rows = np.flatnonzero(cut.parts == part)
        table = {
            name: ids[name].take(pa.array(values[rows])) if name in ids else values[rows]
            for name, values in columns.items()
            if values is not None
        }
        parts.append(write_frame(pa.table(table), kind))
    return SplitFrames(*parts)


def read_split(split: str | Mapping[str, Any] | None) -> SplitConfig:
    """The settings of a split from its name, or from settings with the name as ``kind``; leave-one-out by default."""
    given = {} if split is None else {"kind": split} if isinstance(split, str) else dict(split)
    return validated(SplitConfig, given, where="split")
