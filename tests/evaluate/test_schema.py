from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrec_core.errors import RunError
from reasonrec_core.evaluate.schema import VERSION, DatasetFacts, Estimate, Results

NUMBERS = st.floats() | st.none()
ESTIMATES = st.builds(dict, value=NUMBERS, low=NUMBERS, high=NUMBERS)
NAMES = st.text(min_size=1, max_size=20)


def results(**changes: object) -> Results:
    systems = {"policy": {"NDCG@10": {"value": 0.5}}}
    return Results.model_validate({"version": VERSION, "dataset": {"name": "shop"}, "systems": systems} | changes)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(NAMES, st.dictionaries(NAMES, ESTIMATES), min_size=1))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, systems: dict[str, object]) -> None:
    folder = tmp_path_factory.mktemp("run")
    made = results(systems=systems)
    made.write(folder)
    assert Results.read(folder) == made
    values = json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert values["version"] == VERSION


def test_a_number_that_is_not_finite_is_null() -> None:
    made = results(
        systems={"policy": {"mine@3": Estimate(value=float("nan"), low=-np.inf, high=np.float64("nan"))}},
        risk_coverage={"coverage": (0.5, 1.0), "risk": (float("nan"), 0.5), "aurc": float("inf")},
        routing={"kind": "threshold", "validation": {"level": float("nan"), "areas": {"router": [0.5, float("inf")]}}},
    )
    values = json.loads(made.to_json(), parse_constant=pytest.fail)
    assert values["systems"]["policy"]["mine@3"] == {"value": None, "low": None, "high": None}
    assert values["risk_coverage"] == {"coverage": [0.5, 1.0], "risk": [None, 0.5], "aurc": None}
    assert values["routing"]["validation"] == {"level": None, "areas": {"router": [0.5, None]}}


def test_names_and_keys_that_are_not_known_are_fine() -> None:
    made = results(systems={"a": {"my metric!": {"value": 1, "more": 2}}}, later={"x": 1})
    assert made.systems["a"]["my metric!"].value == 1
    assert "later" not in made.to_dict()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"dataset": {}}', "systems"),
        ('{"dataset": {}, "systems": {"a": {"HR@1": {"value": "much"}}}}', r"systems\.a\.HR@1\.value"),
        ('{"version": 1, "dataset": {}, "systems": {"a": {}}}', "have format 1"),
        ('{"version": 99, "dataset": {}, "systems": {"a": {}}}', "this release reads format 2"),
        ("{", r"metrics\.json:1:2"),
        ("[]", "the whole file"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(RunError, match=said):
        Results.read(tmp_path)


def test_null_is_kept_where_nothing_was_measured() -> None:
    made = results(delegation=None, dataset=DatasetFacts(name="shop", hash=None))
    assert made.to_dict()["delegation"] is None
    assert "costs" not in made.to_dict()


def test_the_format_is_written(tmp_path: Path) -> None:
    results().write(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["version"] == VERSION
