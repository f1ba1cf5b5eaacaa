"""Requests as people write them."""

from __future__ import annotations

import numpy as np
import pytest
from reasonrec_serve import Answer, Recommended, Request
from reasonrec_serve.bodies import RecommendBody
from reasonrec_serve.notes import tell_skipped
from reasonrec_serve.recommend_command import recommend_command
from reasonrec_serve.request import read_id, read_ids
from reasonrec_serve.resolve import find_name, read_context

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Step, StepKind


def test_the_end_of_a_path_is_enough_where_it_is_one_path_s() -> None:
    labels = ["Shoes", "Shoes > Boots", "Socks > Thin", "Tights > Thin", "shoes"]
    assert find_name("boots", labels, "label") == "Shoes > Boots"
    assert find_name("Shoes", labels, "label") == "Shoes"
    with pytest.raises(ConfigError, match=r"no label 'thin'\. Did you mean '(Socks|Tights) > Thin' or"):
        find_name("thin", labels, "label")
    with pytest.raises(ConfigError, match="no label 'SHOES'"):
        find_name("SHOES", labels, "label")


def test_a_number_means_its_digits() -> None:
    assert read_ids([7, np.int64(8), "09"], "history") == ["7", "8", "09"]


@pytest.mark.parametrize("given", [True, 1.5, None, b"a"])
def test_what_is_no_id_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match="is not an id"):
        read_id(given, "user")


def test_text_is_no_list_of_ids() -> None:
    with pytest.raises(ConfigError, match="history must be a list of ids"):
        read_ids("a,b", "history")


def test_a_request_is_the_same_in_python_as_json_and_on_the_command_line() -> None:
    fields = Request.__dataclass_fields__
    assert set(RecommendBody.model_fields) - {"steps", "because"} == set(fields)
    asked = RecommendBody(history=["a"])
    assert asked.make_request() == Request(history=["a"])
    given = {
        "user": "u",
        "candidates": ["c", 3],
        "k": 4,
        "task": "direct",
        "assume": {"brand": "x"},
        "ignore": ["i"],
        "exclude": ["e"],
        "only": [1],
        "where": {"price": {"min": 1}, "brand": ["a", None]},
        "context": {"hour": "9", "device": "phone"},
        "include_seen": True,
        "diversity": 0.5,
    }
    words = {"query": "a lamp", "query_weight": 0.3}
    assert {*given, *words} == set(fields) - {"history"}
    assert RecommendBody(**given, steps=True).make_request() == Request(**given)
    unedited = {name: value for name, value in given.items() if name not in {"assume", "ignore"}}
    assert RecommendBody(**unedited, **words).make_request() == Request(**unedited, **words)
    options = {option.name for option in recommend_command.params}
    assert set(fields) - options == set()


def test_context_is_looked_up_by_name() -> None:
    known = {"device": ["laptop", "phone"], "hour": ["10", "9"]}
    codes, unknown = read_context(known, Request(user="u", context={"hour": 9.0, "device": "fridge"}).context)
    assert codes is not None
    assert (codes.tolist(), unknown) == ([[0, 2]], 1)
    assert tell_skipped("context", 1) == "1 unknown value of the context was skipped."
    assert read_context(known, {}) == (None, 0)
    with pytest.raises(ConfigError, match=r"there is no context 'mood'. There are: device, hour"):
        read_context(known, {"mood": "good"})
    with pytest.raises(ConfigError, match="The data have no context"):
        read_context({}, {"mood": "good"})
    with pytest.raises(ConfigError, match="--context: must contain values by column"):
        Request(user="u", context=["hour"])  # type: ignore[arg-type]


def test_steps_are_worked_out_when_they_are_asked_for_and_once() -> None:
    asked: list[int] = []

    def explain() -> tuple[Step, ...]:
        asked.append(1)
        return (Step(StepKind.DECIDE, "because"),)

    item = Recommended("a", "A", 1.0)
    known = {"items": (item,), "history": (), "unknown": 0, "route": "self", "by": "toy", "reason": "", "cutoff": 10}
    answer = Answer(**known, seconds=0.0, explain=explain)
    assert "steps" not in answer.to_dict(steps=False)
    assert not asked
    assert [step.claim for step in answer.steps] == ["because"]
    assert answer.to_dict()["steps"][0]["claim"] == "because"
    assert len(asked) == 1
    assert answer == Answer(**known, seconds=0.0, explain=lambda: ())
