"""Saving and loading what `chain` learned, without torch: safetensors, arrays as ``.npz`` without objects, JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from reasonrec_profile.api import read_model, write_model
from reasonrec_torch.encoder_arrays import take_under
from reasonrec_torch.item_features import name_projections, read_projections
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from reasonrec_chain.config import ChainConfig
from reasonrec_chain.delegate_experts import load_delegates, save_delegates
from reasonrec_chain.evidential import EvidenceStrength
from reasonrec_chain.gating import Gates
from reasonrec_chain.model import ChainModel, Consulting, make_experts
from reasonrec_chain.network_arrays import NetworkArrays
from reasonrec_chain.out_of_pool import OutOfPool
from reasonrec_chain.sequence import SequenceModel
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError
from reasonrec_core.io import read_json, whole_file, write_json
from reasonrec_core.types import Float32

NETWORK, GATES, STRENGTH, CONSULTING = "network", "gates.", "strength.", "consulting."
CONSULTED = "consulted"
"""The folder of delegates that are consulted."""


def write_chain(model: ChainModel, folder: Path) -> None:
    """Write ``counted/``, delegates, ``chain.safetensors`` and ``chain.json`` into ``folder``."""
    (folder / "counted").mkdir(exist_ok=True)
    write_model(model.counted, folder / "counted")
    sequence = model.experts.sequence
    tensors: dict[str, Float32] = {}
    for m, network in enumerate(sequence.networks):
        tensors |= {f"{NETWORK}{m}.{name}": value for name, value in network.tensors.items()}
    tensors |= {GATES + name: value for name, value in model.gates.tensors.items()}
    if model.strength is not None:
        tensors |= {STRENGTH + name: value for name, value in model.strength.tensors.items()}
    if (added := model.consulting) is not None:
        tensors |= {CONSULTING + name: value for name, value in added.gates.tensors.items()}
    trained = len(sequence.networks[0].tensors["items.ids"])  # items that came later have nothing to keep
    tensors["counts"] = sequence.counts[:trained]
    tensors |= name_projections(sequence.views)
    with whole_file(folder / "chain.safetensors") as aside:
        save_file({name: np.array(value, order="C") for name, value in tensors.items()}, aside)
    stored = {
        "modalities": [view.modality for view in sequence.views],
        "gates": _describe(model.gates),
        "trust": list(model.experts.trust),
        "delegates": save_delegates(model.experts.delegates, folder),
        "out_of_pool": model.out_of_pool.to_dict(),
        "report": model.report,
    }
    if added is not None:
        stored["consulting"] = {
            "gates": _describe(added.gates),
            "delegates": save_delegates(added.delegates, folder / CONSULTED),
            "out_of_pool": added.out_of_pool.to_dict(),
        }
    write_json(folder / "chain.json", stored)


def _describe(gates: Gates) -> dict[str, Any]:
    return {"kind": gates.kind, "experts": gates.experts, "fields": gates.fields}


def read_chain(config: ChainConfig, folder: Path, catalog: Catalog) -> ChainModel:
    """Read what `write_chain` wrote, for a catalogue that may have grown.

    Raises:
        DataError: a file is missing, damaged or of another kind.
    """
    stored = read_json(folder / "chain.json")
    counted = read_model(folder / "counted")
    try:
        tensors = load_file(folder / "chain.safetensors")
        sequence = _sequence(config, tensors, stored["modalities"], counted)
        gates = Gates(**stored["gates"], tensors=take_under(GATES, tensors))
        strength = EvidenceStrength(known) if (known := take_under(STRENGTH, tensors)) else None
        trust, report = tuple(float(t) for t in stored["trust"]), dict(stored["report"])
        out_of_pool = OutOfPool.from_dict(stored["out_of_pool"])
        delegates = load_delegates(stored.get("delegates", []), folder, catalog)
        experts = make_experts(config, counted, sequence, trust, delegates)
        model = ChainModel(counted, experts, gates, report, out_of_pool=out_of_pool, strength=strength)
        if (added := stored.get("consulting")) is not None:
            delegates = load_delegates(added["delegates"], folder / CONSULTED, catalog)
            own = Gates(**added["gates"], tensors=take_under(CONSULTING, tensors))
            model = replace(model, consulting=Consulting(delegates, own, OutOfPool.from_dict(added["out_of_pool"])))
        for each in (model, model.consulted):
            fields = len(each.experts.labels)
            if (each.gates.experts, each.gates.fields, len(trust)) != (len(each.experts.names), fields, fields):
                raise ValueError("the gates belong to other experts or fields")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"is not a saved chain ({reason})", where=str(folder), fix="Fit again.") from error
    return model


def _sequence(config: ChainConfig, tensors: dict[str, Float32], modalities: list[str], counted: Any) -> SequenceModel:
    networks = tuple(
        NetworkArrays(config.network, take_under(f"{NETWORK}{m}.", tensors)) for m in range(config.network.members)
    )
    trained = tensors["counts"]
    counts = np.concatenate([trained, np.zeros(len(counted.popularity) - len(trained), np.float32)])
    return SequenceModel(networks, read_projections(modalities, tensors), counts, counted.fields)
