"""From a name to a component: what is near, what is wrong with a setting, whose fault an exception is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.components import Delegate, Kind, MetricInfo, Settings
from reasonrec_core.config_errors import validated
from reasonrec_core.errors import ConfigError, DataError, PluginError, ReasonRecError, did_you_mean
from reasonrec_core.hookspecs import HOOK_OF_KIND, ComponentSpec
from reasonrec_core.plugins import Installed, Problem, Registered
from reasonrec_core.registry import Registry, base_of, guard

EARLY = MetricInfo("early", len, "higher", "First.", order=1)
LATE = MetricInfo("late", len, "lower", "Last.", order=2)


class Inner(Settings):
    depth: int = Field(1, ge=0, description="How deep.")


class Config(Settings):
    rate: float = Field(0.5, gt=0, le=1, description="How fast.")
    mode: Literal["fast", "slow"] = Field("fast", description="Which way.")
    inner: Inner = Field(Inner(), description="Inside.")
    parts: list[Inner] = Field([], description="Several.")
    even: int = Field(2, description="Divisible by two.")

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


class Needy(Settings):
    path: str = Field(description="Required.")


class Mine(Delegate[Config]):
    """Refuses one setting when it is made."""

    Config = Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config.rate == 0.25:
            raise ZeroDivisionError("a quarter")

    def score(self, batch: Any, observation: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def registry() -> Registry:
    def offer(kind: Kind, name: str, target: str, owner: str) -> Registered:
        return Registered(kind, ComponentSpec(name, target, "x"), owner, "1.0")

    here = Mine.__module__
    offers = (
        offer(Kind.DELEGATE, "mine", f"{here}:Mine", "reasonrec-mine"),
        offer(Kind.DELEGATE, "popularity", "reasonrec_core.builtin.popularity:Popularity", "reasonrec-core"),
        offer(Kind.ENCODER, "not-an-encoder", f"{here}:Mine", "reasonrec-odd"),
        offer(Kind.POLICY, "thinker", "no_such_module:X", "reasonrec-gone"),
    )
    problems = (Problem("reasonrec-b", "2.0", "cannot be imported: E", None, "lost"),)
    return Registry(Installed(offers, (), problems))


def test_a_component_is_made_with_its_settings(registry: Registry) -> None:
    made = registry.create("delegate", "mine", {"rate": 1, "inner": {"depth": 3}})
    assert isinstance(made, Mine)
    assert made.config.rate == 1.0
    assert made.config.inner.depth == 3
    assert registry.load(Kind.DELEGATE, "popularity") is Popularity
    assert registry.names(Kind.DELEGATE) == ["mine", "popularity"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("delegate", "popularty", "no delegate is called 'popularty'. Did you mean 'popularity'?"),
        ("delegate", "zzz", "no delegate is called 'zzz'. Known: mine, popularity."),
        ("encoder", "popularity", "no encoder is called 'popularity'. 'popularity' is of kind delegate."),
        ("delegate", "lost", "plugin 'lost' of reasonrec-b 2.0 is ignored: cannot be imported: E."),
        ("delegate", "implicit-als", "It comes with reasonrec-implicit: pip install reasonrec-implicit."),
    ],
)
def test_an_unknown_name_says_what_is_near(registry: Registry, kind: str, name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.create(kind, name, {}, where="delegates[0]")
    assert message in str(caught.value)
    assert caught.value.where == "delegates[0]"


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("policy", "thinker", "policy 'thinker' of reasonrec-gone 1.0: cannot be imported: missing dependency"),
        ("encoder", "not-an-encoder", "encoder 'not-an-encoder' of reasonrec-odd 1.0: "),
    ],
)
def test_a_class_that_cannot_be_used_names_its_distribution(
    registry: Registry, kind: str, name: str, message: str
) -> None:
    with pytest.raises(PluginError) as caught:
        registry.create(kind, name, {})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "where", "message"),
    [
        ({"rte": 1}, "d.rte", "unknown key. Did you mean 'rate'?"),
        ({"rate": 0}, "d.rate", "greater than 0, not 0"),
        ({"rate": "x"}, "d.rate", "valid number, unable to parse string as a number, not 'x'"),
        ({"mode": "fst"}, "d.mode", "'fast' or 'slow', not 'fst'"),
        ({"inner": {"dpth": 1}}, "d.inner.dpth", "unknown key. Did you mean 'depth'?"),
        ({"inner": {"depth": -1}}, "d.inner.depth", "greater than or equal to 0, not -1"),
        ({"parts": [{"depth": 1}, {"depth": "y"}]}, "d.parts.1.depth", "not 'y'"),
        ({"even": 3}, "d.even", "must be even"),
        ({"rate": 0, "even": 3}, "d.rate", "1 more: even."),
        ({"rate": "x" * 500}, "d.rate", "...'"),
    ],
)
def test_a_wrong_setting_says_where_what_and_what_is_allowed(
    registry: Registry, settings: dict[str, Any], where: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.create("delegate", "mine", settings, where="d")
    text = str(caught.value)
    assert caught.value.where == where
    assert message.removesuffix("...'") in text
    assert "\n" not in text
    assert len(text) < 300


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^encoder x\.path: the key is missing"):
        validated(Needy, {}, where="encoder x")


def test_a_constructor_that_raises_is_the_plugins_fault(registry: Registry) -> None:
    with pytest.raises(PluginError, match=r"delegate 'mine' of reasonrec-mine 1.0, in __init__: raised ZeroDivision"):
        registry.create("delegate", "mine", {"rate": 0.25})


@pytest.mark.parametrize("raised", [ValueError("bad\nthing"), SystemExit(3), AssertionError(), NotImplementedError()])
def test_the_guard_names_the_component_and_the_method(registry: Registry, raised: BaseException) -> None:
    with pytest.raises(PluginError) as caught, registry.guard(Kind.DELEGATE, "mine", "score"):
        raise raised
    assert str(caught.value).startswith("delegate 'mine' of reasonrec-mine 1.0, in score: raised ")
    assert type(raised).__name__ in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is raised


def test_the_guard_lets_clear_errors_and_interruptions_pass() -> None:
    with pytest.raises(DataError) as caught, guard("encoder", "e", "encode"):
        raise DataError("no such image", where="images/7.png", fix="Remove it.")
    assert str(caught.value) == "images/7.png: no such image. Remove it."
    with pytest.raises(PluginError) as placed, guard("encoder", "e", "encode", owner="x 1.0"):
        raise PluginError("scores hold NaN", fix="Don't.")
    assert str(placed.value) == "encoder 'e' of x 1.0, in encode: scores hold NaN. Don't."
    with pytest.raises(KeyboardInterrupt), guard("encoder", "e", "encode"):
        raise KeyboardInterrupt
    with pytest.raises(PluginError, match="ran out of memory"), guard("encoder", "e", "encode"):
        np.empty(1 << 60, np.uint8)


def test_every_builtin_can_be_loaded_and_made(tmp_path: Path) -> None:
    found = Registry.discover()
    for offer in found.components():
        if offer.kind is Kind.METRIC:
            assert found.load(offer.kind, offer.spec.name) in found.metrics()
        elif offer.distribution == "reasonrec-core":
            settings = {"share": 0.5} if offer.kind is Kind.ROUTER else {}  # a router needs a goal
            assert found.create(offer.kind, offer.spec.name, settings).config is not None


@given(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=12), max_size=6))
def test_a_hint_names_only_what_is_known(name: str, known: list[str]) -> None:
    hint = did_you_mean(name, known)
    assert bool(hint) == bool(known)
    if name in known:
        assert hint == f"Did you mean {name!r}?"


def test_errors_survive_a_process_boundary() -> None:
    import pickle

    error = ConfigError("what", where="where", fix="fix")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ConfigError)
    assert isinstance(again, ReasonRecError)
    assert (again.what, again.where, again.fix) == ("what", "where", "fix")


def test_a_metric_is_a_record_and_every_kind_has_a_base_and_a_hook() -> None:
    here = Mine.__module__
    offers = (
        Registered(Kind.METRIC, ComponentSpec("late", f"{here}:LATE", "x"), "reasonrec-mine", "1.0"),
        Registered(Kind.METRIC, ComponentSpec("early", f"{here}:EARLY", "x"), "reasonrec-mine", "1.0"),
        Registered(Kind.METRIC, ComponentSpec("odd", f"{here}:Mine", "x"), "reasonrec-mine", "1.0"),
    )
    assert Registry(Installed(offers[:2], (), ())).metrics() == [EARLY, LATE]
    with pytest.raises(PluginError, match="Mine is not a MetricInfo"):
        Registry(Installed(offers, (), ())).metrics()
    assert {kind: base_of(kind).__name__ for kind in Kind}.keys() == HOOK_OF_KIND.keys()


def test_a_qualified_name_chooses_between_two_distributions() -> None:
    here = Mine.__module__
    both = tuple(
        Registered(Kind.DELEGATE, ComponentSpec("mine", f"{here}:Mine", "x"), owner, "1.0")
        for owner in ("reasonrec-a", "reasonrec-b")
    )
    registry = Registry(Installed((), (), (), both))
    assert registry.names(Kind.DELEGATE) == ["reasonrec-a:mine", "reasonrec-b:mine"]
    assert registry.create("delegate", "reasonrec-b:mine", {"rate": 1}).config.rate == 1
    assert registry.spec("delegate", "reasonrec-a:mine").distribution == "reasonrec-a"
    with pytest.raises(ConfigError) as caught:
        registry.create("delegate", "mine", {})
    assert "2 distributions offer it: write 'reasonrec-a:mine' or 'reasonrec-b:mine'." in str(caught.value)
