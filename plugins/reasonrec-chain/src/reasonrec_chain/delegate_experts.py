"""Experts from anywhere: delegates whose scores become shares, and whose best items join the pool.

A delegate's scores have any unit: a softmax makes them probabilities, at the temperature under which unseen validation
targets are likeliest. Each delegate is fitted twice, with a different half of the validation users to choose epochs or
learn from; the gates are fitted to what each says of the other half, so that they weigh nobody by targets that it has
seen. The first of the two answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from reasonrec_profile.api import HistoryWeights, TargetPairs, sample_target_pairs

from reasonrec_chain.pool import find_history_places
from reasonrec_chain.sequence import select_history
from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, ReasonRecError
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, Float32, Float64, Observation, QueryBatch

FOLDER = "delegates"
JUDGED = 1000
"""Validation pairs that a temperature is fitted to."""
CHUNK = 250
WIDEST = 12.0
"""Logarithm of how far a temperature may lie from the spread of the scores."""


@dataclass(frozen=True)
class DelegateExpert:
    """A fitted delegate that proposes.

    Attributes:
        name: what the settings call it: its label in the pipeline.
        delegate: fitted.
        temperature: of the softmax over its scores.
    """

    name: str
    delegate: Delegate[Any]
    temperature: float = 1.0
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def logits(self, batch: QueryBatch, evidence: HistoryWeights, observation: Observation) -> Float32:
        """float32[B, n]: scores / temperature of the whole catalogue, of B queries.

        The delegate sees no entry of the history but those that count.
        """
        asked = replace(batch, history=select_history(evidence), candidates=None)
        if self.delegate.thread_safe:
            scores = self.delegate.score(asked, observation)
        else:
            with self._lock:
                scores = self.delegate.score(asked, observation)
        return np.asarray(scores, np.float32) / np.float32(self.temperature)


def make_delegate(name: str, data: FitData, where: str = "experts") -> Delegate[Any]:
    """The pipeline's delegate of that label, unfitted; ``where`` is the setting that names it.

    Raises:
        ConfigError: there is none, or it answers with parts of the policy that would ask it.
    """
    called = "expert" if where == "experts" else "delegate"
    try:
        made = None if data.delegate is None else data.delegate(name)
    except ReasonRecError as error:
        raise ConfigError(f"there is no {called} {name!r}", where=where, fix=error.fix) from error
    if made is None:
        raise ConfigError(f"there is no {called} {name!r}, and no delegates can be asked here", where=where)
    if type(made).attach is not Delegate.attach:
        what = f"the delegate {name!r} learns from the policy, so the policy cannot ask it"
        raise ConfigError(what, where=where, fix="Name other delegates.")
    return made


@dataclass(frozen=True)
class GateFold:
    """Validation pairs, and delegates that have not seen them.

    Attributes:
        delegates: fitted; none where the settings name none.
        targets: the pairs.
    """

    delegates: tuple[DelegateExpert, ...]
    targets: TargetPairs


def fit_folds(names: Sequence[str], data: FitData, most: int) -> tuple[GateFold, ...]:
    """At most ``most`` validation pairs, in two folds where delegates are named; the first fold's answer later on."""
    if not names:
        return (GateFold((), draw_targets(data, most)),)
    folds = []
    for part in (0, 1):
        delegates = fit_delegates(names, _keep_half(data, part), part)
        targets = draw_unseen_targets(data, most, part)
        folds.append(GateFold(fit_temperatures(delegates, targets, data.observation), targets))
    return tuple(folds)


def draw_targets(data: FitData, most: int) -> TargetPairs:
    """At most ``most`` validation pairs."""
    assert data.valid is not None
    return sample_target_pairs(data.valid, data.observation.horizon, most, data.seed)


def draw_unseen_targets(data: FitData, most: int, part: int) -> TargetPairs:
    """At most half of ``most`` validation pairs, of the users that the delegates of fold ``part`` have not seen."""
    return draw_targets(_keep_half(data, 1 - part), -(-most // 2))


def _keep_half(data: FitData, part: int) -> FitData:
    """The data with the validation queries of one half of the users."""
    assert data.valid is not None
    rows = split_cases(data.valid, data.seed)[part]
    return replace(data, valid=data.valid.take(rows), observation=data.observation.take(rows))


def split_cases(cases: Cases, seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The rows of two halves, drawn by user; a query without a user is one of its own."""
    users = cases.queries.users.astype(np.int64)
    _, group = np.unique(np.where(users < 0, -2 - np.arange(len(users)), users), return_inverse=True)
    half = np.random.default_rng(seed).permutation(int(group.max(initial=-1)) + 1)[group] % 2
    return np.flatnonzero(half == 0), np.flatnonzero(half == 1)


def fit_delegates(names: Sequence[str], data: FitData, part: int) -> tuple[DelegateExpert, ...]:
    """Delegates fitted with the validation queries that ``data`` has; ``part`` tells their checkpoints apart."""
    found = []
    for name in names:
        made = make_delegate(name, data)
        workdir = None if data.workdir is None else data.workdir / f"{FOLDER}-{part}" / name
        if workdir is not None:
            workdir.mkdir(parents=True, exist_ok=True)
        made.fit(replace(data, workdir=workdir))
        found.append(DelegateExpert(name, made))
    return tuple(found)


def refit_delegates(experts: Sequence[DelegateExpert], data: FitData) -> tuple[DelegateExpert, ...]:
    """The same delegates, fitted to ``data.train`` with what validation chose for them; temperatures stay."""
    return tuple(replace(expert, delegate=expert.delegate.refit(data)) for expert in experts)


def fit_temperatures(
    experts: Sequence[DelegateExpert], targets: TargetPairs, observation: Observation
) -> tuple[DelegateExpert, ...]:
    """The same delegates, each with the temperature under which pairs that it has not seen are likeliest."""
    some = targets.take(np.arange(min(len(targets), JUDGED)))
    return tuple(replace(each, temperature=_find_temperature(each, some, observation)) for each in experts)


def _find_temperature(expert: DelegateExpert, targets: TargetPairs, observation: Observation) -> float:
    """By bounded search over its logarithm; 1 where there is nothing to judge by."""
    from scipy.optimize import minimize_scalar  # half a second, which answering need not wait for

    pieces: list[tuple[Float32, npt.NDArray[np.intp]]] = []
    for start in range(0, len(targets), CHUNK):
        piece = targets.take(np.arange(start, min(start + CHUNK, len(targets))))
        history = piece.queries.history
        seen = Observation(observation.features, observation.present, piece.horizon)
        evidence = HistoryWeights.of(history, len(history.items))
        scores = replace(expert, temperature=1.0).logits(piece.queries, evidence, seen)
        scores.reshape(-1)[find_history_places(replace(piece.queries, candidates=None), scores.shape[1])] = -np.inf
        pieces.append((scores, piece.targets.astype(np.intp)))
    known = np.concatenate([scores[np.isfinite(scores)] for scores, _ in pieces]) if pieces else np.zeros(0)
    spread = float(known.std()) if len(known) else 0.0
    if not spread > 0:
        return 1.0

    def cost(log_temperature: float) -> float:
        scale = np.float32(np.exp(-log_temperature) / spread)
        return float(np.concatenate([_surprise(scores * scale, wanted) for scores, wanted in pieces]).mean())

    return spread * float(np.exp(minimize_scalar(cost, bounds=(-WIDEST, WIDEST), method="bounded").x))


def _surprise(logits: Float32, wanted: npt.NDArray[np.intp]) -> Float64:
    """float64[B]: minus the log of the softmax's share of the wanted items; at most 50."""
    top = np.nan_to_num(logits.max(axis=1, keepdims=True), neginf=0.0)
    total = np.log(np.exp(logits - top).sum(axis=1) + 1e-30) + top[:, 0]
    return np.asarray(np.minimum(total - logits[np.arange(len(logits)), wanted], 50), np.float64)


def save_delegates(experts: Sequence[DelegateExpert], folder: Path) -> list[dict[str, Any]]:
    """Write them below ``folder``; what is returned says how to read them."""
    notes = []
    registry = Registry.discover() if experts else None
    for number, expert in enumerate(experts):
        assert registry is not None
        place = folder / FOLDER / str(number)
        place.mkdir(parents=True, exist_ok=True)
        expert.delegate.save(place)
        name = registry.find_name(expert.delegate)
        notes.append({"name": expert.name, "component": name, "temperature": expert.temperature})
    return notes


def load_delegates(notes: Sequence[dict[str, Any]], folder: Path, catalog: Catalog) -> tuple[DelegateExpert, ...]:
    """Read what `save_delegates` wrote, for a catalogue that may have grown."""
    if not notes:
        return ()
    registry, found = Registry.discover(), []
    for number, note in enumerate(notes):
        component = registry.load(Kind.DELEGATE, str(note["component"]))
        made = component.load(folder / FOLDER / str(number), catalog)
        found.append(DelegateExpert(str(note["name"]), made, float(note["temperature"])))
    return tuple(found)
