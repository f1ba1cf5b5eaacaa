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
        if what["kind"] == "module":
            _fill(getattr(model, name), what["names"], name, arrays)
        else:
            setattr(model, name, _make(what, arrays))


def has_modules(state: Mapping[str, Any]) -> bool:
    """Whether the model has networks, which it must have built before they can be filled."""
    return any(what["kind"] == "module" for what in state.values())


def _take(value: Any, path: str, arrays: Arrays) -> Any:
    """What says how to make the value again; None where it is nothing that can be kept."""
    if isinstance(value, float):  # as words: JSON has no infinity
        return {"kind": "float", "value": repr(float(value))}
    if isinstance(value, PLAIN):
        return {"kind": "plain", "value": value}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        arrays[path] = np.asarray(value)
        return {"kind": "array", "key": path}
    if sparse.issparse(value):
        rows = value.tocsr()
        arrays |= {f"{path}.{part}": getattr(rows, part) for part in ("data", "indices", "indptr")}
        return {"kind": "sparse", "key": path, "format": value.format, "shape": list(rows.shape)}
    if isinstance(value, list | tuple):
        parts = [_take(each, f"{path}.{n}", arrays) for n, each in enumerate(value)]
        return None if None in parts else {"kind": type(value).__name__, "parts": parts}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return None
        found = {key: _take(each, f"{path}.{key}", arrays) for key, each in value.items()}
        return None if None in found.values() else {"kind": "dict", "parts": found}
    if hasattr(value, "state_dict") and hasattr(value, "named_parameters"):
        weights = {name: tensor.detach().cpu().numpy() for name, tensor in value.state_dict().items()}
        arrays |= {f"{path}.{name}": tensor for name, tensor in weights.items()}
        return {"kind": "module", "names": list(weights)}
    if hasattr(value, "detach"):
        arrays[path] = value.detach().cpu().numpy()
        return {"kind": "tensor", "key": path}
    return None


def _make(what: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
    kind, key = what["kind"], what.get("key", "")
    if kind == "plain":
        return what["value"]
    if kind == "float":
        return float(what["value"])
    if kind == "array":
        return arrays[key]
    if kind == "sparse":
        parts = tuple(arrays[f"{key}.{part}"] for part in ("data", "indices", "indptr"))
        return sparse.csr_matrix(parts, shape=what["shape"]).asformat(what["format"])
    if kind == "dict":
        return {name: _make(each, arrays) for name, each in what["parts"].items()}
    if kind == "tensor":
        import torch

        return torch.from_numpy(arrays[key])
    made = [_make(each, arrays) for each in what["parts"]]
    return tuple(made) if kind == "tuple" else made


def _fill(module: Any, names: list[str], path: str, arrays: Mapping[str, Any]) -> None:
    import torch

    module.load_state_dict({name: torch.from_numpy(np.asarray(arrays[f"{path}.{name}"])) for name in names})
    module.eval()
