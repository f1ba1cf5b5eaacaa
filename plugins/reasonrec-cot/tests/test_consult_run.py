"""Consulting in a run: delegates' lists reach the model's second turn, and without a gain nobody is consulted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from local_server import serving
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.prompting.consult import HEAD

from reasonrec_core.config import check_config
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry

USERS = 30


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log without any rule."""
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    generator, lines = np.random.default_rng(1), ["user_id,item_id,timestamp"]
    for user in range(USERS):
        for place, item in enumerate(generator.permutation(9)[:5].tolist()):
            lines.append(f"u{user},p{item},{place}")
    path = tmp_path / "shop.csv"
    path.write_text("\n".join(lines))
    return path


def test_a_run_asks_again_on_validation_and_never_where_that_gains_nothing(
    shop: Path, llama: Path, backbone: Backbone, tmp_path: Path
) -> None:
    with serving(backbone) as server:
        policy = {
            "name": "cot", "answer": "label", "backbone": {"model": str(llama)}, "server": {"url": server.url},
            "shortlist": {"size": 3}, "prompt": {"history": 3},
        }  # fmt: skip
        tree = {
            "name": "asking", "data": {"path": str(shop)}, "policy": policy,
            "delegates": [{"name": "transitions", "search": False}, {"name": "popularity"}],
            "router": {"share": 0.0, "consult": 0.01},
            "evaluate": {"tasks": ["sequential"], "k": [3], "resamples": 200, "latency_sample": 2, "faithfulness": 0},
        }  # fmt: skip
        config = check_config(tree, "asking.toml")
        found = run_pipeline(config, tmp_path / "run", Registry.discover(), lambda *_: None).to_dict()
        told = [backbone.tokenizer.decode(body["prompt"]) for body in server.asked]
    again = [text for text in told if HEAD in text]
    tried = found["routing"]["validation"]["consult"]
    assert tried["queries"] == len(again) == USERS
    assert all("transitions: " in text and "popularity: " in text for text in again)
    assert tried["used"] is False, "a model that knows nothing gains nothing by listening"
    assert found["routing"]["consulted"] == 0.0
    assert "consult" not in found["systems"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "That is not a clear gain, so no delegate is consulted." in page
