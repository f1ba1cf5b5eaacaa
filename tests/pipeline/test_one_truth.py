"""Online answers, evaluation and replay decide alike, over every row and every kind of router; fit reads no test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reasonrec_datasets.synth import SynthConfig, make_catalogue
from reasonrec_trace import open_trace
from reasonrec_trace.config import TraceConfig
from reasonrec_trace.replay_router import decide, recorded_router
from reasonrec_trace.reporter import TraceReporter
from reasonrec_trace.trace_arrays import read_recorded

from reasonrec_core.config import check_config
from reasonrec_core.pipeline import EvaluatedRun
from reasonrec_core.pipeline import run as runs
from reasonrec_core.pipeline.evaluate import evaluate_task
from reasonrec_core.pipeline.prepare import Prepared, prepare
from reasonrec_core.pipeline.run import FittedRun, fit_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.routing import Decisions
from reasonrec_core.types import Task

from .conftest import shop_pipeline, silent

BEFORE, AFTER = {"stage": "before"}, {"stage": "after"}
DEFERRAL = {"kind": "deferral", "overhead": 1.0}
KINDS: dict[str, dict[str, object]] = {
    "threshold, a share, before": {"share": 0.2, **BEFORE},
    "threshold, a share, after": {"share": 0.35, **AFTER},
    "threshold, a risk, before": {"risk": 0.1386, **BEFORE},
    "threshold, a risk, after": {"risk": 0.13, **AFTER},
    "deferral": {"share": 0.4, **DEFERRAL, **BEFORE, "answer_features": "all"},
    "deferral, after": {"share": 0.4, **DEFERRAL, **AFTER, "answer_features": "all"},
    "deferral, without features of answers": {"share": 0.4, **DEFERRAL, **BEFORE, "answer_features": "none"},
    "cascade": {"kind": "cascade", "share": 0.4, **BEFORE, "overhead": 1.0},
    "risk-control": {"kind": "risk-control", "risk": 0.3, **BEFORE, "answer_features": "all"},
}
BESIDE: dict[str, dict[str, object]] = {
    "": {},
    "consult": {"consult": 0.5},
    "abstain": {"abstain": 0.2},
    "selective risk": {"selective_risk": 0.74, "consult": 0.5},
}
SURE = {"cascade": 0.68}
"""Another selective risk for a kind whose answers are so sure that 0.74 holds none of them back."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "data"
    make_catalogue(folder, SynthConfig(users=250, items=40, image_size=32), silent)
    return folder


class Unreadable:
    """Test queries, while nobody may look at them."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"fit reads the test part: {name}")

    def __len__(self) -> int:
        raise AssertionError("fit counts the test part")


def without_test(prepared: Prepared) -> Prepared:
    """The same data, its test part unreadable."""
    hidden = {task: replace(split, test=Unreadable()) for task, split in prepared.splits.items()}
    return replace(prepared, split=replace(prepared.split, test=Unreadable()), splits=hidden)


@pytest.fixture(scope="module")
def fitted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, object]], FittedRun]:
    """A pipeline whose router is another one, fitted without its test part; components are fitted once."""
    folder, registry = tmp_path_factory.mktemp("run") / "run", Registry.discover()

    def fit(router: dict[str, object]) -> FittedRun:
        listed = ["evidence-horizon", "entropy", "margin"]
        tree = shop_pipeline(data, router, uncertainty=listed, policy="toy-consulting")
        seen: list[Prepared] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runs, "prepare", lambda *each: seen.append(prepare(*each)) or without_test(seen[0]))
            found = fit_pipeline(check_config(tree, "shop.toml"), folder, registry, silent)
        with pytest.raises(AssertionError, match="fit reads the test part"):
            evaluate_task(found.prepared, found.agent, Task.SEQUENTIAL)
        return replace(found, prepared=seen[0])

    return fit


def evaluated(found: FittedRun) -> tuple[Decisions, Path]:
    """The decisions of the evaluation, and where its trace is."""
    one = evaluate_task(found.prepared, found.agent, Task.SEQUENTIAL)
    folder = found.prepared.run.path
    TraceReporter(TraceConfig()).export(EvaluatedRun(found.prepared, found.agent, (one,), None))
    assert one.routed is not None
    return one.routed, folder / "trace.parquet"


def same(a: Decisions, b: Decisions, exactly: bool = True) -> None:
    """Every decision alike, in every part."""
    for part in ("route", "who"):
        np.testing.assert_array_equal(getattr(a, part), getattr(b, part), part)
    for part in ("risk", "confidence"):
        np.testing.assert_allclose(getattr(a, part), getattr(b, part), rtol=0 if exactly else 1e-5, err_msg=part)
    assert list(a.reason) == list(b.reason)


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("kind", KINDS)
def test_online_evaluation_and_replay_decide_alike_and_fit_reads_no_test_query(
    kind: str, beside: str, fitted: Callable[[dict[str, object]], FittedRun]
) -> None:
    more = BESIDE[beside] | ({"selective_risk": SURE[kind]} if kind in SURE and "selective" in beside else {})
    found = fitted({**KINDS[kind], **more})
    routed, trace = evaluated(found)
    assert len(set(routed.route)) > 1, "the test needs requests that go different ways"
    assert routed.abstained.any() == bool({"abstain", "selective_risk"} & more.keys())
    if beside == "consult" and "share" in KINDS[kind]:  # a risk is kept by replacing all that would be consulted on
        assert routed.consulted.any()
    recorded = read_recorded(open_trace(trace))
    again = decide(recorded, recorded_router(recorded)).decisions
    assert again is not None
    same(routed, again)
    np.testing.assert_array_equal(recorded.routes, routed.route)
    np.testing.assert_array_equal(recorded.delegates, routed.who)
    assert [record.reason for record in open_trace(trace).records()] == list(routed.reason)
    queries = found.prepared.cases(Task.SEQUENTIAL, "test").queries
    same(routed, found.agent.act(queries).decisions, exactly=False)
    for row in range(0, len(queries), 5):
        one = found.agent.act(queries.take(np.array([row]))).decisions
        for part in ("route", "who", "reason"):
            assert getattr(one, part)[0] == getattr(routed, part)[row], (row, part)
        np.testing.assert_allclose(one.risk[0], routed.risk[row], rtol=1e-5)
        np.testing.assert_allclose(one.confidence[0], routed.confidence[row], rtol=1e-5)
