"""What `chain` learned, kept together."""

from __future__ import annotations

from dataclasses import dataclass, field

from reasonrec_profile.api import AFFINITY, POPULARITY, ProfileModel

from reasonrec_chain.config import ChainConfig
from reasonrec_chain.escape import Escape
from reasonrec_chain.gates import Gates
from reasonrec_chain.labels import LabelSets
from reasonrec_chain.propose import SEQUENCE, Experts
from reasonrec_chain.sequence import SequenceModel
from reasonrec_chain.strength import Strength
from reasonrec_core.types import Float64


@dataclass(frozen=True)
class ChainModel:
    """All that was learned.

    Attributes:
        counted: the experts and fields that are counted.
        experts: who is asked.
        gates: how they are weighed.
        report: how fitting went: training epochs, gates on unseen validation pairs.
        escape: how likely the next item is outside the pool.
        strength: on how much evidence an answer rests; None where that was not trained.
        unseen: float64[P], `fit_gates.Fitted.unseen`; None after loading, and without validation data.
    """

    counted: ProfileModel
    experts: Experts
    gates: Gates
    report: dict[str, object] = field(default_factory=dict)
    unseen: Float64 | None = None
    escape: Escape = field(default_factory=Escape)
    strength: Strength | None = None


def expert_names(config: ChainConfig, counted: ProfileModel) -> tuple[str, ...]:
    """The experts to ask, in order: the sequence, the item-to-item ones, affinity, popularity."""
    every = (SEQUENCE, *(link.name for link in counted.experts), AFFINITY, POPULARITY)
    return every if config.experts is None else tuple(name for name in every if name in config.experts)


def make_experts(
    config: ChainConfig, counted: ProfileModel, sequence: SequenceModel, trust: tuple[float, ...]
) -> Experts:
    """The experts that the settings ask for."""
    names = expert_names(config, counted)
    return Experts(
        sequence,
        tuple(link for link in counted.experts if link.name in names),
        counted.popularity,
        tuple(LabelSets.of(each) for each in counted.fields),
        names,
        config.gates.depth,
        trust,
    )
