"""The plan of benchmarks/models.py, what it measures of it, and what it compares."""

from __future__ import annotations

import importlib
import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from reasonrec_core.errors import ConfigError, RunError
from reasonrec_core.evaluate import holm
from reasonrec_core.io import write_arrays
from reasonrec_core.registry import Registry

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("model_plan")


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("model_pairs")


def test_the_plan_names_delegates_settings_and_data_that_there_are(plans: ModuleType) -> None:
    registry = Registry.discover()
    plan = plans.read_plan(registry)
    plans.check_settings(plan, registry)
    assert {fit.dataset for fit in plan} >= {"amazon-beauty", "gowalla", "ml-1m", "ctr-ml-1m-fields"}
    assert len({fit.key for fit in plan}) == len(plan) > 100


def test_what_is_kept_is_what_is_planned(plans: ModuleType) -> None:
    kept, plan = plans.read_kept(), {fit.key: fit for fit in plans.read_plan(Registry.discover())}
    assert kept.keys() <= plan.keys(), "measured without a row in benchmarks/models.toml"
    for key, row in kept.items():
        assert (plan[key].model, plan[key].settings) == (row["model"], row["settings"]), key
    assert not any("test" in row and not plan[key].test for key, row in kept.items())
    page = (BENCHMARKS.parent / "docs" / "models.md").read_text(encoding="utf-8")
    assert all(f"### {fit.dataset}\n" in page for key, fit in plan.items() if key in kept)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('ml-1m = [{ model = "sasrek" }]', r"plan.toml, ml-1m, row 1: .*'sasrek'.*Did you mean 'sasrec'\?"),
        ('ml-1m = [{ model = "sasrec", sed = [1] }]', r"ml-1m, row 1\.sed: unknown key\. Did you mean 'seeds'\?"),
        ('ml-1n = [{ model = "sasrec" }]', r"plan.toml: .*'ml-1n'\. Did you mean 'ml-1m'\?"),
        ('ml-1m = [{ name = "x" }]', r"ml-1m, row 1\.model: the key is missing"),
        ('ml-1m = { model = "sasrec" }', "plan.toml, ml-1m: must be a list of rows"),
        ('ml-1m = [{ model = "sasrec" }, { model = "sasrec", seeds = [1] }]', "row 2: 'sasrec' is already a row above"),
        ('ml-1m = [{ model = "sasrec", seeds = [] }]', r"row 1\.seeds"),
        ("ml-1m = [", "plan.toml: not valid TOML"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_message(text: str, said: str, plans: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        plans.read_plan(Registry.discover(), tmp_path / "plan.toml")


def test_a_fit_is_kept_with_its_model_its_settings_and_its_test_part(plans: ModuleType) -> None:
    fit = plans.Fit("ml-1m", "sasrec", "two layers", {"layers": 2}, 1, True)
    row = {"model": "sasrec", "settings": {"layers": 2}, "valid": {}, "test": {}}
    assert fit.is_kept({"ml-1m | two layers | 1": row})
    assert not fit.is_kept({"ml-1m | two layers | 0": row})
    for other in ({"model": "bsarec"}, {"settings": {"layers": 3}}):
        assert not fit.is_kept({fit.key: row | other})
    del row["test"]
    assert not fit.is_kept({fit.key: row})
    assert plans.Fit("ml-1m", "sasrec", "two layers", {"layers": 2}, 1, False).is_kept({fit.key: row})


def test_the_plan_is_measured_where_nothing_is_kept(
    plans: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As from the command line, on few people: one of two fits is kept already."""
    spec = spec_from_file_location("benchmark_of_models", BENCHMARKS / "models.py")  # docs/ has a models, too
    assert spec is not None
    assert spec.loader is not None
    benchmark = module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    rows = [f"u{user},i{(user * 3 + step) % 12},{100 * user + step}" for user in range(30) for step in range(6)]
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "ml-1m" / "interactions.csv").write_text("\n".join(["user,item,timestamp", *rows]), encoding="utf-8")
    plan = 'ml-1m = [{ model = "popularity", seeds = [3] }, { model = "transitions", name = "now", test = false }]'
    (tmp_path / "plan.toml").write_text(plan, encoding="utf-8")
    earlier = {"model": "popularity", "settings": {}, "valid": {}, "test": {}, "date": "before"}
    (tmp_path / "kept.json").write_text(json.dumps({"ml-1m | popularity | 3": earlier}), encoding="utf-8")

    def ask(what: str) -> list[str]:
        places = {"data": "", "plan": "plan.toml", "kept": "kept.json", "cache": "cache", "work": "work"}
        given = [part for name, place in places.items() for part in (f"--{name}", str(tmp_path / place))]
        monkeypatch.setattr(sys, "argv", ["models.py", what, *given])
        benchmark.main()
        return capfd.readouterr().out.splitlines()

    assert ask("plan")[-1].split() == ["ml-1m", "|", "now", "0"]
    assert ask("run")[0] == "1 of 2 fits are kept, 1 to go"
    kept = plans.read_kept(tmp_path / "kept.json")
    assert kept.keys() == {"ml-1m | popularity | 3", "ml-1m | now | 0"}
    assert kept["ml-1m | popularity | 3"] == earlier
    found = kept["ml-1m | now | 0"]
    assert (found["model"], "test" in found) == ("transitions", False)
    assert 0 < found["valid"]["HR@10"] <= 1
    assert "NDCG@10 rare items" not in found["valid"], "here every item is popular"
    assert (tmp_path / "work" / found["queries"] / "valid.npz").is_file()
    assert ask("run") == ["2 of 2 fits are kept, 0 to go"]


def test_several_are_compared_with_the_first_and_corrected_together(pairs: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.random((2, 400))
    noise = rng.normal(0, 0.1, (2, 2, 400))
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    systems = {"a": base, "b": base - 0.02 + noise[0], "c": base - 0.006 + noise[1]}
    kept = {}
    for name, values in systems.items():
        for seed, each in enumerate(values):
            kept[f"ml-1m | {name} | {seed}"] = {"queries": f"{name}{seed}"}
            write_arrays(tmp_path / f"{name}{seed}" / "valid.npz", {"NDCG@10": each, "MRR@10": each})
    lines = pairs.compare_kept("ml-1m", ["a", "b", "c"], kept, tmp_path)
    assert [line.split(":")[0] for line in lines[:2]] == [f"valid NDCG@10 a - {x}, seeds 0 1" for x in "bc"]
    assert lines[2:] == [f"test a - {x}: no seed that both have kept answers of" for x in "bc"]
    gaps = [float(line.split(": ")[1].split()[0]) for line in lines[:2]]
    assert gaps == pytest.approx([base.mean() - systems[x].mean() for x in "bc"], abs=1e-4)
    p = [float(line.split("p = ")[1].split(",")[0]) for line in lines[:2]]
    assert [float(line.split("Holm ")[1]) for line in lines[:2]] == pytest.approx(holm(p), abs=2e-4)
    assert p[0] < 0.001 < p[1] < 0.2
    (alone, _) = pairs.compare_kept("ml-1m", ["a", "c"], kept, tmp_path)
    assert alone == lines[1].split(", Holm")[0]
    with pytest.raises(ConfigError, match=r"'d' was not measured on ml-1m\. Known: a, b, c"):
        pairs.compare_kept("ml-1m", ["a", "d"], kept, tmp_path)
    with pytest.raises(RunError, match="a has no seed in common with b"):
        pairs.compare_kept("ml-1m", ["a", "b"], kept, tmp_path / "elsewhere")
