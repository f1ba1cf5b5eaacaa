"""What a fitted Cornac model holds, as plain arrays and numbers. Cornac itself writes models by pickle.

An attribute is kept if it is a number, a word, an array, a sparse matrix, a torch tensor, the weights of a torch
module, or a list or dictionary of such. Functions, devices and whatever else a model has are left to its constructor,
so whoever stores a model must compare its answers before and after (`delegate.py` does).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

Arrays = dict[str, Any]
SKIPPED = frozenset({"train_set", "val_set", "test_set", "uid_map", "iid_map", "ignored_attrs", "trainable", "verbose"})
PLAIN = (bool, int, str, type(None))


def take_state(model: Any) -> tuple[Any, Arrays]:
    """A description, as JSON has it, and the arrays that it names."""
    arrays: Arrays = {}
    state = {name: _take(value, name, arrays) for name, value in vars(model).items() if name not in SKIPPED}
    return {name: what for name, what in state.items() if what is not None}, arrays


def put_state(model: Any, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Give a model, made with the same settings, what `take_state` found."""
    for name, what in state.items():
        made = _make(what, arrays)
        if what["kind"] == "module":
            getattr(model, name).load_state_dict(made)
            getattr(model, name).eval()
        else:
            setattr(model, name, made)


def _take(value: Any, path: str, arrays: Arrays) -> Any:
    """What says how to make the value again; None where it is nothing that can be kept."""
    if isinstance(value, PLAIN):
        return {"kind": "plain", "value": value}
    kind = type(value).__name__
    if hasattr(value, "state_dict") and hasattr(value, "named_parameters"):
        kind, value = "module", dict(value.state_dict())
    elif hasattr(value, "detach"):
        kind, value = "tensor", value.detach().cpu().numpy()
    elif sparse.issparse(value):
        rows = value.tocsr()
        kind, value = "sparse", [rows.data, rows.indices, rows.indptr, list(value.shape), value.format]
    if isinstance(value, float | np.ndarray | np.generic):  # a float, too: JSON has no infinity
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            return None
        arrays[path] = array
        return {"kind": kind, "key": path}
    if not isinstance(value, list | tuple | dict):
        return None
    named = value if isinstance(value, dict) else {str(n): each for n, each in enumerate(value)}
    parts = {name: _take(each, f"{path}.{name}", arrays) for name, each in named.items()}
    kept = None not in parts.values() and all(isinstance(name, str) for name in parts)
    return {"kind": kind, "parts": parts} if kept else None


def _make(what: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
    kind = what["kind"]
    if kind == "plain":
        return what["value"]
    if "key" in what:
        found = arrays[what["key"]]
        if kind == "tensor":
            import torch

            return torch.from_numpy(np.asarray(found))
        return found if kind == "ndarray" else found.item()
    parts = {name: _make(each, arrays) for name, each in what["parts"].items()}
    if kind == "sparse":
        data, indices, indptr, shape, form = parts.values()
        return sparse.csr_matrix((data, indices, indptr), shape=shape).asformat(form)
    if kind in ("list", "tuple"):
        return (tuple if kind == "tuple" else list)(parts.values())
    return parts
