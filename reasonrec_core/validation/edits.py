"""What edits must look like, and what an editable policy says about labels and causes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError, PluginError, did_you_mean
from reasonrec_core.types import Edits, Float32, QueryBatch
from reasonrec_core.validation.arrays import check_array, check_unit


def checked_edits(edits: Edits, batch: QueryBatch, labels: Mapping[str, tuple[str, ...]]) -> Edits:
    """Edits that fit the batch and the policy's labels.

    Raises:
        ConfigError: they do not: the edits are the caller's, not the policy's.
    """
    try:
        if edits.relevance is not None:
            check_array(edits.relevance, (len(batch.history.items),), np.float32, "relevance")
            check_unit(edits.relevance, "relevance")
        for name, chosen in edits.assume.items():
            if name not in labels:
                raise ConfigError(f"no labels can be assumed for {name!r}", fix=did_you_mean(name, labels))
            check_array(chosen, (len(batch),), np.int32, f"assume[{name!r}]")
            if ((chosen < -1) | (chosen >= len(labels[name]))).any():
                raise ConfigError(f"{name!r} has the labels 0 to {len(labels[name]) - 1} (-1: as inferred)")
    except PluginError as error:
        raise ConfigError(error.what, where="edits") from error
    return edits


def checked_attribution(values: Any, batch: QueryBatch) -> Float32:
    """float32[L], finite and not negative."""
    check_array(values, (len(batch.history.items),), np.float32, "attribution")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise PluginError("attribution is negative, NaN or infinite")
    return values  # type: ignore[no-any-return]


def checked_beliefs(beliefs: Any, batch: QueryBatch, labels: Mapping[str, tuple[str, ...]]) -> Mapping[str, Float32]:
    """Per field float32[B, labels] in [0, 1], each row summing to 1."""
    if not isinstance(beliefs, Mapping) or set(beliefs) != set(labels):
        raise PluginError(f"labels are inferred for {sorted(beliefs)}, not for {sorted(labels)}")
    for name, belief in beliefs.items():
        check_array(belief, (len(batch), len(labels[name])), np.float32, f"beliefs about {name!r}")
        check_unit(belief, f"beliefs about {name!r}")
        if not np.allclose(belief.sum(axis=1, dtype=np.float64), 1.0, atol=1e-3):
            raise PluginError(f"beliefs about {name!r} do not sum to 1")
    return beliefs
