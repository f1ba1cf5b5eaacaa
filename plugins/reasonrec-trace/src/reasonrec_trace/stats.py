"""A trace in figures: who answered, why, how sure, how well, at what price; over all and by evidence horizon."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.evaluate.significance import horizon_quartiles
from reasonrec_core.routing import FEATURE
from reasonrec_core.types import Float64, Route
from reasonrec_trace.costs import summarise_known
from reasonrec_trace.reader import TraceFile
from reasonrec_trace.replay_router import as_recorded, compute_quality
from reasonrec_trace.trace_arrays import Recorded, read_recorded

Bool = npt.NDArray[np.bool_]


def statistics(file: TraceFile) -> dict[str, Any]:
    """The figures as JSON values; what is not known is None.

    Keys: ``run``, ``task``, ``decisions``, ``users``, ``hashed``; ``all`` and ``routes``, ``horizon`` (lists), each a
    group with ``n``, ``share`` (of all decisions), ``delegated`` (share of the group), ``confidence`` and ``risk``
    (means), ``quality`` (means by metric), ``latency`` (seconds: mean, p50, p95, n), ``tokens`` (mean per decision);
    ``reasons`` (how often each stands, numbers left out); ``uncertainty`` by estimator (mean, p10, p90, and the means
    of its parts).
    """
    head = file.header
    names = [name for name in (head.quality, head.hit) if name]
    found = read_recorded(file, names)
    values = {name: compute_quality(found, as_recorded(found), name) for name in names} if len(found) else {}
    everyone = np.ones(len(found), np.bool_)
    quarters, code = horizon_quartiles(found.lengths)
    groups = [(str(name), code == i) for i, name in enumerate(quarters) if (code == i).any()]
    ways = sorted({*zip(found.routes.tolist(), found.delegates.tolist(), strict=True)})
    return {
        "run": head.name,
        "task": str(head.task),
        "decisions": len(found),
        "users": len(np.unique(found.users[found.users >= 0])),
        "hashed": list(head.hashed),
        "all": _group(found, values, everyone),
        "routes": [
            {"route": route, "delegate": delegate or None}
            | _group(found, values, (found.routes == route) & (found.delegates == delegate))
            for route, delegate in ways
        ],
        "reasons": _reasons(file),
        "horizon": [{"history": name} | _group(found, values, rows) for name, rows in groups],
        "uncertainty": {
            name: _parts(u.total, u.epistemic, u.aleatoric)
            for name, u in found.signals.items()
            if not name.startswith(FEATURE)
        },
    }


def _group(found: Recorded, values: dict[str, Float64], rows: Bool) -> dict[str, Any]:
    numbers = {name: column[rows] for name, column in found.numbers.items()}
    delegated = found.routes[rows] == str(Route.REPLACE)
    return {
        "n": int(rows.sum()),
        "share": float(rows.mean()) if len(rows) else None,
        "delegated": float(delegated.mean()) if len(delegated) else None,
        "confidence": _mean(numbers["confidence"]),
        "risk": _mean(numbers["risk"]),
        "quality": {name: mean for name, column in values.items() if (mean := _mean(column[rows])) is not None},
        "latency": summarise_known(numbers["latency"]),
        "tokens": _mean(numbers["tokens"]),
    }


def _reasons(file: TraceFile) -> list[dict[str, Any]]:
    """Reasons up to their first colon, where the numbers of the request begin; the most frequent first."""
    counts: Counter[str] = Counter()
    for table in file.tables(["reason"]):
        counts.update(str(reason).split(":")[0] for reason in table.column("reason").to_pylist())
    return [{"reason": reason, "n": n} for reason, n in counts.most_common()]


def _parts(total: Any, epistemic: Any, aleatoric: Any) -> dict[str, float | None]:
    values = np.asarray(total, np.float64)
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, [0.1, 0.9]) if len(known) else (np.nan, np.nan)
    return {
        "mean": _mean(values),
        "p10": None if np.isnan(low) else float(low),
        "p90": None if np.isnan(high) else float(high),
        "epistemic": None if epistemic is None else _mean(np.asarray(epistemic, np.float64)),
        "aleatoric": None if aleatoric is None else _mean(np.asarray(aleatoric, np.float64)),
    }


def _mean(values: Float64) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
