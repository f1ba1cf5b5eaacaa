"""Which forms of `chain` are compared: one change from the default each. Imported by `benchmarks/chain.py`."""

from __future__ import annotations

from typing import Any

NO_SEQUENCE = ["transitions", "text", "image", "affinity", "popularity"]
STEPS: dict[str, dict[str, Any]] = {
    "full": {},
    "sequence alone": {"experts": ["sequence"]},
    "transitions and text": {"experts": ["transitions", "text"]},
    "sequence, transitions and text": {"experts": ["sequence", "transitions", "text"]},
    "without sequence": {"experts": NO_SEQUENCE},
    "without transitions": {"experts": ["sequence", "text", "image", "affinity", "popularity"]},
    "without content experts": {"experts": ["sequence", "transitions", "affinity", "popularity"]},
    "without affinity": {"experts": ["sequence", "transitions", "text", "image", "popularity"]},
    "intent not supervised": {"network": {"intent_weight": 0.0}},
    "gates by likelihood": {"gates": {"likelihood": 100.0}},
    "linear gates": {"gates": {"hidden": 0}},
    "no ids": {"network": {"ids": False}},
    "ids hidden 0.3": {"network": {"hidden_ids": 0.3}},
    "order of ties kept": {"training": {"shuffle_ties": False}},
    "three networks": {"network": {"members": 3}},
}
ENCODERS: dict[str, dict[str, Any]] = {
    "frequency filter": {"network": {"filter_share": 1.0}},
    "attention and filter": {"network": {"filter_share": 0.5}},
    "two refinements": {"network": {"refinements": 2}},
    "one layer": {"network": {"layers": 1}},
    "dropout 0.2": {"network": {"dropout": 0.2}},
    "dropout 0.1": {"network": {"dropout": 0.1}},
}
LOSSES: dict[str, dict[str, Any]] = {
    "sampled softmax": {"training": {"loss": "sampled"}},
    "label smoothing 0.1": {"training": {"smoothing": 0.1}},
}
WARM = {"kind": "three-phase", "borders": [1.0, 1.0], "thresholds": [0.7, 1.0], "mixing": 0.0}
"""The first phase of a curriculum, all the way: nobody is learned from whose evidence horizon is 0.7 or more."""
CURRICULA: dict[str, dict[str, Any]] = {
    "warm users only": {"curriculum": WARM},
    "three-phase": {"curriculum": {"kind": "three-phase"}},
    "competence": {"curriculum": {"kind": "competence"}},
    "truncation": {"curriculum": {"kind": "truncation"}},
}
SASREC: dict[str, Any] = {
    "experts": ["sequence"],
    "counted": {"fields": []},
    "network": {"modalities": [], "intent_weight": 0.0, "hidden_ids": 0.0},
    "training": {"loss": "sampled", "negatives": 256, "shuffle_ties": False},
}
BASELINES: dict[str, dict[str, Any]] = {
    "SASRec, sampled softmax": SASREC,
    "SASRec, sampled softmax, dropout 0.2": {**SASREC, "network": {**SASREC["network"], "dropout": 0.2}},
}
"""Ids and the order of the items alone, with 256 sampled negatives: what eSASRec (RecSys 2025) found to be strong."""
VARIANTS: dict[str, dict[str, Any]] = {**STEPS, **ENCODERS, **LOSSES, **CURRICULA, **BASELINES}
WITHOUT: dict[str, tuple[str, ...]] = {
    "without text": ("text",),
    "without image": ("image",),
    "without text and image": ("text", "image"),
}
"""Features that nothing may see, and with ``text`` the label fields, too: what is left is ids."""
SAME_NETWORK = {name for name, changed in VARIANTS.items() if not {"network", "training", "curriculum"} & {*changed}}
"""Forms that differ from the default after training: they take its network over, where it was kept."""
