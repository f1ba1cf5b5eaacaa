"""Delegate `chain-reflex`: the policy's own experts, weighed at a glance, without its steps.

It reads the history by the policy's networks and counted links and mixes what they propose. Nothing is inferred about
what is wanted, experts are not compared with each other, no pool is made, and there is nothing to explain. That makes
it a delegate that is close to its policy in about half its time (benchmarks/results/routing.md): the first impression
next to the deliberation.
With p_e(i) an expert's share of item i,

    score(i) = sum_e w_e(x) p_e(i) * prod_e (p_e(i) + floor)^c_e(x)

which is `reasonrec_chain.gating` over the whole catalogue, with gates of less: x is the evidence horizon, how much
evidence each expert has, and how sure its best item is. They are fitted to validation targets, as those of the policy
are. Scores are masses rather than their logarithms: how much there is, and how far the best is above the rest, tells a
router how sure the answer is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from reasonrec_profile.api import HistoryWeights, sample_target_pairs
from reasonrec_torch.devices import one_thread
from safetensors.torch import load_file, save_file

from reasonrec_chain.fit_gating import GatePairs, join_pairs, train_gates
from reasonrec_chain.fitting import propose_pairs
from reasonrec_chain.gating import TINY, Gates, GateWeights, predict_weights
from reasonrec_chain.item_cache import ItemCache
from reasonrec_chain.model import ChainModel
from reasonrec_chain.policy import Chain
from reasonrec_chain.pool import ExpertVotes, find_history_places
from reasonrec_chain.propose import SEQUENCE, Experts, choose_chunk_size
from reasonrec_core.components import Delegate, FitData, ReasoningPolicy, Settings, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.io import read_json, whole_file, write_json
from reasonrec_core.types import Bool, Float32, Observation, QueryBatch, Task

GATES, EXPERTS = "gates.safetensors", "experts.json"


class ChainReflexConfig(Settings):
    """Settings of `ChainReflex`."""

    experts: tuple[str, ...] | None = Field(
        default=None, description="Experts to use: sequence, transitions, a modality; empty: all of these."
    )
    pairs: int = Field(10_000, ge=1, description="Most validation pairs that the gates are fitted on.")
    kind: Literal["static", "linear", "hidden"] = Field(
        "hidden", description="Gates: the same for every request, linear in their input, or with a hidden layer."
    )


class ChainReflex(Delegate[ChainReflexConfig]):
    """The experts of a fitted `Chain` under gates of less; see the module.

    Attributes:
        names: E experts.
        gates: of 2 + 2 E facts.
    """

    Config = ChainReflexConfig
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.SEQUENTIAL, Task.DIRECT})
    names: tuple[str, ...]
    gates: Gates

    def __init__(self, config: ChainReflexConfig) -> None:
        super().__init__(config)
        self._policy: Chain | None = None

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """Get to know the policy.

        Raises:
            PluginError: it is none whose experts could be asked.
        """
        if not isinstance(policy, Chain):
            raise PluginError("chain-reflex needs the experts of the policy chain", fix="Use both, or neither.")
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
            raise ConfigError(
                "there are no experts to use", where="experts", fix=f"Name some of these: {', '.join(known)}."
            )
        valid = data.valid if data.valid is not None and len(data.valid.targets) else None
        if valid is None:
            self.gates = self._ungated(len(data.catalog)).eval()
            return
        targets = sample_target_pairs(valid, data.observation.horizon, self.config.pairs, data.seed)
        found = join_pairs(list(propose_pairs(policy.config, data, experts, targets)))
        every, at = len(experts.names), [experts.names.index(name) for name in self.names]
        seen = found.facts[
            :, [0, 1, *(2 + e for e in at), *(2 + every + e for e in at)]
        ]  # in the order of `compute_facts`
        bare = GatePairs(found.shares[:, at], found.ratios[:, :0], seen, found.allowed, found.target)
        self.gates = train_gates(bare, policy.config.gates, self.config.kind, len(data.catalog), data.seed)

    def refit(self, data: FitData) -> Self:
        """The same weights, which validation chose, for the experts of a policy that was fitted again."""
        again = type(self)(self.config)
        again.names, again.gates = self.names, self.gates
        return again

    def _ungated(self, n_items: int) -> Gates:
        """Gates that have learned nothing."""
        e, config = len(self.names), self._attached.config.gates
        return Gates(e, 0, 2 + 2 * e, self.config.kind, config.hidden, config.dropout, 0.1 / max(n_items, 1))

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: see the module. Items of the history have no share of their own."""
        policy = self._attached
        model = policy.seeing(observation)
        cache = model.experts.cache_items(observation)
        size, made = choose_chunk_size(cache.n_items), np.empty((len(batch), cache.n_items), np.float32)
        evidence = HistoryWeights.of(batch.history, policy.config.counted.max_history)
        with one_thread(len(batch) <= size):
            states = self._states(model, evidence, cache)
            if len(batch) <= size:
                self._combined(model.experts, batch, evidence, states, cache, observation.horizon, made)
                return pick_candidates(made, batch)
            for start, piece in batch.chunks(size):
                rows = slice(start, start + len(piece))
                part = evidence.slice(start, start + len(piece))
                own = None if states is None else states[rows]
                self._combined(model.experts, piece, part, own, cache, observation.horizon[rows], made[rows])
        return pick_candidates(made, batch)

    def _states(self, model: ChainModel, evidence: HistoryWeights, cache: ItemCache) -> Float32 | None:
        return model.experts.sequence.states(evidence, cache.tables) if SEQUENCE in self.names else None

    def _combined(
        self,
        experts: Experts,
        batch: QueryBatch,
        evidence: HistoryWeights,
        states: Float32 | None,
        cache: ItemCache,
        horizon: Float32,
        out: Float32,
    ) -> None:
        """Write float32[B, n_items] scores of one chunk into ``out``."""
        size, n = out.shape
        own = find_history_places(batch, n)
        links = {link.name: (found, link) for found, link in zip(cache.links, experts.links, strict=True)}
        totals, surest = np.zeros((2, size, len(self.names)), np.float32)
        with cache.workspace(size) as workspace:
            shares = [workspace.array(e, size, n) for e in range(len(self.names))]
            for e, (name, share) in enumerate(zip(self.names, shares, strict=True)):
                if name == SEQUENCE:
                    assert states is not None
                    cache.logits(states, share)
                    share.reshape(-1)[own] = -np.inf
                    totals[:, e] = _softmax(share)
                else:
                    found, link = links[name]
                    totals[:, e] = ExpertVotes.of(found, link.fade, evidence, own, share).totals
                surest[:, e] = share.max(axis=1, initial=0.0)
            is_votes = np.array([name != SEQUENCE for name in self.names])
            normalisers = np.divide(np.float32(1), totals, out=np.ones_like(totals), where=is_votes & (totals > 0))
            weighed = self._weights(horizon, totals, surest * normalisers)
            self._mix(shares, is_votes, normalisers, weighed, out)

    def _mix(
        self, shares: list[Float32], is_votes: Bool, normalisers: Float32, weighed: GateWeights, out: Float32
    ) -> None:
        """Write the scores of one chunk.

        Most items have links to nothing in a history, so only the sequence's share is looked at everywhere.

        Args:
            shares: per expert float32[B, n_items], the sequence's shares or others' votes.
            is_votes: bool[E], whose are votes.
            normalisers: float32[B, E], what makes votes shares.
            weighed: how much each expert counts.
            out: float32[B, n_items].
        """
        mixture, agreement, floor = weighed.experts * normalisers, weighed.agreement, np.float32(self.gates.floor)
        at = np.flatnonzero(np.logical_or.reduce([shares[e] > 0 for e in np.flatnonzero(is_votes).tolist()]))
        row = at // out.shape[1]
        mixed, agreed = np.full(len(at), TINY, np.float32), np.zeros(len(at), np.float32)
        for e, share in enumerate(shares):
            there = share.reshape(-1).take(at)
            mixed += mixture[row, e] * there
            agreed += agreement[row, e] * np.log(there * normalisers[row, e] + floor)
        silent = agreement[:, is_votes].sum(axis=1, keepdims=True) * np.log(floor)
        if is_votes.all():
            out[:] = TINY * np.exp(silent)
        else:
            e = self.names.index(SEQUENCE)
            np.multiply(shares[e], mixture[:, e, None], out=out)
            out += np.float32(TINY)
            product = np.add(shares[e], floor, out=shares[e])
            np.log(product, out=product)
            product *= agreement[:, e, None]
            product += silent
            out *= np.exp(product, out=product)
        out.reshape(-1)[at] = mixed * np.exp(agreed)

    def _weights(self, horizon: Float32, totals: Float32, surest: Float32) -> GateWeights:
        """Mixture and exponents of B queries."""
        h, known = horizon[:, None].astype(np.float32), np.sign(totals) * np.log1p(np.abs(totals))
        facts = np.concatenate([h, h * h, known, np.log(np.maximum(surest, 1e-8))], axis=1).astype(np.float32)
        return predict_weights(self.gates, facts)

    @property
    def _attached(self) -> Chain:
        if self._policy is None:
            raise PluginError("chain-reflex needs the policy chain", fix='Set name = "chain" under [policy].')
        return self._policy

    def save(self, folder: Path) -> None:
        """Write the gates; the experts are saved with the policy."""
        super().save(folder)
        stored = {name: value.contiguous() for name, value in self.gates.state_dict().items()}
        with whole_file(folder / GATES) as aside:
            save_file(stored, aside)
        write_json(folder / EXPERTS, {"names": list(self.names), "hidden": self._attached.config.gates.hidden})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote; the policy is attached afterwards."""
        self = super().load(folder, catalog)
        stored = read_json(folder / EXPERTS)
        self.names, e = tuple(stored["names"]), len(stored["names"])
        tensors = load_file(folder / GATES)
        with torch.random.fork_rng(devices=[]):  # gates are made at random before they are filled
            self.gates = Gates(e, 0, 2 + 2 * e, self.config.kind, stored["hidden"], 0.0, float(tensors["floor"])).eval()
        # A dropout layer has no parameters: gates without one hold the same tensors.
        self.gates.load_state_dict(tensors)
        return self


def _softmax(logits: Float32) -> Float32:
    """Turn float32[B, n] logits into shares, in place; -inf has none. float32[B]: log of the sum of exponentials."""
    top = logits.max(axis=1, initial=-np.inf)
    top = np.where(np.isfinite(top), top, np.float32(0))
    logits -= top[:, None]
    np.exp(logits, out=logits)
    total = logits.sum(axis=1) + np.float32(1e-30)
    logits /= total[:, None]
    return np.asarray(np.log(total) + top, np.float32)
