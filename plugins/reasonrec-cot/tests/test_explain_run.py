"""Explanations as a task of a run: asked, judged next to retrieved ones, reported with intervals."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from reasonrec_explain.metrics import measure_overlap

from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError, DataError, PluginError
from reasonrec_core.pipeline.agent import Named
from reasonrec_core.pipeline.evaluate import judge_explanations
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry

AFTER = ("a week", "one day", "a long month", "some years")
SYSTEMS = {"cot", "similar-user", "common-phrases"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with reviews: what is praised depends on the item."""
    generator, lines = np.random.default_rng(1), ["user_id,item_id,timestamp,review"]
    for user in range(40):
        for place, item in enumerate(generator.permutation(8)[:5].tolist()):
            said = f"The {chr(97 + item) * 4} of it works as well as I hoped it would after {AFTER[user % 4]}"
            lines.append(f"u{user},p{item},{place},{said}")
    path = tmp_path_factory.mktemp("shop") / "shop.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def settings(path: Path, llama: Path, **changes: Any) -> dict[str, Any]:
    backbone = {"model": str(llama), "device": "cpu", "precision": "float32"}
    policy = {"name": "cot", "backbone": backbone, "explanations": "consensus", "shortlist": {"size": 3}}
    return {
        "name": "words", "data": {"path": str(path)}, "policy": policy,
        "evaluate": {"tasks": ["explain"], "k": [3], "resamples": 200, "latency_sample": 2, "faithfulness": 5},
        **changes,
    }  # fmt: skip


def run(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    return run_pipeline(check_config(tree, "words.toml"), folder, Registry.discover(), lambda *_: None).to_dict()


def test_a_run_says_how_good_explanations_are(shop: Path, llama: Path, tmp_path: Path) -> None:
    found = run(settings(shop, llama), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == json.loads(json.dumps(found))
    assert set(found["systems"]) == SYSTEMS
    for values in found["systems"].values():
        for name in ("ROUGE-L", "BLEU-4", "Verified"):
            assert values[name]["low"] <= values[name]["value"] <= values[name]["high"]
    assert found["systems"]["cot"]["Verified"]["value"] == 1
    assert {(row["b"], row["metric"]) for row in found["comparisons"] if row["a"] == "cot"} == {
        (other, metric) for other in SYSTEMS - {"cot"} for metric in ("ROUGE-L", "BLEU-4")
    }
    said = {name: pq.read_table(tmp_path / "run" / "users" / f"explain-{name}.parquet") for name in SYSTEMS}
    texts = said["cot"].column("text").to_pylist()
    assert len(texts) == 40
    assert all(" of it works as well" in text for text in texts)
    per_query = said["cot"].column("ROUGE-L").to_numpy()
    assert per_query.mean() == pytest.approx(found["systems"]["cot"]["ROUGE-L"]["value"])
    assert measure_overlap(texts, texts).rouge_l == pytest.approx(100), "what was kept is what was said"
    assert said["cot"].column("reference").to_pylist() == said["similar-user"].column("reference").to_pylist()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "BLEU-4" in page
    assert "similar-user" in page
    assert not (tmp_path / "run" / "trace.parquet").exists()


def test_a_run_shows_some_of_its_explanations(shop: Path, llama: Path, tmp_path: Path) -> None:
    run(settings(shop, llama, report={"cards": 3}), tmp_path / "run")
    told = json.loads((tmp_path / "run" / "explanations.json").read_text())
    kept = pq.read_table(tmp_path / "run" / "users" / "explain-cot.parquet")
    values, texts = kept.column("ROUGE-L").to_numpy(), kept.column("text").to_pylist()
    shown = [each["shown"] for each in told]
    assert shown == ["best"] * 3 + ["drawn"] * 3 + ["worst"] * 3
    assert len({each["query"] for each in told}) == 9
    assert sorted((each["value"] for each in told[:3]), reverse=True) == sorted(values, reverse=True)[:3]
    assert sorted(each["value"] for each in told[-3:]) == sorted(values)[:3]
    page = (tmp_path / "run" / "report.html").read_text()
    for each in told:
        assert each["text"] == texts[each["query"]]
        assert each["reference"] == kept.column("reference")[each["query"]].as_py()
        assert [claim["verified"] for claim in each["claims"]] == [True] * len(each["claims"])
        assert {other["system"] for other in each["others"]} == SYSTEMS - {"cot"}
        assert each["steps"][0]["kind"] == "observe"
        assert each["text"] in page


def test_explanations_stand_beside_rankings(shop: Path, llama: Path, tmp_path: Path) -> None:
    evaluate = {"tasks": ["sequential", "explain"], "k": [3], "resamples": 200, "latency_sample": 2, "faithfulness": 0}
    delegates = [{"name": "transitions", "search": False}]
    found = run(settings(shop, llama, evaluate=evaluate, delegates=delegates), tmp_path / "run")
    assert set(found["systems"]) == SYSTEMS | {"transitions"}
    assert {"NDCG@3", "ROUGE-L"} <= set(found["systems"]["cot"])
    assert "ROUGE-L" not in found["systems"]["transitions"]
    assert (tmp_path / "run" / "trace.parquet").exists()


def test_what_cannot_be_explained_is_said(shop: Path, llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="explain needs a policy"):
        check_config(settings(shop, llama, policy=None, delegates=["popularity"]), "words.toml")
    with pytest.raises(ConfigError, match="cannot do the task 'explain'"):
        run(settings(shop, llama, policy="profile"), tmp_path / "profile")
    bare = tmp_path / "bare.csv"
    bare.write_text("\n".join(",".join(line.split(",")[:3]) for line in shop.read_text().splitlines()))
    with pytest.raises((ConfigError, DataError), match="no reviews"):
        run(settings(bare, llama), tmp_path / "bare")


def test_a_policy_must_bring_its_judge() -> None:
    mute: Any = SimpleNamespace(policy=Named("mute", "mute", object()))
    with pytest.raises(PluginError, match="brings nothing to judge explanations with"):
        judge_explanations(mute, mute, {})
