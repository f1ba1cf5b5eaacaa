"""Vectors of items and users, of those components that have them (`VectorDelegate`; the policy chain is like one).

The product of a user's vector and an item's is what the component makes of the item: a delegate's score, the logit of
chain's sequence expert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from reasonrec_core.components import VectorDelegate
from reasonrec_core.data import Dataset
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32, Observation, QueryBatch

CHUNK = 256


def tabulate_item_vectors(
    parts: Mapping[str, Any], dataset: Dataset, observation: Observation, by: str | None = None
) -> pa.Table:
    """``item_id``, ``vector`` (a list of float32 of one length) of every item that has a vector.

    Args:
        parts: policy and delegates by label, in the order in which they are preferred.
        dataset: of the items.
        observation: their features.
        by: whose vectors; the first's that has any if None.

    Raises:
        ConfigError: nobody has vectors, or not the one that is asked; says who has.
    """
    vectors = choose_part(parts, "item", by).item_vectors(observation)
    return _tabulate("item_id", pa.array(dataset.catalog.ids[: len(vectors)]), vectors)


def tabulate_user_vectors(
    parts: Mapping[str, Any],
    dataset: Dataset,
    batch: QueryBatch,
    observe: Callable[[QueryBatch], Observation],
    by: str | None = None,
) -> pa.Table:
    """``user_id``, ``vector`` of the users of a batch; see `tabulate_item_vectors`."""
    part = choose_part(parts, "user", by)
    pieces = [part.query_vectors(piece, observe(piece)) for _, piece in batch.chunks(CHUNK)]
    ids = dataset.users.column("user_id").combine_chunks().take(pa.array(batch.users))
    return _tabulate("user_id", ids, np.concatenate(pieces) if pieces else np.zeros((0, 1), np.float32))


def choose_part(parts: Mapping[str, Any], what: str, by: str | None) -> VectorDelegate:
    """The first part that has vectors, or the one that is named."""
    able = [label for label, part in parts.items() if isinstance(part, VectorDelegate)]
    chosen = able[0] if by is None and able else by
    if chosen in able:
        found: VectorDelegate = parts[chosen]
        return found
    who = "none of these systems has" if by is None else f"{by!r} has no"
    there = f"These have: {', '.join(able)}." if able else "implicit-als and implicit-bpr have them, for example."
    named = f" ({', '.join(parts)})" if by is None else ""
    raise ConfigError(f"{who} {what} vectors{named}", where=f"{what}_vectors", fix=there)


def _tabulate(key: str, ids: pa.Array, vectors: Float32) -> pa.Table:
    flat = np.ascontiguousarray(vectors, dtype=np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    return pa.table({key: ids, "vector": lists})
