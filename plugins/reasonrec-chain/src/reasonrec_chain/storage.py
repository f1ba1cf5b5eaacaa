"""Saving and loading what `chain` learned: tensors as safetensors, arrays as ``.npz`` without objects, JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_profile.api import read_model, write_model
from reasonrec_torch.feature_projection import FeatureProjection, make_item_tensors
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from reasonrec_chain.config import ChainConfig
from reasonrec_chain.evidential import EvidenceStrength
from reasonrec_chain.gating import Gates
from reasonrec_chain.model import ChainModel, make_experts
from reasonrec_chain.network import Network
from reasonrec_chain.out_of_pool import OutOfPool
from reasonrec_chain.sequence import SequenceModel
from reasonrec_core.errors import DataError
from reasonrec_core.io import read_json, whole_file, write_json
from reasonrec_core.types import Float32, Observation

NETWORK, GATES, STRENGTH = "network", "gates.", "strength."


def write_chain(model: ChainModel, folder: Path) -> None:
    """Write ``counted/``, ``chain.safetensors`` and ``chain.json`` into ``folder``."""
    (folder / "counted").mkdir(exist_ok=True)
    write_model(model.counted, folder / "counted")
    sequence = model.experts.sequence
    tensors: dict[str, torch.Tensor] = {}
    for m, network in enumerate(sequence.networks):
        tensors |= {f"{NETWORK}{m}.{name}": value for name, value in network.state_dict().items()}
    tensors |= {GATES + name: value for name, value in model.gates.state_dict().items()}
    if model.strength is not None:
        tensors |= {STRENGTH + name: value for name, value in model.strength.state_dict().items()}
    trained = len(sequence.networks[0].items.ids)  # items that came later have nothing to keep
    tensors["counts"] = torch.from_numpy(sequence.counts[:trained])
    for v, view in enumerate(sequence.views):
        tensors |= {f"view{v}.mean": torch.from_numpy(view.mean), f"view{v}.basis": torch.from_numpy(view.basis)}
    with whole_file(folder / "chain.safetensors") as aside:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, aside)
    stored = {
        "modalities": [view.modality for view in sequence.views],
        "gates": {"kind": model.gates.kind, "experts": model.gates.experts, "fields": model.gates.fields},
        "trust": list(model.experts.trust),
        "out_of_pool": model.out_of_pool.to_dict(),
        "report": model.report,
    }
    write_json(folder / "chain.json", stored)


def read_chain(config: ChainConfig, folder: Path) -> ChainModel:
    """Read what `write_chain` wrote.

    Raises:
        DataError: a file is missing, damaged or of another kind.
    """
    stored = read_json(folder / "chain.json")
    counted = read_model(folder / "counted")
    try:
        tensors = load_file(folder / "chain.safetensors")
        with torch.random.fork_rng(devices=[]):  # networks are made at random before they are filled
            sequence = _sequence(config, tensors, stored["modalities"], counted)
            gates = _gates(config, tensors, stored["gates"])
            strength = _strength(config, tensors)
        trust, report = tuple(float(t) for t in stored["trust"]), dict(stored["report"])
        out_of_pool = OutOfPool(**{name: float(value) for name, value in stored["out_of_pool"].items()})
        experts = make_experts(config, counted, sequence, trust)
        fields = len(experts.labels)
        if (gates.experts, gates.fields, len(trust)) != (len(experts.names), fields, fields):
            raise ValueError("the gates belong to other experts or fields")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"is not a saved chain ({reason})", where=str(folder), fix="Fit again.") from error
    return ChainModel(counted, experts, gates, report, out_of_pool=out_of_pool, strength=strength)


def _sequence(
    config: ChainConfig, tensors: dict[str, torch.Tensor], modalities: list[str], counted: Any
) -> SequenceModel:
    views = tuple(
        FeatureProjection(m, tensors[f"view{v}.mean"].numpy(), tensors[f"view{v}.basis"].numpy())
        for v, m in enumerate(modalities)
    )
    memberships = tuple(field.membership for field in counted.fields)
    trained: Float32 = tensors["counts"].numpy()
    nothing = Observation({}, {}, np.zeros(0, np.float32))
    inputs = make_item_tensors(trained, views, tuple(m[: len(trained)] for m in memberships), nothing)
    priors, networks = tuple(torch.from_numpy(f.prior) for f in counted.fields), []
    for m in range(config.network.members):
        network = Network(config.network, inputs, priors)
        network.load_state_dict(_under(f"{NETWORK}{m}.", tensors))
        networks.append(network.eval())
    n_items = len(counted.popularity)
    counts = np.concatenate([trained, np.zeros(n_items - len(trained), np.float32)])
    return SequenceModel(tuple(networks), views, counts, counted.fields)


def _gates(config: ChainConfig, tensors: dict[str, torch.Tensor], stored: dict[str, Any]) -> Gates:
    own = _under(GATES, tensors)
    gates = Gates(
        stored["experts"], stored["fields"], len(own["mean"]), stored["kind"],
        config.gates.hidden, config.gates.dropout, float(own["floor"]),
    )  # fmt: skip
    gates.load_state_dict(own)
    return gates.eval()


def _strength(config: ChainConfig, tensors: dict[str, torch.Tensor]) -> EvidenceStrength | None:
    own = _under(STRENGTH, tensors)
    if not own:
        return None
    strength = EvidenceStrength(len(own["mean"]), config.evidence.hidden)
    strength.load_state_dict(own)
    return strength.eval()


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
