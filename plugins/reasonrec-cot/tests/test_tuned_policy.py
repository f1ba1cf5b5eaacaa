"""The suite that every policy passes, for a tuned one: soft tokens, head, decision, kept, loaded, a grown catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner
from pydantic import ValidationError
from reasonrec_cot.config import CotConfig
from reasonrec_cot.tuning.command import tune
from tuning_shop import SMALL

from reasonrec_core.cli.run import run_command
from reasonrec_core.testing import PolicyConformance
from reasonrec_core.types import StepKind


@pytest.mark.slow
class TestTuned(PolicyConformance):
    component = "cot"
    steps: ClassVar = frozenset({StepKind.OBSERVE, StepKind.DECIDE})

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, llama: Path) -> None:
        cls.settings = {
            "backbone": {"model": str(llama), "device": "cpu", "precision": "float32", "layers": 1},
            "prompt": {"history": 4, "history_text": "none"},
            "shortlist": {"size": 6, "sources": ["popularity", "transitions"]},
            "answer": "head",
            "tuning": {**SMALL, "steps": 3, "validations": 1},
        }


def test_the_head_needs_tuning() -> None:
    with pytest.raises(ValidationError, match="needs a tuned model"):
        CotConfig.model_validate({"answer": "head"})


@pytest.mark.slow
def test_reasonrec_tune_keeps_what_a_run_goes_on_with(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    rows = ["user_id,item_id,timestamp"]
    rows += [f"u{user},i{(user * 7 + step) % 25},{step}" for user in range(30) for step in range(9)]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "interactions.csv").write_text("\n".join(rows) + "\n")
    items = ["item_id,title", *(f"i{n},Thing number {n}" for n in range(25))]
    (tmp_path / "shop" / "items.csv").write_text("\n".join(items) + "\n")
    settings = {"steps": 4, "validations": 1, "batch_tokens": 900, "dimensions": 8, "collaborative": 4}
    tuning = "\n".join(f"{name} = {value}" for name, value in settings.items())
    (tmp_path / "p.toml").write_text(f"""
        name = "tuned"
        [data]
        path = "shop"
        [policy]
        name = "cot"
        answer = "head"
        [policy.backbone]
        model = "{llama}"
        device = "cpu"
        precision = "float32"
        [policy.shortlist]
        size = 6
        [policy.tuning]
        {tuning}
        [[delegates]]
        name = "transitions"
        [evaluate]
        faithfulness = 0
        resamples = 100
        latency_sample = 2
    """)
    where = [str(tmp_path / "p.toml"), "--out", str(tmp_path / "run")]
    found = CliRunner().invoke(tune, where, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    for what in ("among candidates", "among listed candidates", "about clicks"):
        assert f"Decision {what}, 30 validation requests" in found.output
    tuned = next((tmp_path / "run").rglob("adapter_model.safetensors"))
    written = tuned.stat().st_mtime_ns
    found = CliRunner().invoke(run_command, [*where, "--json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    assert tuned.stat().st_mtime_ns == written
    assert "cot" in json.loads(found.stdout)["systems"]
