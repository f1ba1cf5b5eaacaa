"""The systems of benchmarks/routing.py, and what they answer to every validation and test query: asked once, kept.

A piece is a system's answers to a part, ``ranked/SYSTEM/PART.npz`` (items int32[B, 51], scores float32[B, 51]; of the
policy also the signals of every estimator, its own probability of a hit and the pool's mass), or a fitted component.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from profile_policy import Bench, prepare

from reasonrec_core.components import Component, Delegate, Kind, ReasoningPolicy, UncertaintyEstimator
from reasonrec_core.pipeline.fit import needs_policy
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, Ranking, Uncertainty

DELEGATES = ("popularity", "transitions", "implicit-als", "implicit-itemknn", "lightgbm-rank")
STUDENT = "distilled"
"""Learns from the policy, so it is fitted after it."""
PROFILE = "profile"
"""A policy, asked like a delegate: how far a delegate that is close would carry."""
POLICY = "chain"
ESTIMATORS = ("evidence-horizon", "entropy", "margin", "stated-confidence", "evidential")
DEPTH, TOP, CHUNK = 51, 10, 256
PARTS = ("valid", "test")


@dataclass
class Bank:
    """One data set: its queries, and where answers are kept.

    Attributes:
        bench: the data set, divided and observed.
        folder: where pieces lie.
        given: the command line.
    """

    bench: Bench
    folder: Path
    given: argparse.Namespace

    @classmethod
    def of(cls, given: argparse.Namespace, name: str) -> Bank:
        """Prepared from the command line."""
        place = name if given.policy == POLICY else f"{name} {given.policy}"
        return cls(prepare(name, given.data, given.cache, 0), given.work / place, given)

    @property
    def policy(self) -> str:
        """The policy that routers choose against."""
        return str(self.given.policy)

    @property
    def systems(self) -> tuple[str, ...]:
        """All that have been asked: the policy first."""
        there = {path.name for path in (self.folder / "ranked").iterdir()}
        return tuple(label for label in (self.policy, *DELEGATES, STUDENT, PROFILE) if label in there)

    def cases(self, part: str) -> Cases:
        """The queries of a part."""
        return getattr(self.bench.split, part)  # type: ignore[no-any-return]

    def horizon(self, part: str) -> np.ndarray:
        """float32[B]: evidence horizon of a part's queries."""
        return self.bench.horizon(self.cases(part).queries)

    @cached_property
    def popularity(self) -> np.ndarray:
        """int64[n_items]: training interactions."""
        return np.bincount(self.bench.split.train.items, minlength=self.bench.dataset.n_items).astype(np.int64)

    def arrays(self, system: str, part: str) -> dict[str, np.ndarray]:
        """A piece."""
        with np.load(self.folder / "ranked" / system / f"{part}.npz", allow_pickle=False) as saved:
            return dict(saved)

    def ranking(self, system: str, part: str, width: int) -> Ranking:
        """A system's answers."""
        kept = self.arrays(system, part)
        return Ranking(kept["items"][:, :width], kept["scores"][:, :width])

    def masses(self, part: str, width: int) -> np.ndarray:
        """float32[B, width]: P(next item) of the policy's items; the scores of `chain` are that."""
        kept = self.arrays(self.policy, part)
        return np.asarray(kept.get("masses", kept["scores"])[:, :width], np.float32)

    def signals(self, part: str) -> dict[str, Uncertainty]:
        """Every estimator's values."""
        stages = {"evidence-horizon": "before"}
        kept = self.arrays(self.policy, part)
        there = [name for name in ESTIMATORS if f"total:{name}" in kept]
        return {n: Uncertainty(kept[f"total:{n}"], stages.get(n, "after")) for n in there}

    def component(self, system: str) -> Component[Any]:
        """A fitted component, loaded or fitted now and kept."""
        policy = system in (self.policy, PROFILE)
        kind, registry = Kind.POLICY if policy else Kind.DELEGATE, Registry.discover()
        folder, catalog = self.folder / "fitted" / system, self.bench.dataset.catalog
        if system == self.policy and self.given.fitted is not None:
            folder = self.given.fitted
        if (folder / "done").exists() or folder == self.given.fitted:
            return self.attached(registry.load(kind, system).load(folder, catalog))
        part = self.attached(registry.create(kind, system, {}))
        folder.mkdir(parents=True, exist_ok=True)
        make = lambda label: registry.create(Kind.DELEGATE, label, {})  # noqa: E731
        part.fit(replace(self.bench.fit, seed=self.given.seed, delegate=make))
        part.save(folder)
        unseen = part.model.unseen if system == self.policy else None  # type: ignore[attr-defined]
        if unseen is not None:
            np.savez(folder / "unseen.npz", gains=unseen)
        (folder / "done").touch()
        return part

    def held_out(self) -> np.ndarray | None:
        """float64[B]: NDCG@10 of the policy on validation by gates that were fitted on other queries; None if unknown.

        Written by benchmarks/chain.py beside the fitted policy, or here in it.
        """
        folder = self.given.fitted or self.folder / "fitted" / self.policy
        found = [path for path in (folder / "unseen.npz", folder.parent / "unseen.npz") if path.exists()]
        gains = np.load(found[0])["gains"] if found else np.zeros(0)
        if len(gains) != len(self.cases("valid")):
            return None
        return np.where(gains >= 1 / np.log2(TOP + 1) - 1e-12, gains, 0.0)

    def attached(self, part: Component[Any]) -> Component[Any]:
        """The same, knowing the policy if it asks for it."""
        if needs_policy(type(part)):
            part.attach(self.component(self.policy))  # type: ignore[attr-defined]
        return part

    def answer(self, system: str) -> None:
        """Ask one system everything, unless that was done."""
        folder = self.folder / "ranked" / system
        if all((folder / f"{part}.npz").exists() for part in PARTS):
            return
        started = time.perf_counter()
        asked = self.asking(self.component(system), system)
        fitted = time.perf_counter() - started
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            batch = replace(self.cases(part).queries, k=DEPTH)
            pieces = [asked(piece) for _, piece in batch.chunks(CHUNK)]
            whole: dict[str, Any] = {k: np.concatenate([p[k] for p in pieces]) for k in pieces[0]}
            np.savez(folder / f"{part}.npz", **whole)
        print(f"{self.bench.name}: {system}, fitted {fitted:.0f} s, {time.perf_counter() - started:.0f} s", flush=True)

    def asking(self, part: Component[Any], system: str) -> Callable[[Any], Mapping[str, np.ndarray]]:
        """What is kept of a batch's answers."""
        bench = self.bench
        if isinstance(part, Delegate):

            def ask(batch: Any) -> dict[str, np.ndarray]:
                found = part.recommend(batch, bench.observe(batch))
                return {"items": found.items, "scores": found.scores}

            return ask
        assert isinstance(part, ReasoningPolicy)
        policy, estimators = part, fitted_estimators(self, part) if system == self.policy else {}

        def deliberate(batch: Any) -> dict[str, np.ndarray]:
            seen = bench.observe(batch)
            answer = policy.deliberate(batch, seen)
            assert answer.ranking is not None
            assert answer.mass is not None
            listed = {"items": answer.ranking.items, "scores": answer.ranking.scores}
            short = replace(answer, ranking=answer.ranking.head(TOP + 1), mass=answer.mass[:, : TOP + 1])
            said = {n: e.estimate(batch, seen, None if e.stage == "before" else short) for n, e in estimators.items()}
            listed |= {f"total:{name}": value.total for name, value in said.items()}
            return listed | {"masses": answer.mass, "mass": np.clip(answer.mass[:, :TOP].sum(axis=1), 0.0, 1.0)}

        return deliberate


def fitted_estimators(bank: Bank, policy: ReasoningPolicy[Any]) -> dict[str, UncertaintyEstimator[Any]]:
    """All estimators, as a run would fit them."""
    made: dict[str, UncertaintyEstimator[Any]] = {}
    for name in ESTIMATORS if bank.policy == POLICY else ESTIMATORS[:-1]:
        estimator = Registry.discover().create(Kind.UNCERTAINTY, name, {})
        assert isinstance(estimator, UncertaintyEstimator)
        estimator.attach(policy)
        estimator.fit(bank.bench.fit)
        made[name] = estimator
    return made


def quality(ranking: Ranking, cases: Cases) -> tuple[np.ndarray, np.ndarray]:
    """float64[B] NDCG@10 and bool[B] HR@10 of queries with one target; ties above the target count against."""
    place = np.full(len(cases), TOP)
    for start in range(0, len(cases), 4096):
        rows = slice(start, start + 4096)
        items, scores = ranking.items[rows, : TOP + 1], ranking.scores[rows, : TOP + 1]
        same = items == cases.targets[rows, None]
        own = np.where(same, scores, -np.inf).max(axis=1)
        above = (scores >= own[:, None]).sum(axis=1) - 1
        place[rows] = np.where(same.any(axis=1), above, TOP)
    hit = place < TOP
    return np.where(hit, 1 / np.log2(place + 2.0), 0.0), hit
