"""A column of context goes from the file through the run to the request, and moves the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow.compute import field
from pyarrow.csv import read_csv
from reasonrec_serve import Recommender

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry

from .conftest import silent

TRAINING = {"epochs": 20, "patience": 20, "learning_rate": 0.05, "warmup": 5, "ema": 0.8, "device": "cpu", "batch": 64}
GCM = {"name": "gcm", "dimensions": 16, "layers": 1, "last_item": False, "training": TRAINING}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop where people buy items of even numbers at home and of odd ones at the station."""
    folder = tmp_path_factory.mktemp("context")
    rows = ["user_id,item_id,timestamp,place"]
    for user in range(40):
        for step in range(8):
            item = (3 * user + 5 * step) % 24
            rows.append(f"u{user},i{item},{1_700_000_000 + 3600 * step},{('home', 'station')[item % 2]}")
    (folder / "log.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = {
        "data": {"path": str(folder / "log.csv"), "context": ["place", "hour"]},
        "policy": None,
        "delegates": ["popularity", GCM],
        "evaluate": {"resamples": 100, "faithfulness": 0, "latency_sample": 2},
    }
    run_pipeline(check_config(settings, "shop.toml"), folder / "run", Registry.discover(), silent)
    return folder / "run"


def test_the_test_part_is_asked_in_context(run: Path) -> None:
    systems = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["systems"]
    assert systems["gcm"]["NDCG@10"]["value"] > systems["popularity"]["NDCG@10"]["value"] + 0.1


def test_a_request_may_say_where_it_is_made(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = Recommender.open(run, trace=False)
    for place, odd in (("home", 0), ("station", 1)):
        answer = service.recommend(user="u3", context={"place": place}, k=5)
        assert sum(int(item.id[1:]) % 2 == odd for item in answer.items) >= 4
    assert service.recommend(user="u3", context={"place": "moon"}, k=5).notes[0].startswith("1 unknown value of")
    with pytest.raises(ConfigError, match="there is no context 'mood'"):
        service.recommend(user="u3", context={"mood": "good"})
    with pytest.raises(SystemExit):
        main(["recommend", str(run), "--user", "u3", "--context", "place=station", "--k", "5", "--json", "--no-trace"])
    found = [int(item["id"][1:]) % 2 for item in json.loads(capsys.readouterr().out)["items"]]
    assert sum(found) >= 4


def test_many_users_are_asked_in_the_same_context(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service, out = Recommender.open(run, trace=False), tmp_path / "recs.csv"
    command = ["recommend", str(run), "--users", "all", "--out", str(out), "--workers", "1", "--k", "5"]
    with pytest.raises(SystemExit):
        main([*command, "--context", "place=station"])
    table = read_csv(out)
    for user in ("u3", "u17"):
        answer = service.recommend(user=user, context={"place": "station"}, k=5)
        rows = table.filter(field("user_id") == user)
        assert rows["item_id"].to_pylist() == [item.id for item in answer.items]
    (explained,) = service.recommend_batch(["u3"], k=5, because=True, context={"place": "station"})
    assert explained["item_id"].to_pylist() == [
        item.id for item in service.recommend(user="u3", context={"place": "station"}, k=5).items
    ]
    with pytest.raises(SystemExit):
        main([*command, "--context", "place=moon"])
    assert "1 unknown value of the context was skipped." in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([*command, "--context", "mood=good"])
    assert ended.value.code == 2
    assert "there is no context 'mood'" in capsys.readouterr().err
