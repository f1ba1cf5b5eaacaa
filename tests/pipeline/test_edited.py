"""Edited requests: names are found, the policy itself answers, what changed is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_serve import Recommender

from reasonrec_core.cli.main import cli
from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.types import NO_EDITS, Edits, History, Step, StepKind

from .conftest import pipeline, silent

PAST = ["item-01", "item-05", "item-08"]


@pytest.fixture(scope="module")
def recommender(finished: Path) -> Recommender:
    return Recommender.open(finished)


def test_an_assumed_label_fills_the_answer(recommender: Recommender) -> None:
    answer = recommender.recommend(history=PAST, k=5, assume={"brand": "Cedar"})
    assert all("Cedar" in item.title for item in answer.items)
    assert answer.edited is not None
    assert answer.edited.assumed == {"brand": "Cedar"}
    (step,) = [s for s in answer.steps if s.edited]
    assert step.kind is StepKind.INFER
    assert "you assumed brand is “Cedar”" in step.claim


def test_what_entered_and_left_is_told_against_the_policy_s_own_answer(recommender: Recommender) -> None:
    edited = recommender.recommend(history=PAST, k=6, assume={"categories": "Kites"}, ignore=["item-08"])
    assert edited.edited is not None
    entered, left = ({item.id for item in items} for items in (edited.edited.entered, edited.edited.left))
    after = {item.id for item in edited.items}
    assert entered <= after
    assert not left & after
    assert len(entered) == len(left) > 0
    assert edited.edited.ignored == (
        ("item-08", recommender.dataset.catalog.titles[recommender.dataset.catalog.index["item-08"]]),
    )
    assert "item-08" not in after, "it stays in the history, so it is not recommended"


def test_an_edited_request_is_never_delegated(finished: Path) -> None:
    recommender = Recommender.open(finished)
    users = recommender.dataset.users.column("user_id").to_pylist()
    plain = [recommender.recommend(user=user) for user in users]
    sent = [user for user, answer in zip(users, plain, strict=True) if answer.route == "replace"]
    assert sent
    for user in sent[:3]:
        answer = recommender.recommend(user=user, assume={"brand": "Acorn"})
        assert (answer.route, answer.by) == ("self", "toy")
        assert "edited" in answer.reason
        assert answer.confidence is None, "it was calibrated on answers without edits"


def test_ignoring_an_item_ignores_all_its_occurrences(recommender: Recommender) -> None:
    twice = recommender.recommend(history=["item-01", "item-05", "item-01"], ignore=["item-01"])
    assert all(0 not in step.evidence and 2 not in step.evidence for step in twice.steps)
    assert {s.kind for s in twice.steps if s.edited} == {StepKind.OBSERVE}


@pytest.mark.parametrize(
    ("edits", "error", "message"),
    [
        ({"assume": {"brnad": "Acorn"}}, ConfigError, "no item field to assume 'brnad'. Did you mean 'brand'?"),
        ({"assume": {"brand": "Acron"}}, ConfigError, "no label of 'brand' 'Acron'. Did you mean 'Acorn'?"),
        ({"assume": {"brand": "??"}}, ConfigError, "There are: Acorn, Birch, Cedar."),
        ({"ignore": ["item-51"]}, DataError, "item 'item-51' is not in the history. Did you mean 'item-"),
        ({"ignore": ["item-02"]}, DataError, "item 'item-02' is not in the history"),
    ],
)
def test_unknown_names_are_refused_with_what_is_near(
    recommender: Recommender, edits: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        recommender.recommend(history=PAST, **edits)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_names_are_found_whatever_their_case(recommender: Recommender) -> None:
    answer = recommender.recommend(history=PAST, assume={"Brand": "aCORN"})
    assert answer.edited is not None
    assert answer.edited.assumed == {"brand": "Acorn"}


def test_a_run_without_editable_steps_says_so(data: Path, tmp_path: Path) -> None:
    changes = {"policy": None, "router": None, "delegates": ["popularity"]}
    fit_pipeline(check_config(pipeline(data, **changes), "x"), tmp_path / "run", Registry.discover(), silent)
    with pytest.raises(ConfigError, match="no policy, so there are no steps to edit"):
        Recommender.open(tmp_path / "run").recommend(history=PAST, ignore=["item-01"])


def test_command_line_shows_the_edit_and_what_it_changed(finished: Path) -> None:
    base = ["recommend", str(finished), "--history", ",".join(PAST)]
    shown = CliRunner().invoke(cli, [*base, "--assume", "brand=Cedar", "--ignore", "item-05", "--why"])
    assert shown.exit_code == 0, shown.output
    assert "you assumed brand is “Cedar”; you ignored “" in shown.output
    assert "entered the list:" in shown.output
    assert "infer   (edited) you assumed brand" in shown.output
    assert "No confidence is stated" in shown.output
    found = json.loads(CliRunner().invoke(cli, [*base, "--assume", "brand=Cedar", "--json"]).output)
    assert found["edited"]["assumed"] == {"brand": "Cedar"}
    assert {item["id"] for item in found["edited"]["entered"]} <= {item["id"] for item in found["items"]}
    assert json.loads(CliRunner().invoke(cli, [*base, "--json"]).output)["edited"] is None


@pytest.mark.parametrize(
    ("given_options", "message"),
    [
        (["--assume", "brand"], "cannot read 'brand'"),
        (["--assume", "=Cedar"], "cannot read '=Cedar'"),
        (["--assume", "brand=Cedar", "--assume", "brand=Acorn"], "two values are given for 'brand'"),
    ],
)
def test_command_line_refuses_what_it_cannot_read(finished: Path, given_options: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["recommend", str(finished), "--history", "item-01", *given_options])
    assert message in str(done.exception or done.output)


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=6), st.data())
def test_edits_of_some_queries_are_those_of_their_entries(rows: list[list[int]], draw: st.DataObject) -> None:
    history = History.of(rows)
    relevance = np.arange(len(history.items), dtype=np.float32) / 100
    edits = Edits(relevance, {"brand": np.arange(len(rows), dtype=np.int32)})
    index = np.array(draw.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)), dtype=np.intp)
    taken = edits.take(history, index)
    expected = np.concatenate([relevance[history.rows == row] for row in index] or [relevance[:0]])
    np.testing.assert_array_equal(taken.relevance, expected)
    np.testing.assert_array_equal(taken.assume["brand"], index)
    stop = draw.draw(st.integers(0, len(rows)))
    np.testing.assert_array_equal(edits.slice(history, 0, stop).relevance, relevance[history.rows < stop])


def test_edits_are_true_only_where_something_is_edited() -> None:
    assert not NO_EDITS
    assert not Edits(np.ones(3, np.float32), {"brand": np.array([-1, -1], np.int32)})
    assert Edits(np.array([1, 0], np.float32))
    assert Edits(None, {"brand": np.array([-1, 2], np.int32)})


def test_an_edited_step_is_kept_as_edited() -> None:
    for step in (Step(StepKind.INFER, "you assumed", edited=True), Step(StepKind.INFER, "inferred", (0, "brand"), 0.5)):
        assert Step.from_dict(json.loads(json.dumps(step.to_dict()))) == step
