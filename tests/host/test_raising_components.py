"""A component that fails, in any of its methods and any way, is one message that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from installed import install_module, reasonrec
from pydantic import Field
from reasonrec_routers.uncertainty import EvidenceHorizon
from reasonrec_serve import Recommender

from reasonrec_core.builtin.popularity import Popularity, PopularityConfig
from reasonrec_core.components import Encoder, Kind, Settings
from reasonrec_core.config import check_config
from reasonrec_core.errors import PluginError
from reasonrec_core.hookspecs import ComponentSpec
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.plugins import Installed, Registered, discover
from reasonrec_core.registry import Registry
from reasonrec_core.testing import tiny_dataset
from reasonrec_core.testing.toy_policy import ToyPolicy, ToyPolicyConfig

How = Literal["raise", "exit", "none", "nan", "inf", "list", "memory"]
WHERE = Field("", description="The method that fails.")
HOW = Field("raise", description="How it fails.")


def fail(how: str, answer: Any = None) -> Any:
    """Do what a broken component does instead of returning ``answer``."""
    if how == "exit":
        raise SystemExit(0)
    if how == "memory":
        raise MemoryError
    if how == "none":
        return None
    if how == "list":
        return [1, 2, 3]
    if how in {"nan", "inf"} and isinstance(answer, np.ndarray):
        return np.full_like(answer, how)
    raise ZeroDivisionError("on purpose")


class FaultyConfig(Settings):
    where: str = WHERE
    how: How = HOW


class FaultyPopularityConfig(PopularityConfig):
    where: str = WHERE
    how: How = HOW


def faulty(base: type, settings: type[Settings], *methods: str) -> type:
    """A subclass whose method ``config.where`` fails."""

    def broken(method: str) -> Any:
        def call(self: Any, *given: Any) -> Any:
            if self.config.where == method:
                answer = getattr(base, method)(self, *given) if self.config.how in {"nan", "inf"} else None
                return fail(self.config.how, answer)
            return getattr(base, method)(self, *given)

        return call

    def load(cls: Any, folder: Path, catalog: Any) -> Any:
        loaded = super(made, cls).load(folder, catalog)
        return fail(loaded.config.how) if loaded.config.where == "load" else loaded

    body = {"Config": settings, "__module__": __name__} | {method: broken(method) for method in methods}
    made = type(f"Faulty{base.__name__}", (base,), body | {"load": classmethod(load)})
    return made


class Lengths(Encoder[FaultyConfig]):
    """The length of a text, and one."""

    Config = FaultyConfig

    def encode(self, inputs: Any) -> Any:
        return np.array([[len(text), 1] for text in inputs], np.float32)

    def fingerprint(self) -> str:
        return "lengths " + self.config.model_dump_json()


class FaultyPolicyConfig(ToyPolicyConfig):
    where: str = WHERE
    how: How = HOW


FaultyEncoder = faulty(Lengths, FaultyConfig, "fit", "encode", "fingerprint", "save")
FaultyPolicy = faulty(ToyPolicy, FaultyPolicyConfig, "fit", "deliberate", "save")
FaultyEstimator = faulty(EvidenceHorizon, FaultyConfig, "fit", "estimate", "save")
FaultyDelegate = faulty(Popularity, FaultyPopularityConfig, "fit", "score", "recommend", "save")

CASES = [
    *((Kind.ENCODER, where, how) for where in ("fit", "encode", "fingerprint", "save") for how in ("raise", "exit")),
    *((Kind.ENCODER, "encode", how) for how in ("none", "nan", "inf", "list", "memory")),
    *((Kind.POLICY, where, "raise") for where in ("fit", "deliberate", "save", "load")),
    *((Kind.POLICY, "deliberate", how) for how in ("exit", "none", "list", "memory")),
    *((Kind.UNCERTAINTY, where, "raise") for where in ("fit", "estimate", "save", "load")),
    *((Kind.UNCERTAINTY, "estimate", how) for how in ("exit", "none", "list")),
    *((Kind.DELEGATE, where, "raise") for where in ("fit", "recommend", "save", "load")),
    *((Kind.DELEGATE, "recommend", how) for how in ("exit", "none", "list", "memory")),
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    def offer(kind: Kind, name: str) -> Registered:
        return Registered(
            kind, ComponentSpec("faulty", f"{__name__}:{name}", "x", ("sequential", "direct")), "them", "3.2"
        )

    faults = (
        offer(Kind.ENCODER, "FaultyEncoder"),
        offer(Kind.POLICY, "FaultyPolicy"),
        offer(Kind.UNCERTAINTY, "FaultyEstimator"),
        offer(Kind.DELEGATE, "FaultyDelegate"),
    )
    return Registry(Installed((*discover().components, *faults), (), ()))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dataset(tmp_path_factory.mktemp("tiny")).folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))


def config_of(data: Path, kind: Kind, where: str, how: str) -> dict[str, Any]:
    """A pipeline with one faulty part."""
    part = {"name": "faulty", "where": where, "how": how}
    tree: dict[str, Any] = {
        "name": "tiny",
        "data": {"path": str(data)},
        "policy": "toy",
        "delegates": ["popularity"],
        "router": {"share": 0.35, "stage": "before"},
        "evaluate": {"tasks": ["sequential"], "k": [3], "resamples": 100, "latency_sample": 5},
    }
    if kind is Kind.ENCODER:
        tree["observe"] = {"words": {"encoder": "faulty", "where": where, "how": how}}
    elif kind is Kind.POLICY:
        tree["policy"] = part
    elif kind is Kind.DELEGATE:
        tree["delegates"] = ["popularity", part]
    else:
        tree["uncertainty"] = [part]
        tree["router"]["estimators"] = ["faulty"]
    return tree


@pytest.mark.parametrize(("kind", "where", "how"), CASES)
def test_a_failure_names_the_component_the_method_and_the_owner(
    registry: Registry, data: Path, tmp_path: Path, kind: Kind, where: str, how: str
) -> None:
    folder = tmp_path / "run"
    config = check_config(config_of(data, kind, where, how), "x.toml")

    def run_and_open() -> None:
        run_pipeline(config, folder, registry, lambda *_: None)
        Recommender.open(folder, registry)

    with pytest.raises(PluginError) as caught:
        run_and_open()
    message = str(caught.value)
    if where in {"encode", "fingerprint"}:
        # The features' own message says more: which item it was.
        assert message.startswith("observe.words: the encoder "), message
        assert "FaultyLengths" in message
        assert where == "fingerprint" or how in {"none", "list"} or "item 'item-" in message
    else:
        assert message.startswith(f"{kind} 'faulty' of them 3.2, in {where}: "), message
    assert "\n" not in message
    if where != "load":
        assert not (folder / "metrics.json").exists()
        assert not (folder / "report.html").exists()


def test_the_command_line_prints_one_line_and_exits_with_2(data: Path, tmp_path: Path) -> None:
    code = """
    @hookimpl
    def reasonrec_delegates():
        return [ComponentSpec("bad", "reasonrec_bad_impl:Bad", "Bad", ("sequential",))]
    """
    install_module(tmp_path, "reasonrec-bad", code)
    tmp_path.joinpath("reasonrec_bad_impl.py").write_text(
        "from reasonrec_core.components import Delegate\n\n\nclass Bad(Delegate):\n"
        "    def score(self, batch, observation):\n        raise KeyError('x')\n"
    )
    pipeline = tmp_path / "p.toml"
    pipeline.write_text(f'name = "p"\ndelegates = ["bad"]\n[data]\npath = "{data}"\n[evaluate]\nk = [3]\n')
    done = reasonrec(tmp_path, "run", str(pipeline), "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stdout) == (2, "")
    line = "error: delegate 'bad' of reasonrec-bad 0.1.0, in recommend: raised KeyError: 'x'. "
    assert done.stderr.splitlines()[-1].startswith(line), done.stderr
    assert "Traceback" not in done.stderr
