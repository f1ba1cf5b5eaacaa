"""Whether a fall in hits can be foreseen without test labels: what benchmarks/routing.py tried for calibration.

*EM*: the rate of hits among test queries, from their confidences alone (Saerens, Latinne and Decaestecker, 2002).
*Backtest*: a cheap delegate is fitted without each user's last training event and asked for it, and then for the event
after it, which is the validation target; by how much the log-odds of its hits fall from the first to the second is
taken off the policy's. Both use nothing that is not known before the first test query is answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from routing_answers import TOP, Bank
from scipy.special import expit, logit

from reasonrec_core.components import Delegate, Kind
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.registry import Registry
from reasonrec_core.routing import CalibrationQuality, Logistic
from reasonrec_core.types import Cases, History

SIGNALS = ("evidence-horizon", "entropy", "margin", "stated-confidence")
ROUNDS = 500


def shifted(bank: Bank, surrogates: Sequence[str]) -> dict[str, Any]:
    """`CalibrationQuality` on test of the policy's confidence, as fitted to validation and moved in each way."""
    known = {p: np.stack([bank.signals(p)[n].total for n in SIGNALS], axis=1).astype(float) for p in ("valid", "test")}
    hit = {
        p: (bank.ranking(bank.policy, p, TOP).items == bank.cases(p).targets[:, None]).any(axis=1)
        for p in ("valid", "test")
    }
    stated = Logistic.fit(SIGNALS, known["valid"], hit["valid"], 0)(known["test"])
    ways = {"as fitted": 0.0} | {f"backtest of {name}": backtest(bank, name) for name in surrogates}
    made = {name: (by, expit(logit(stated) + by)) for name, by in ways.items()}
    rate, moved = float(hit["valid"].mean()), stated
    for _ in range(ROUNDS):
        odds = moved.mean() / (1 - moved.mean()) * (1 - rate) / rate
        moved = expit(logit(stated) + np.log(odds))
    made["EM"] = (float(np.log(odds)), moved)
    by = float(logit(hit["test"].mean()) - logit(rate))
    facts = {}
    for name, (by, p) in made.items():
        facts[name] = {"by": by, "mean": float(p.mean()), **CalibrationQuality.of(p, hit["test"]).model_dump()}
    return {"ways": facts, "in truth": by}


def backtest(bank: Bank, name: str) -> float:
    """By how much the log-odds of a delegate's hits rise from one event after its training to the second."""
    fit, valid = bank.bench.fit, bank.cases("valid")
    history = valid.queries.history
    some = np.flatnonzero(history.lengths >= 2)
    valid = valid.take(some)
    history, users = valid.queries.history, valid.queries.users
    last = np.searchsorted(fit.train.users, users, side="right") - 1
    kept = np.ones(len(fit.train), np.bool_)
    kept[last] = False
    shorter = np.ones(len(history.items), np.bool_)
    shorter[history.indptr[1:] - 1] = False
    before = History(history.indptr - np.arange(len(history) + 1), history.items[shorter], history.times[shorter])
    targets = fit.train.items[last]
    first = Cases(replace(valid.queries, history=before), np.arange(len(users) + 1, dtype=np.int64), targets)
    train = fit.train.take(kept)
    horizon = EvidenceHorizonScale.fit(np.bincount(train.users, minlength=fit.n_users).astype(np.int64))
    seen = replace(fit.observation, horizon=horizon(first.queries))
    delegate = Registry.discover().create(Kind.DELEGATE, name, {})
    assert isinstance(delegate, Delegate)
    delegate.fit(replace(fit, train=train, valid=first, observation=seen, horizon=horizon))
    rates = []
    for cases in (first, valid):
        found = [
            delegate.recommend(piece, replace(fit.observation, horizon=horizon(piece))).items
            for _, piece in replace(cases.queries, k=TOP).chunks(256)
        ]
        rates.append(float((np.concatenate(found) == cases.targets[:, None]).any(axis=1).mean()))
    return float(logit(rates[1]) - logit(rates[0]))
