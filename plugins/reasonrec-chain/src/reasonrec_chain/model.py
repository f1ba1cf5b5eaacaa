"""What `chain` learned, kept together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from reasonrec_profile.api import AFFINITY, POPULARITY, ProfileModel

from reasonrec_chain.config import ChainConfig
from reasonrec_chain.delegate_experts import DelegateExpert
from reasonrec_chain.evidential import EvidenceStrength
from reasonrec_chain.gating import Gates
from reasonrec_chain.label_sets import LabelSets
from reasonrec_chain.out_of_pool import OutOfPool
from reasonrec_chain.propose import SEQUENCE, Experts
from reasonrec_chain.sequence import SequenceModel
from reasonrec_core.types import Float64


@dataclass(frozen=True)
class Consulting:
    """What is added where delegates are consulted.

    Attributes:
        delegates: that join the experts, as the last of them.
        gates: how all of them are weighed.
        out_of_pool: how likely the next item is outside the pool, which is another with their items.
    """

    delegates: tuple[DelegateExpert, ...]
    gates: Gates
    out_of_pool: OutOfPool = field(default_factory=OutOfPool)


@dataclass(frozen=True)
class ChainModel:
    """All that was learned.

    Attributes:
        counted: the experts and fields that are counted.
        experts: who is asked.
        gates: how they are weighed.
        report: how fitting went: training epochs, gates on unseen validation pairs.
        out_of_pool: how likely the next item is outside the pool.
        strength: on how much evidence an answer rests; None where that was not trained.
        unseen: float64[P], `fit_gating.Fitted.unseen`; None after loading, and without validation data.
        consulting: where delegates are consulted; None where none is named, or none ranks unseen pairs better.
    """

    counted: ProfileModel
    experts: Experts
    gates: Gates
    report: dict[str, object] = field(default_factory=dict)
    unseen: Float64 | None = None
    out_of_pool: OutOfPool = field(default_factory=OutOfPool)
    strength: EvidenceStrength | None = None
    consulting: Consulting | None = None

    @property
    def consulted(self) -> ChainModel:
        """The model that decides again: the same parts, with the consulted delegates among the experts."""
        added = self.consulting
        if added is None:
            return self  # nothing tells what their word is worth
        experts = self.experts.with_delegates(added.delegates)
        return replace(
            self, experts=experts, gates=added.gates, out_of_pool=added.out_of_pool, strength=None, consulting=None
        )


def list_experts(config: ChainConfig, counted: ProfileModel) -> tuple[str, ...]:
    """Its own experts to ask, in order: the sequence, the item-to-item ones, affinity, popularity.

    All of them where the settings name none of them.
    """
    every = (SEQUENCE, *(link.name for link in counted.experts), AFFINITY, POPULARITY)
    return tuple(name for name in every if name in (config.experts or ())) or every


def list_delegates(config: ChainConfig, counted: ProfileModel) -> tuple[str, ...]:
    """The names in the settings that are no experts of its own: delegates of the pipeline."""
    every = (SEQUENCE, *(link.name for link in counted.experts), AFFINITY, POPULARITY)
    return tuple(name for name in dict.fromkeys(config.experts or ()) if name not in every)


def make_experts(
    config: ChainConfig,
    counted: ProfileModel,
    sequence: SequenceModel,
    trust: tuple[float, ...],
    delegates: tuple[DelegateExpert, ...] = (),
) -> Experts:
    """The experts that the settings ask for, with delegates that are fitted."""
    names = list_experts(config, counted)
    return Experts(
        sequence,
        tuple(link for link in counted.experts if link.name in names),
        counted.popularity,
        tuple(LabelSets.of(each) for each in counted.fields),
        (*names, *(each.name for each in delegates)),
        config.gates.depth,
        trust,
        delegates,
    )
