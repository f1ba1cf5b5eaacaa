"""One row of numbers per (request, item): what LightGBM sees. The same code serves training and answering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from reasonrec_clicks.item_content import ItemContent
from reasonrec_clicks.item_statistics import USER_WEIGHT, ItemStatistics
from reasonrec_clicks.labelled_rows import LabelledRows, RaggedRows
from reasonrec_core.types import Float64, Int32, Int64

CHUNK = 4096
PAIRS = 200_000
FADE = 0.8
OWN_FADE = 0.95
SHARPNESS = 6
"""Power of a cosine: only near neighbours count."""


@dataclass(frozen=True)
class ClickRequests:
    """N items asked about.

    Attributes:
        users: int32[N], -1 where unknown.
        items: int32[N].
        history: items liked before, oldest first; ``index`` holds item indices.
        own: labelled rows of the user that are known by now; ``index`` holds positions in a `LabelledRows`.
        times: int64[N] or None.
    """

    users: Int32
    items: Int32
    history: RaggedRows
    own: RaggedRows
    times: Int64 | None

    def __len__(self) -> int:
        return len(self.items)

    def slice(self, start: int, stop: int) -> ClickRequests:
        """ClickRequests ``start:stop``."""
        times = None if self.times is None else self.times[start:stop]
        history, own = self.history.slice(start, stop), self.own.slice(start, stop)
        return ClickRequests(self.users[start:stop], self.items[start:stop], history, own, times)


def compute_click_features(
    asked: ClickRequests, known: ItemStatistics, labels: LabelledRows, content: ItemContent
) -> Mapping[str, Float64]:
    """float64[N] by name, NaN where unknown; memory is bounded by working in chunks."""
    bounds = range(0, max(len(asked), 1), CHUNK)
    parts = [_chunk(asked.slice(s, min(s + CHUNK, len(asked))), known, labels, content) for s in bounds]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _chunk(
    asked: ClickRequests, known: ItemStatistics, labels: LabelledRows, content: ItemContent
) -> dict[str, Float64]:
    own, residual = _own(asked, known, labels)
    return {
        **_item(asked, known, content),
        **own,
        **_history(asked, known, labels),
        "expected": known.mean + np.nan_to_num(own["user_bias"]) + known.item_bias[asked.items],
        **_collaborative(asked, known, labels, residual),
        **_labels(asked, labels, residual, content),
        **_vectors(asked, labels, residual, content),
        **_years(asked, content),
    }


def _item(asked: ClickRequests, known: ItemStatistics, content: ItemContent) -> dict[str, Float64]:
    at, count = asked.items, known.item_count[asked.items]
    raw = np.divide(known.item_liked[at], count, out=np.full(len(at), np.nan), where=count > 0)
    named = {f"item_{name}": values[at].astype(float) for name, values in content.numbers.items()}
    return {
        "item_bias": known.item_bias[at],
        "item_prior": known.item_prior[at],
        "item_count": count,
        "item_share": raw,
        **named,
    }


def _own(asked: ClickRequests, known: ItemStatistics, labels: LabelledRows) -> tuple[dict[str, Float64], Float64]:
    """The user's known labels; float64[L] what each of them leaves after the user's and the item's bias."""
    rows = asked.own
    left = labels.values[rows.index] - known.mean - known.item_bias[labels.items[rows.index]]
    bias = rows.sum(left) / (rows.lengths + USER_WEIGHT)
    fade = np.power(OWN_FADE, rows.ages)
    recent = rows.sum(left * fade) / (rows.sum(fade) + USER_WEIGHT)
    seen = rows.lengths > 0
    return {
        "user_bias": np.where(seen, bias, np.nan),
        "user_bias_recent": np.where(seen, recent, np.nan),
        "user_share": rows.mean(labels.values[rows.index].astype(float)),
        "user_count": rows.lengths.astype(float),
    }, left - bias[rows.rows]


def _history(asked: ClickRequests, known: ItemStatistics, labels: LabelledRows) -> dict[str, Float64]:
    """Who likes what others do not is easily pleased."""
    rows, bias = asked.history, known.item_bias[asked.history.index]
    labelled = asked.own.sum((labels.values[asked.own.index] > 0.5).astype(float))
    mean = rows.mean(bias)
    recent = rows.mean(bias, np.power(FADE, rows.ages))
    return {
        "history_length": rows.lengths.astype(float),
        "history_new": rows.lengths - labelled,
        "history_bias": mean,
        "history_bias_recent": recent,
        "history_bias_spread": np.sqrt(np.maximum(rows.mean(bias**2) - mean**2, 0)),
        "history_bias_least": -rows.max(-bias),
        "history_liked": rows.mean(np.log1p(known.item_liked[rows.index])),
        "item_above_history": known.item_bias[asked.items] - mean,
    }


def _collaborative(
    asked: ClickRequests, known: ItemStatistics, labels: LabelledRows, residual: Float64
) -> dict[str, Float64]:
    rows = asked.history
    likes = _lookup(known.likes, asked.items[rows.rows], rows.index)
    surprise = 1 - known.mean - known.item_bias[rows.index]
    agreement = _lookup(known.agreement, asked.items[rows.rows], rows.index)
    own = asked.own
    near = _lookup(known.agreement, asked.items[own.rows], labels.items[own.index])
    return {
        "likes_mean": rows.mean(likes),
        "likes_sum": rows.sum(likes),
        "likes_recent": rows.sum(likes * np.power(FADE, rows.ages)),
        "likes_most": rows.max(likes),
        "agreement_history": rows.sum(agreement * surprise) / (rows.sum(np.abs(agreement)) + 0.5),
        "agreement_own": own.sum(near * residual) / (own.sum(np.abs(near)) + 0.5),
        "agreement_own_sum": own.sum(near * residual),
    }


def _labels(asked: ClickRequests, labels: LabelledRows, residual: Float64, content: ItemContent) -> dict[str, Float64]:
    """Taste by label (genre, brand...): share in the history against its share in the catalogue, and own residuals."""
    member, n_items = content.labels, len(content.labels)
    if not member.shape[1]:
        return {}
    rows, own, size = asked.history, asked.own, len(asked)
    mine = member[asked.items]
    per_item = np.maximum(mine.sum(axis=1), 1)
    ones = np.ones(len(rows.index), np.float32)
    counts = sparse.csr_matrix((ones, (rows.rows, rows.index)), shape=(size, n_items)) @ member
    base = content.usual
    lift = np.log((counts + 10 * base) / (rows.lengths[:, None] + 10) / base)
    at = (own.rows, labels.items[own.index])
    total = sparse.csr_matrix((residual.astype(np.float32), at), shape=(size, n_items)) @ member
    seen = sparse.csr_matrix((np.ones(len(own.index), np.float32), at), shape=(size, n_items)) @ member
    return {
        "label_share": (mine * counts).sum(axis=1) / per_item / np.maximum(rows.lengths, 1),
        "label_lift": (mine * lift).sum(axis=1) / per_item,
        "label_own": (mine * (total / (seen + 5))).sum(axis=1) / per_item,
        "label_own_sum": (mine * (total / (seen + 5))).sum(axis=1),
    }


def _vectors(asked: ClickRequests, labels: LabelledRows, residual: Float64, content: ItemContent) -> dict[str, Float64]:
    found: dict[str, Float64] = {}
    rows, own = asked.history, asked.own
    for name, vectors in content.vectors.items():
        cosine = _cosines(vectors, asked.items[rows.rows], rows.index)
        near = np.maximum(_cosines(vectors, asked.items[own.rows], labels.items[own.index]), 0) ** SHARPNESS
        found |= {
            f"{name}_mean": rows.mean(cosine),
            f"{name}_recent": rows.mean(cosine, np.power(FADE, rows.ages)),
            f"{name}_most": rows.max(cosine),
            f"{name}_near": rows.sum(np.maximum(cosine, 0) ** SHARPNESS),
            f"{name}_own": own.sum(near * residual) / (own.sum(near) + 0.1),
        }
    return found


def _years(asked: ClickRequests, content: ItemContent) -> dict[str, Float64]:
    year = content.year.astype(float)
    if not np.isfinite(year).any():
        return {}
    of_history = year[asked.history.index]
    known = np.isfinite(of_history).astype(float)
    mean = asked.history.mean(np.nan_to_num(of_history), known)
    return {"year": year[asked.items], "history_year": mean, "year_above_history": year[asked.items] - mean}


def _lookup(matrix: sparse.csr_matrix, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]) -> Float64:
    """float64[L]: ``matrix[rows[k], columns[k]]``."""
    if not len(rows):
        return np.zeros(0)
    return np.asarray(matrix[rows, columns], dtype=np.float64).ravel()


def _cosines(
    vectors: npt.NDArray[np.float32], left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]
) -> Float64:
    """float64[L]: inner products of pairs of rows, in pieces."""
    out = np.empty(len(left))
    for start in range(0, len(left), PAIRS):
        stop = start + PAIRS
        out[start:stop] = np.einsum("ij,ij->i", vectors[left[start:stop]], vectors[right[start:stop]])
    return out
