"""Tuning learns what follows, from the training part alone, the same after a kill; what it learned can be kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from reasonrec_cot.answers.fit_fusion import fit_score_fusion
from reasonrec_cot.answers.score_fusion import DelegateScores, ScoreFusion
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.config import BackboneConfig
from reasonrec_cot.finetuned import FineTuned
from reasonrec_cot.items.features import collaborative_vectors
from reasonrec_cot.tuning.command import format_report
from reasonrec_cot.tuning.command import tune as command
from reasonrec_cot.tuning.encoding import collate, encode, truncate_after_head
from reasonrec_cot.tuning.examples import Examples
from reasonrec_cot.tuning.forward import shared_hidden
from reasonrec_cot.tuning.sampling import Sampler
from reasonrec_cot.tuning.tune import PromptingSettings, TuningParts, tune
from reasonrec_cot.tuning_config import TaskShares, TuningConfig
from reasonrec_torch.curriculum import CurriculumConfig
from tuning_shop import LONG, SMALL, USERS, N, data, generator

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import Float32, Task

SPEECH = PromptingSettings.model_validate({"prompt": {"history": LONG, "history_text": "none"}, "soft": {"hidden": 16}})


def fresh(llama: Path) -> Backbone:
    return Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32"))


def config(**more: Any) -> TuningConfig:
    return TuningConfig.model_validate({**SMALL, **more})


def build(llama: Path, **more: Any) -> TuningParts:
    return TuningParts(config(**more), SPEECH, fresh(llama), data())


def sampler(made: TuningParts, *, said: bool = True) -> Sampler:
    return Sampler(made.examples, made.answering.tokeniser, TaskShares(direct=0, ctr=0), 600, 0, said)


@pytest.fixture(scope="module")
def tuned(llama: Path) -> tuple[Backbone, FineTuned]:
    backbone = fresh(llama)
    return backbone, tune(config(steps=150), SPEECH, backbone, data(), generator)


def scores(backbone: Backbone, tuned: FineTuned) -> Float32:
    """Of the whole catalogue, for every validation query."""
    made = TuningParts(config(lora={"rank": 0}), SPEECH, backbone, data())
    known, seen = data().valid, data().observation
    assert known is not None
    states = made.answering.states(known.queries, tuned.soft(seen, N))
    answers = tuned.answers(seen, N)
    with torch.no_grad():
        return np.asarray(answers.head(states, answers.table).numpy())


def test_losses_fall_and_the_figure_rises(tuned: tuple[Backbone, FineTuned]) -> None:
    training = tuned[1].report["training"]
    first, last = training["epochs"][1], training["epochs"][-1]
    assert last["losses"]["recommendation"] < first["losses"]["recommendation"]
    assert last["losses"]["answer"] < first["losses"]["answer"]
    assert training["validation"] > training["epochs"][0]["validation"] + 0.2
    assert set(training["tokens"]) == {"sequential", "direct", "ctr"}
    assert any("NDCG@10" in line and "*" in line for line in [format_report(tuned[1].report)[0] + "*"])
    json.dumps(tuned[1].report)


def test_what_is_learned_is_kept_and_answers_alike_elsewhere(
    tuned: tuple[Backbone, FineTuned], llama: Path, tmp_path: Path
) -> None:
    backbone, made = tuned
    made.save(tmp_path)
    other = fresh(llama)
    loaded = FineTuned.load(tmp_path, other)
    assert loaded.report == json.loads(json.dumps(made.report))
    assert loaded.decision == made.decision
    np.testing.assert_allclose(scores(other, loaded), scores(backbone, made), atol=1e-4)
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"broken")
    with pytest.raises(DataError, match="adapters"):
        FineTuned.load(tmp_path, fresh(llama))
    kept = json.loads((tmp_path / "tuned.json").read_text())
    del kept["format"]
    (tmp_path / "tuned.json").write_text(json.dumps(kept))
    with pytest.raises(DataError, match=r"tuned by another version.*format 1, not 2"):
        FineTuned.load(tmp_path, fresh(llama))


class Killed(Exception):
    pass


def test_a_killed_tuning_goes_on_to_the_same_weights(llama: Path, tmp_path: Path) -> None:
    told: list[str] = []

    def kill(done: int, total: int, label: str) -> None:
        told.append(label)
        if done >= 700:
            raise Killed

    small = config(steps=10, lora={"rank": 4, "dropout": 0.2}, thoughts=0.5, ema=0.8)
    whole = tune(small, SPEECH, fresh(llama), data(), generator)
    with pytest.raises(Killed):
        tune(small, SPEECH, fresh(llama), data(tmp_path, kill), generator)
    resumed = tune(small, SPEECH, fresh(llama), data(tmp_path), generator)
    assert whole.adapter is not None
    assert resumed.adapter is not None
    for name, value in whole.adapter.tensors.items():
        torch.testing.assert_close(resumed.adapter.tensors[name], value, rtol=0, atol=0)
    for name, value in whole.head.state_dict().items():
        torch.testing.assert_close(resumed.head.state_dict()[name], value, rtol=0, atol=0)
    assert "places/s" in told[-1]
    assert "left" in told[-1]


def test_minutes_bound_the_tuning_and_more_of_them_go_on(llama: Path, tmp_path: Path) -> None:
    steps = []
    for minutes in (0.05, 0.08):
        bound = config(steps=10**6, minutes=minutes, patience=100)
        report = tune(bound, SPEECH, fresh(llama), data(tmp_path), generator).report["training"]
        assert report["stopped"] == "minutes"
        steps.append(report["steps"])
    assert steps[0] < steps[1] < 10**4


def test_every_history_item_teaches_the_next(llama: Path) -> None:
    made = build(llama)
    rng = np.random.default_rng(0)
    dialogue = made.examples.draw(Task.SEQUENTIAL, 1, 0.5, rng)[0]
    encoded = encode(made.answering.tokeniser, dialogue)
    soft = [item for item in dialogue.items if item != 3]  # film 3 has no picture, but is known from the log
    assert encoded.items.tolist() == [*dialogue.items[1:], dialogue.target]
    assert len(soft) <= len(dialogue.items)
    per_item = made.answering.tokeniser.soft_tokens
    for spot, item in zip(encoded.spots[:-1], encoded.items[:-1], strict=True):
        assert encoded.tokens[spot + 1] == -1 - item * per_item
    text = made.answering.backbone.tokenizer.decode([t for t in encoded.tokens if t >= 0])
    assert "<confidence>" not in text
    stated = encode(made.answering.tokeniser, dialogue, confidence=True)
    said = made.answering.backbone.tokenizer.decode(stated.tokens[stated.learned + 1].tolist())
    assert said.startswith("<confidence>0.5")
    assert not len(stated.spots)


def test_without_text_to_learn_a_dialogue_ends_where_the_head_is_asked(llama: Path) -> None:
    made = build(llama)
    (dialogue,) = made.examples.draw(Task.SEQUENTIAL, 1, 1.0, np.random.default_rng(0))
    whole = encode(made.answering.tokeniser, dialogue)
    bare = truncate_after_head(whole)
    assert len(bare) == whole.spots[-1] + 1 < len(whole)
    np.testing.assert_array_equal(bare.items, whole.items)
    assert not len(bare.learned)
    (click,) = made.examples.draw(Task.CTR, 1, 1.0, np.random.default_rng(0))
    encoded = encode(made.answering.tokeniser, click)
    assert truncate_after_head(encoded) is encoded
    losses = made.module.loss(sampler(made, said=False).draw(0, 0, 0.5), np.random.default_rng(0))
    assert set(losses.parts) == {"recommendation"}


def test_what_happened_at_once_has_no_order(llama: Path) -> None:
    known, prompt_builder = data(), build(llama).answering.prompt_builder
    items = np.tile(np.arange(LONG, dtype=np.int32), USERS)
    tied = replace(known, train=replace(known.train, items=items, times=known.train.times // 4))
    orders = {True: set(), False: set()}
    for shuffled, found in orders.items():
        examples = Examples(tied, prompt_builder, None, CurriculumConfig(kind="none"), 5, 0.0, shuffled)
        for dialogue in examples.draw(Task.SEQUENTIAL, 200, 0.5, np.random.default_rng(0)):
            asked = (*dialogue.items, dialogue.target)
            assert [item // 4 for item in asked] == sorted(item // 4 for item in asked)
            found.add(asked)
    assert len(orders[True]) > 100
    assert orders[False] == {tuple(range(length)) for length in range(2, LONG + 1)}


@pytest.mark.parametrize("kind", ["none", "three-phase", "truncation"])
def test_dialogues_know_nothing_but_the_training_part(llama: Path, kind: Any) -> None:
    known = data()
    made = build(llama)
    examples = Examples(known, made.answering.prompt_builder, None, CurriculumConfig(kind=kind), 5, 0.0)
    log = {(int(u), tuple(known.train.items[known.train.users == u].tolist())) for u in range(USERS)}
    sequences = [row for _, row in log]
    for progress in (0.0, 0.5, 1.0):
        for task in (Task.SEQUENTIAL, Task.DIRECT, Task.CTR):
            for dialogue in examples.draw(task, 6, progress, np.random.default_rng(1)):
                history = [item for item in dialogue.items if item not in dialogue.candidates]
                assert len(history) + len(dialogue.candidates) == len(dialogue.items)
                asked = [*history, dialogue.target]
                if task is Task.CTR and dialogue.completion[0].text != "<answer>yes</answer>":
                    asked = history
                assert any(asked == list(row[at : at + len(asked)]) for row in sequences for at in range(LONG))
                if task is Task.DIRECT:
                    assert dialogue.target in dialogue.candidates


def test_reading_once_changes_neither_states_nor_gradients(llama: Path) -> None:
    made = build(llama, lora={"rank": 4})
    drawn = made.examples.draw(Task.SEQUENTIAL, 4, 0.5, np.random.default_rng(2))
    batch = collate([encode(made.answering.tokeniser, dialogue) for dialogue in drawn])
    found = []
    for read in (lambda: shared_hidden(made.module.backbone, batch.tokens, made.soft)[0],
                 lambda: made.module.backbone.hidden(batch.tokens, made.soft)):  # fmt: skip
        made.module.zero_grad()
        states = read()[batch.spots[0], batch.spots[1]]
        states.square().sum().backward()
        gradients = [p.grad.clone() for group in made.module.groups() for p in group if p.grad is not None]
        found.append((states.detach(), gradients))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-4)
    assert len(found[0][1]) == len(found[1][1]) > 4
    for once, plain in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(once, plain, rtol=1e-3, atol=1e-3)


def test_sampled_softmax_and_thoughts_and_confidence(llama: Path) -> None:
    more: dict[str, Any] = {"negatives": 5, "thoughts": 1.0, "confidence_steps": 2, "steps": 4, "validations": 1}
    report = tune(config(**more), SPEECH, fresh(llama), data(), generator).report
    assert report["training"]["epochs"][-1]["targets"]["thought"] > 0
    assert (
        report["confidence"] == {"steps": 0, "why": "fewer than 40 validation pairs"} or report["confidence"]["steps"]
    )
    assert "decision, cross-fitted" in report["decision"]["figures"]


def test_the_decision_weighs_what_each_source_knows() -> None:
    rng = np.random.default_rng(0)
    queries, listed = 400, 12
    candidates = np.tile(np.arange(listed, dtype=np.int32), (queries, 1))
    targets = rng.integers(listed, size=queries).astype(np.int32)
    right = candidates == targets[:, None]
    given = {
        name: (rng.standard_normal(right.shape) + strength * right).astype(np.float32)
        for name, strength in (("head", 1.0), ("generator", 1.5))
    }
    given["generator"] *= 1000  # a delegate's scores have any unit
    horizon = rng.random(queries).astype(np.float32)
    fitted = fit_score_fusion(given, candidates, targets, horizon)
    figures = {name: row["NDCG@10"] for name, row in fitted.report["figures"].items()}
    assert figures["decision, cross-fitted"] > max(figures["head"], figures["generator"]) + 0.03
    assert fitted.decision is not None
    again = ScoreFusion.from_dict(json.loads(json.dumps(fitted.decision.to_dict())))
    assert again == fitted.decision
    given["head"][:, 0] = given["generator"][:, 0] = -np.inf
    joint = again(given, horizon)
    assert np.isneginf(joint[:, 0]).all()
    assert np.isfinite(joint[:, 1:]).all()
    some = {name: values[:20] for name, values in given.items()}
    assert fit_score_fusion(some, candidates[:20], targets[:20], horizon[:20]).decision is None
    assert DelegateScores(given, horizon).take(np.array([3])).scores["head"].shape == (1, listed)


def test_items_that_follow_each_other_are_near() -> None:
    known = data()
    found = collaborative_vectors(known.train, N + 1, 6)
    assert np.isnan(found[N]).all()
    near = found[:N, :6] @ found[:N, 6:].T
    item = np.arange(N)
    after, before = near[item, (item + 1) % N], near[item, (item - 1) % N]
    assert (after > before).mean() > 0.9
    assert (after > near.mean()).mean() > 0.9


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('[data]\npath = "x"\n[policy]\nname = "profile"\n')
    found = CliRunner().invoke(command, [str(tmp_path / "p.toml")])
    assert isinstance(found.exception, ConfigError)
    assert "policy.tuning" in str(found.exception)
