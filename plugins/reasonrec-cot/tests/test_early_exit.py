"""Texts that leave between layers: the same answers, fewer layers; what is learned, kept and said about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from reasonrec_cot.answers import fit_ctr_fusion as fitting_module
from reasonrec_cot.answers.early_exit import EarlyExit
from reasonrec_cot.answers.exit_heads import ExitHeads
from reasonrec_cot.answers.exit_rule import ExitRule
from reasonrec_cot.backbone.layerwise import check_layerwise, read_by_layers
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import Prompt
from reasonrec_cot.config import BackboneConfig, CotConfig
from reasonrec_cot.exit_config import ExitConfig
from reasonrec_cot.policy import Cot
from reasonrec_cot.tuning.command import format_exit
from reasonrec_cot.tuning.forward import shared_hidden
from tiny_model import tiny_llama
from tuning_shop import SMALL

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Task

LAYERS, WORDS = 4, (7, 8)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama of four layers."""
    return tiny_llama(tmp_path_factory.mktemp("deep"), ("yes", "no"), num_hidden_layers=LAYERS)


@pytest.fixture
def backbone(deep: Path) -> Backbone:
    return Backbone(BackboneConfig(model=str(deep), device="cpu", precision="float32"))


def prompts(count: int = 6, common: int = 24) -> list[Prompt]:
    rng = np.random.default_rng(0)
    start = rng.integers(10, 300, common)
    texts = [np.concatenate([start, rng.integers(10, 300, 3 + row)]).astype(np.int64) for row in range(count)]
    return [Prompt(text, np.zeros(len(text), np.uint8)) for text in texts]


def stay(number: int, texts: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(texts), dtype=torch.bool)


def learned_heads(seed: int = 0) -> ExitHeads:
    torch.manual_seed(seed)
    heads = ExitHeads(32, (1, 2, 3))
    for head in heads.heads:
        torch.nn.init.normal_(head[1].weight, std=0.5)  # type: ignore[index]
    return heads.eval()


def test_nobody_leaves_and_all_is_read_as_ever(backbone: Backbone) -> None:
    asked = prompts()
    found = read_by_layers(backbone, asked, None, (1, 3), stay)
    backbone.forget()
    torch.testing.assert_close(found.states, backbone.read(asked).states, rtol=1e-4, atol=1e-5)
    assert found.depths.tolist() == [LAYERS] * len(asked)
    assert found.usage.read == 24 + sum(len(each) - 24 for each in asked)


def test_states_between_layers_are_those_that_heads_learn_from(backbone: Backbone) -> None:
    asked, seen = prompts(), {}

    def look(number: int, texts: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        seen[number] = states
        return stay(number, texts, states)

    read_by_layers(backbone, asked, None, (1, 2, 3), look)
    tokens, there = backbone.padded(asked)
    with torch.inference_mode():
        _, early = shared_hidden(backbone, tokens, None, (1, 2, 3))
    ends = torch.arange(len(asked)), there.sum(1) - 1
    for number, layer in enumerate((1, 2, 3)):
        torch.testing.assert_close(seen[number], early[layer][ends], rtol=1e-4, atol=1e-5)


def test_who_leaves_is_not_read_further_and_changes_nobody_else(backbone: Backbone) -> None:
    asked, rows_read = prompts(), []
    layer = backbone.decoder.layers[2]  # type: ignore[index]
    hook = layer.register_forward_pre_hook(lambda module, given: rows_read.append(len(given[0])))  # type: ignore[union-attr]
    whole = read_by_layers(backbone, asked, None, (2,), stay).states
    rows_read.clear()
    found = read_by_layers(backbone, asked, None, (2,), lambda number, texts, states: texts % 2 == 0)
    hook.remove()
    assert rows_read == [3]
    assert found.depths.tolist() == [2, LAYERS] * 3
    torch.testing.assert_close(found.states[1::2], whole[1::2], rtol=1e-4, atol=1e-5)
    assert not found.states[::2].any()


def test_answers_do_not_depend_on_the_batch(backbone: Backbone) -> None:
    exit, asked = EarlyExit(learned_heads(), ExitRule((1, 2, 3), 0.8, 2)), prompts(8)
    together = exit.answer(backbone, asked, None, WORDS)
    assert len(set(together.depths.tolist())) > 1
    backbone.forget()
    for row, prompt in enumerate(asked):
        alone = exit.answer(backbone, [prompt], None, WORDS)
        assert alone.depths[0] == together.depths[row]
        assert alone.odds[0] == pytest.approx(together.odds[row], abs=1e-4)
    every = exit.ask_all(backbone, asked, None, WORDS)
    stops = exit.rule.stop(every[:, :-1]) if exit.rule else []
    np.testing.assert_allclose(every[np.arange(8), stops], together.odds, atol=1e-4)


def test_the_first_of_single_requests_makes_the_next_ones_cheap(backbone: Backbone) -> None:
    exit, (first, second) = EarlyExit(learned_heads(), ExitRule((1, 2, 3), 0.0, 1)), prompts(2)
    assert exit.answer(backbone, [first], None, WORDS).usage.read == len(first)
    after = exit.answer(backbone, [second], None, WORDS).usage
    assert (after.read, after.reused) == (len(second) - 24, 24)


class OnlyWhole(torch.nn.Module):
    """A norm that does nothing to a text's last state alone."""

    def __init__(self, norm: torch.nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.norm(states)) if states.dim() == 3 else states


def test_a_model_that_is_put_together_otherwise_is_refused(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    check_layerwise(backbone)
    monkeypatch.setattr(backbone.decoder, "norm", OnlyWhole(backbone.decoder.norm))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="does not give the same when it is read layer by layer"):
        check_layerwise(backbone)
    monkeypatch.delattr(backbone.decoder, "rotary_emb")
    with pytest.raises(ConfigError, match="cannot be read layer by layer"):
        check_layerwise(backbone)


def test_heads_stand_below_the_last_layer() -> None:
    assert ExitConfig().place(8) == (2, 4, 6)
    assert ExitConfig().place(2) == (1,)
    assert ExitConfig(layers=(1, 3)).place(4) == (1, 3)
    for layers, depth in (((1, 4), 4), (None, 1)):
        with pytest.raises(ConfigError, match="no head can answer after"):
            ExitConfig(layers=layers).place(depth)
    with pytest.raises(ValidationError, match="ascending"):
        ExitConfig(layers=(2, 1))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "exit needs a tuned model"),
        ({"tuning": {"shares": {"ctr": 0.0}}}, "learn from dialogues about clicks"),
        ({"tuning": {}, "thought": {"observe": 4}}, "nothing can be written after an early answer"),
    ],
)
def test_settings_that_do_not_go_together(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CotConfig.model_validate({"exit": {}, **more})


def settings(deep: Path, risk: float) -> dict[str, Any]:
    return {
        "backbone": {"model": str(deep), "device": "cpu", "precision": "float32"},
        "prompt": {"history": 4, "history_text": "none"},
        "exit": {"layers": [1, 2, 3], "risk": risk, "consecutive": 1},
        "tuning": {**SMALL, "steps": 4, "validations": 1, "shares": {"sequential": 0.0, "direct": 0.0, "ctr": 1.0}},
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"), task=Task.CTR)


@pytest.fixture(scope="module")
def early(deep: Path, world: Tiny) -> Cot:
    """Tuned, with a risk that lets texts leave."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting_module, "FEWEST", 10)  # the tiny shop has 28 clicks and 20 that are none
        policy = Cot(CotConfig.model_validate(settings(deep, 0.3)))
        policy.fit(world.fit)
    return policy


def test_a_tuned_policy_answers_early_and_says_so(early: Cot, world: Tiny) -> None:
    report, asked = early.report["exit"], world.test.queries
    assert report["threshold"] is not None
    assert report["bound"] <= 0.3
    assert report["share of layers"] < 1
    assert sum(report["answered after"].values()) == pytest.approx(1.0)
    found = early.engine.score_clicks(asked) if early.deliberate(asked, world.observation(asked)) else None
    assert found is not None
    assert found.depths is not None
    assert asked.candidates is not None
    assert found.depths[asked.candidates >= 0].mean() < LAYERS
    assert not found.depths[asked.candidates < 0].any()
    answer = early.deliberate(asked, world.observation(asked))
    assert f"of {LAYERS} layers" in " ".join(step.claim for step in answer.steps[0])
    said = "\n".join(format_exit(report))
    assert "of the layers" in said
    assert "ms per request instead of" in said


def test_kept_and_loaded_it_answers_as_before(early: Cot, world: Tiny, tmp_path: Path) -> None:
    asked = world.test.queries
    answer = early.deliberate(asked, world.observation(asked))
    early.save(tmp_path)
    loaded = Cot.load(tmp_path, world.dataset.catalog)
    again = loaded.deliberate(asked, world.observation(asked))
    assert answer.probability is not None
    assert again.probability is not None
    np.testing.assert_allclose(again.probability, answer.probability, rtol=1e-4)
    assert loaded.engine.exit is not None
    assert early.engine.exit is not None
    assert loaded.engine.exit.rule == early.engine.exit.rule


def test_a_threshold_that_is_never_reached_is_the_whole_model(early: Cot, world: Tiny) -> None:
    asked = world.test.queries
    seen = world.observation(asked)
    early.deliberate(asked, seen)
    engine = early.engine
    assert engine.exit is not None
    assert engine.exit.rule is not None
    kept = engine.exit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "exit", replace(kept, rule=replace(engine.exit.rule, threshold=np.inf)))
        never = early.deliberate(asked, seen).probability
        patch.setattr(engine, "exit", None)
        whole = early.deliberate(asked, seen).probability
    assert never is not None
    np.testing.assert_array_equal(never, whole)
    # Read by layers, with a threshold that is finite but not reached, the answers are those of the whole model, too.
    high = replace(kept, rule=replace(engine.exit.rule, threshold=1e9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "exit", high)
        found = engine.score_clicks(asked)
        patch.setattr(engine, "exit", None)
        np.testing.assert_allclose(found.chance, engine.score_clicks(asked).chance, atol=1e-5)
    assert found.depths is not None
    assert set(found.depths.ravel().tolist()) <= {0, LAYERS}


def test_a_tokenizer_that_splits_yes_is_refused(world: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='needs "yes" and "no" to be one token each'):
        Cot(CotConfig.model_validate(settings(tiny_llama(tmp_path, num_hidden_layers=LAYERS), 0.3))).fit(world.fit)


def test_a_risk_that_allows_nothing_answers_by_all_layers(deep: Path, world: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"too few to guarantee a loss of at most 0\.001"):
        Cot(CotConfig.model_validate(settings(deep, 0.001))).fit(world.fit)
    said = format_exit({"threshold": None, "risk": 0.01, "rows": 200, "answered after": {}, "milliseconds": {}})
    assert said == ["No early answers: none keeps the risk of 0.01 on 200 validation rows."]


def test_a_policy_without_heads_cannot_say_when_it_settled(llama: Path, world: Tiny) -> None:
    bare = {"backbone": {"model": str(llama), "device": "cpu", "precision": "float32"}}
    policy = Cot(CotConfig.model_validate(bare))
    policy.fit(world.fit)
    asked = world.test.queries
    with pytest.raises(PluginError, match="no heads between its layers"):
        policy.settle_depths(asked, world.observation(asked))
