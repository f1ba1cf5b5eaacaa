"""What the student learns from: histories, and what the teacher answers to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from reasonrec_torch.rows import Arrays, RowEpoch, TrainingRows

from reasonrec_core.components import FitData
from reasonrec_core.io import content_hash, read_arrays, write_arrays
from reasonrec_core.types import History, Int32
from reasonrec_distil.config import DistilledConfig
from reasonrec_distil.histories import draw_histories, list_single_items
from reasonrec_distil.teacher import Answer, TeacherLists, collect_lists

FILE = "teacher.npz"
DETAIL = 0.5
"""Share of the training after which the order is learned, where it goes from easy to hard."""


class HistoryRows(TrainingRows):
    """Histories in shuffled batches, with how much the order of the teacher's best counts in an epoch."""

    def __init__(self, arrays: Arrays, config: DistilledConfig, batch: int) -> None:
        super().__init__(arrays, batch=batch)
        self.order = config.training.order

    def epoch(self, number: int, epochs: int, rng: np.random.Generator) -> RowEpoch:
        """An order of all rows."""
        detail = np.float32(self.order == "easy-to-hard" and number >= DETAIL * epochs)
        rows = TrainingRows({**self.arrays, "detail": np.full(self.samples, detail)}, batch=self.batch)
        return RowEpoch(rows, rng.permutation(self.samples))


def collect_rows(
    answer: Answer, config: DistilledConfig, data: FitData, batch: int
) -> tuple[TeacherLists, HistoryRows]:
    """What the teacher answers to each item alone, and all that is learned from: histories, and what it finds likely
    after them besides what it saw follow. Without histories (nobody has two items) those of one item are learned.

    The answers are kept in `FitData.workdir`, so that an interrupted fit asks once.
    """
    n = len(data.catalog)
    asked, later = draw_histories(data.train, data.n_users, config.histories, config.max_history, data.seed)
    single = list_single_items(n)
    if not len(asked):
        asked, later = single, np.full((n, 1), -1, np.int32)
    kept = None if data.workdir is None else data.workdir / FILE
    given = config.model_dump(mode="json", exclude={"training"})
    key = content_hash(given, asked.indptr.tobytes(), asked.items.tobytes())
    found = _read_answers(kept, key)
    if found is None:
        alone = single if config.links else list_single_items(0)
        links = collect_lists(answer, alone, max(config.links, 1), data, "ask the teacher about items")
        lists = collect_lists(answer, asked, config.depth, data, "ask the teacher about histories")
        found = links, leave_out(lists, later)
        if kept is not None:
            _write_answers(kept, key, *found)
    links, lists = found
    if not config.links:
        links = TeacherLists(np.empty((n, 0), np.int32), np.empty((n, 0), np.float32))
    read = read_newest(asked, config.max_history)
    arrays = {"read": read, "later": later, "items": lists.items, "shares": lists.shares}
    return links, HistoryRows(arrays, config, batch)


def leave_out(lists: TeacherLists, later: Int32) -> TeacherLists:
    """The lists without int32[T, M] items of each row (-1: none): their shares are 0, those of the others sum to 1."""
    shares = lists.shares.copy()
    for column in later.T:
        shares[(lists.items == column[:, None]) & (column[:, None] >= 0)] = 0
    total = shares.sum(axis=1, keepdims=True)
    return TeacherLists(lists.items, np.divide(shares, total, out=np.zeros_like(shares), where=total > 0))


def read_newest(history: History, length: int) -> Int32:
    """int32[B, L]: the newest ``length`` items of each history, newest first; -1 pads."""
    source = history.indptr[1:, None] - 1 - np.arange(length)
    there = source >= history.indptr[:-1, None]
    return np.where(there, history.items[np.maximum(source, 0)], -1).astype(np.int32)


def _read_answers(path: Path | None, key: str) -> tuple[TeacherLists, TeacherLists] | None:
    if path is None or not path.exists():
        return None
    arrays = read_arrays(path)
    if arrays["key"].tobytes().decode() != key:
        return None
    links, lists = (TeacherLists(arrays[f"{name}.items"], arrays[f"{name}.shares"]) for name in ("links", "lists"))
    return links, lists


def _write_answers(path: Path, key: str, links: TeacherLists, lists: TeacherLists) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"key": np.frombuffer(key.encode(), np.uint8)}
    for name, found in (("links", links), ("lists", lists)):
        arrays |= {f"{name}.items": found.items, f"{name}.shares": found.shares}
    write_arrays(path, arrays)
