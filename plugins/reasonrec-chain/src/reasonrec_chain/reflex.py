"""Delegate `chain-reflex`: the policy's own experts with fixed weights, without its steps.

It reads the history by the policy's networks and counted links and mixes what they propose by weights that are the
same for every request: nothing is inferred about what is wanted, no weight follows from what is known, and there is
nothing to explain. That makes it a delegate that is close to its policy at a fraction of the time, the first impression
next to the deliberation. With p_e(i) an expert's share of item i,

    score(i) = log sum_e w_e p_e(i)  +  sum_e c_e log(p_e(i) + floor)

which is `reasonrec_chain.gates` with gates that ignore all facts, over the whole catalogue instead of a pool. The
weights are fitted to validation targets, as those of the policy are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reasonrec_chain.devices import one_thread
from reasonrec_chain.fit_gates import Pairs, join, train_gates
from reasonrec_chain.fitting import proposed_pairs
from reasonrec_chain.gates import TINY
from reasonrec_chain.model import ChainModel
from reasonrec_chain.policy import Chain
from reasonrec_chain.pool import Votes, taken
from reasonrec_chain.propose import SEQUENCE, Experts, rows_at_once
from reasonrec_chain.scene import Scene
from reasonrec_core.builtin.profile.evidence import Evidence
from reasonrec_core.builtin.profile.pool import pair_up
from reasonrec_core.components import Delegate, FitData, ReasoningPolicy, Settings, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.files import read_json, write_json
from reasonrec_core.types import Float32, Observation, QueryBatch, Task

WEIGHTS = "weights.json"


class ReflexConfig(Settings):
    """Settings of `Reflex`."""

    experts: tuple[str, ...] | None = Field(
        default=None, description="Experts to ask: sequence, transitions, a modality; empty: all of those."
    )
    pairs: int = Field(10_000, ge=1, description="Validation pairs that the weights are fitted on, at most.")


class Reflex(Delegate[ReflexConfig]):
    """Fixed weights over the experts of a fitted `Chain`; see the module.

    Attributes:
        mixture: float32[E], sums to 1; of the experts in ``names``.
        agreement: float32[E], the exponents c.
        floor: least share of an item in the products.
    """

    Config = ReflexConfig
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.SEQUENTIAL, Task.DIRECT})
    names: tuple[str, ...]
    mixture: Float32
    agreement: Float32
    floor: float

    def __init__(self, config: ReflexConfig) -> None:
        super().__init__(config)
        self._policy: Chain | None = None

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """Get to know the policy.

        Raises:
            PluginError: it is none whose experts could be asked.
        """
        if not isinstance(policy, Chain):
            raise PluginError("chain-reflex answers with the experts of the policy chain", fix="Use both, or neither.")
        self._policy = policy

    def fit(self, data: FitData) -> None:
        """Fit the weights to ``data.valid``; without it all experts count alike.

        Raises:
            ConfigError: an expert that the policy has not.
        """
        policy = self._attached
        experts = policy.model.experts
        known = tuple(name for name in (SEQUENCE, *(link.name for link in experts.links)) if name in experts.names)
        for name in self.config.experts or ():
            if name not in known:
                raise ConfigError(
                    f"the policy has no expert {name!r}", where="experts", fix=f"Experts: {', '.join(known)}."
                )
        self.names = tuple(name for name in known if name in (self.config.experts or known))
        if not self.names:
            raise ConfigError("no experts to ask", where="experts", fix=f"Name some of: {', '.join(known)}.")
        self.mixture = np.full(len(self.names), 1 / len(self.names), np.float32)
        self.agreement, self.floor = np.zeros(len(self.names), np.float32), 0.1 / len(data.catalog)
        if data.valid is None or not len(data.valid.targets):
            return
        targets = pair_up(data.valid, data.observation.horizon, self.config.pairs, data.seed)
        found = join(list(proposed_pairs(policy.config, data, experts, targets)))
        columns = [experts.names.index(name) for name in self.names]
        bare = Pairs(found.shares[:, columns], found.ratios[:, :0], found.facts, found.allowed, found.target)
        gates = train_gates(bare, policy.config.gates, "static", len(data.catalog), data.seed)
        weights = gates.base.detach().numpy().astype(np.float64)
        e = len(self.names)
        odds = np.exp(weights[:e] - weights[:e].max())
        self.mixture = (odds / odds.sum()).astype(np.float32)
        self.agreement = weights[e : 2 * e].astype(np.float32)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: see the module. Items of the history have no share of their own."""
        policy = self._attached
        model = policy.seeing(observation)
        scene = model.experts.scene(observation)
        size, made = rows_at_once(scene.n_items), np.empty((len(batch), scene.n_items), np.float32)
        evidence = Evidence.of(batch.history, policy.config.counted.max_history)
        with one_thread(len(batch) <= size):
            states = self._states(model, evidence, scene)
            for start, piece in batch.chunks(size):
                rows = slice(start, start + len(piece))
                part = evidence.slice(start, start + len(piece))
                self._combined(model.experts, piece, part, None if states is None else states[rows], scene, made[rows])
        return pick_candidates(made, batch)

    def _states(self, model: ChainModel, evidence: Evidence, scene: Scene) -> Float32 | None:
        return model.experts.sequence.states(evidence, scene.tables) if SEQUENCE in self.names else None

    def _combined(
        self,
        experts: Experts,
        batch: QueryBatch,
        evidence: Evidence,
        states: Float32 | None,
        scene: Scene,
        out: Float32,
    ) -> None:
        """Write float32[B, n_items] scores of one chunk into ``out``."""
        size, n = out.shape
        own = taken(batch, n)
        links = {link.name: (found, link) for found, link in zip(scene.links, experts.links, strict=True)}
        agreed: Float32 = np.zeros((size, n), np.float32)
        out.fill(TINY)
        with scene.room(size) as room:
            for name, weight, exponent in zip(self.names, self.mixture, self.agreement, strict=True):
                share = room.array(0, size, n)
                if name == SEQUENCE:
                    assert states is not None
                    scene.logits(states, share)
                    share.reshape(-1)[own] = -np.inf
                    _softmax(share)
                else:
                    found, link = links[name]
                    totals = Votes.of(found, link.fade, evidence, own, share).totals
                    share *= np.divide(np.float32(1), totals, out=np.zeros_like(totals), where=totals > 0)[:, None]
                out += weight * share
                if exponent:
                    share += np.float32(self.floor)
                    np.log(share, out=share)
                    share *= exponent
                    agreed += share
        np.log(out, out=out)
        out += agreed

    @property
    def _attached(self) -> Chain:
        if self._policy is None:
            raise PluginError("chain-reflex needs the policy chain", fix='Set name = "chain" under [policy].')
        return self._policy

    def save(self, folder: Path) -> None:
        """Write the weights; the experts are saved with the policy."""
        super().save(folder)
        values = {"mixture": self.mixture.tolist(), "agreement": self.agreement.tolist(), "floor": self.floor}
        write_json(folder / WEIGHTS, {"names": list(self.names), **values})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote; the policy is attached afterwards."""
        self = super().load(folder, catalog)
        stored = read_json(folder / WEIGHTS)
        self.names, self.floor = tuple(stored["names"]), float(stored["floor"])
        self.mixture = np.array(stored["mixture"], np.float32)
        self.agreement = np.array(stored["agreement"], np.float32)
        return self


def _softmax(logits: npt.NDArray[np.float32]) -> None:
    """Turn float32[B, n] logits into shares, in place; -inf has none."""
    top = logits.max(axis=1, initial=-np.inf)
    logits -= np.where(np.isfinite(top), top, np.float32(0))[:, None]
    np.exp(logits, out=logits)
    logits /= np.maximum(logits.sum(axis=1), np.float32(1e-30))[:, None]
