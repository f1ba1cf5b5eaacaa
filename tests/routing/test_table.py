"""The risk table: who is low, medium and high risk."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from reasonrec_core.routing import Router, RouterConfig
from reasonrec_core.types import Route, Uncertainty

SIZE = 3000


@pytest.mark.parametrize("stage", ["before", "after"])
def test_the_table_sends_low_risk_away_and_consults_on_high_risk(stage: str) -> None:
    rng = np.random.default_rng(0)
    horizon, doubt = rng.random(SIZE), rng.random(SIZE)
    known = {
        "evidence-horizon": Uncertainty(horizon.astype(np.float32), "before"),
        "entropy": Uncertainty(doubt.astype(np.float32), "before" if stage == "before" else "after"),
    }
    hit = rng.random(SIZE) < 0.9 - 0.8 * doubt
    quality = hit.astype(float)
    config = {
        "kind": "table",
        "share": 0.15,
        "stage": stage,
        "consult": 0.7,
        "estimators": ["evidence-horizon", "entropy"],
    }
    router = Router(RouterConfig.model_validate(config))
    router.calibrate(known, quality, {"quick": rng.permuted(quality)}, hit, np.arange(SIZE))
    routes = np.array(list(router.decide(known, np.arange(SIZE)).route))
    gone, asked = routes == Route.REPLACE, routes == Route.CONSULT
    assert gone.mean() == pytest.approx(0.15, abs=0.01)
    assert horizon[gone].max() < 0.3
    assert doubt[gone].max() < 0.6, "half of those with a low horizon, the confident half"
    assert horizon[asked].min() > 0.7
    assert asked.mean() == pytest.approx(0.15, abs=0.02)
    assert doubt[asked].min() > 0.4
    again = Router.from_dict(json.loads(json.dumps(router.to_dict())))
    assert list(again.decide(known, np.arange(SIZE)).route) == routes.tolist()
    assert list(again.decide(known).reason)[int(np.flatnonzero(gone)[0])].startswith(
        "quick answers: evidence-horizon 0."
    )
    assert router.at_share(0.05, known).replace(known).mean() == pytest.approx(0.05, abs=0.01)


def test_a_table_keeps_no_risk() -> None:
    with pytest.raises(ValidationError, match="no risk to keep"):
        RouterConfig(kind="table", risk=0.1)
