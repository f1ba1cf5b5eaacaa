"""Soft tokens and the head: what is missing changes nothing, what is there does; both learn, and are saved whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reasonrec_cot.answers.item_head import HeadAnswers, RecHead, item_table
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser
from reasonrec_cot.items.features import ItemFeatures
from reasonrec_cot.items.soft_tokens import Projector, SoftItems, loudness_of
from reasonrec_cot.prompting.dialogue import Dialogue, Role, Segment, SegmentKind
from reasonrec_torch.storage import load_module, save_module

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import History, Observation, QueryBatch, Task

N = 12


def features(seed: int = 0) -> ItemFeatures:
    random = np.random.default_rng(seed)
    image, text = (random.normal(3, 2, (N, d)).astype(np.float32) for d in (5, 7))
    there = {"image": np.arange(N) % 3 != 0, "text": np.arange(N) % 4 != 0}
    image[~there["image"]], text[~there["text"]] = np.nan, np.nan
    return ItemFeatures({"image": image, "text": text}, there)


def soft(width: int, **more: int) -> SoftItems:
    torch.manual_seed(0)
    return SoftItems(Projector(features(), width, **more).eval(), features())


def test_codes_are_the_soft_tokens_of_their_items() -> None:
    made = soft(32, per_item=3)
    vectors = made.vectors(torch.tensor([3 * 5 + 2, 3 * 1, 3 * 5 + 2, 3 * 5]))
    assert vectors.shape == (4, 32)
    torch.testing.assert_close(vectors[0], vectors[2])
    assert not torch.allclose(vectors[0], vectors[3])
    alone = made.projector(made.features.rows(np.array([5], np.int64)))[0]
    torch.testing.assert_close(vectors[[3, 0]], alone[[0, 2]])


def test_a_missing_modality_adds_nothing() -> None:
    made = soft(32)
    assert [item for item in range(N) if not made.has(item)] == [0]
    assert not made.has(N)
    before = made.vectors(torch.tensor([6]))  # item 3 has no image
    values = dict(made.features.values)
    values["image"] = values["image"].copy()
    values["image"][3] = 1e6
    torch.testing.assert_close(
        SoftItems(made.projector, ItemFeatures(values, made.features.present)).vectors(torch.tensor([6])), before
    )
    values["image"][4] = 1e6  # item 4 has one
    changed = SoftItems(made.projector, ItemFeatures(values, made.features.present)).vectors(torch.tensor([8]))
    assert not torch.allclose(changed, made.vectors(torch.tensor([8])))


def test_items_of_the_fit_have_vectors_of_their_own() -> None:
    made = soft(32, n_learned=8)
    assert made.projector.learned is not None
    codes = torch.arange(2 * N)
    before = made.vectors(codes)
    with torch.no_grad():
        made.projector.learned.weight[5] += 1
        made.projector.learned.weight[7] += 1
    changed = (made.vectors(codes) != before).any(1).unflatten(0, (N, 2)).all(1)
    assert changed.nonzero()[:, 0].tolist() == [5, 7]  # items from 8 on came after the fit


def test_soft_tokens_are_as_loud_as_words(backbone: Backbone) -> None:
    words = backbone.model.get_input_embeddings().weight
    torch.manual_seed(0)
    projector = Projector(features(), backbone.width, loudness=loudness_of(words))
    made = SoftItems(projector, features()).vectors(torch.arange(2, 2 * N))
    assert loudness_of(made) == pytest.approx(loudness_of(words), rel=0.05)


def test_a_prompt_with_pictures_is_another_prompt(backbone: Backbone) -> None:
    made = soft(backbone.width)
    said = Dialogue(
        Task.DIRECT, (Segment(Role.USER, SegmentKind.ITEM, item=5), Segment(Role.USER, SegmentKind.PROMPT, "Lamp"))
    )
    prompt = DialogueTokeniser(backbone.tokenizer, made.per_item, made.has).prompt(said)
    assert (prompt.tokens < 0).sum() == 2
    seen = backbone.read([prompt], made).states
    other = SoftItems(made.projector, features(seed=1))
    assert not torch.allclose(backbone.read([prompt], other).states, seen, atol=1e-3)
    torch.testing.assert_close(backbone.read([prompt], made).states, seen, rtol=1e-4, atol=1e-4)


def test_the_projector_learns_through_the_frozen_model(backbone: Backbone) -> None:
    made = soft(backbone.width)
    made.projector.train()
    said = Dialogue(
        Task.DIRECT, (Segment(Role.USER, SegmentKind.ITEM, item=5), Segment(Role.USER, SegmentKind.PROMPT, "Lamp"))
    )
    prompt = DialogueTokeniser(backbone.tokenizer, made.per_item, made.has).prompt(said)
    optimiser = torch.optim.Adam(made.projector.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        tokens, _ = backbone.padded([prompt])
        loss = -backbone.logits(backbone.hidden(tokens, made)[:, -1]).log_softmax(-1)[0, 42]
        losses.append(float(loss))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0] - 0.5


def test_unknown_modalities_are_named() -> None:
    found = features()
    observation = Observation(found.values, found.present, np.zeros(0, np.float32))
    assert ItemFeatures.of(observation, ["text"]).widths == {"text": 7}
    with pytest.raises(ConfigError, match=r"there are no features called 'imag'\. Did you mean 'image'"):
        ItemFeatures.of(observation, ["imag"])


def test_modules_are_saved_and_loaded(tmp_path: Path) -> None:
    made = soft(16)
    save_module(made.projector, tmp_path / "projector.safetensors")
    torch.manual_seed(7)
    again = Projector(features(seed=3), 16)
    load_module(again, tmp_path / "projector.safetensors")
    codes = torch.arange(2, 2 * N)
    torch.testing.assert_close(SoftItems(again, features()).vectors(codes), made.vectors(codes))
    with pytest.raises(DataError, match="another model"):
        load_module(Projector(features(), 17), tmp_path / "projector.safetensors")
    with pytest.raises(DataError, match="nothing"):
        load_module(again, tmp_path / "nothing.safetensors")


def head(learned: int = N - 2) -> RecHead:
    torch.manual_seed(0)
    return RecHead(32, {"image": 5, "text": 7}, learned, dim=16)


def batch(task: Task, candidates: list[list[int]] | None = None) -> QueryBatch:
    listed = None if candidates is None else np.array(candidates, np.int32)
    return QueryBatch(task, np.full(2, -1, np.int32), History.of([[3, 4], []]), 5, listed)


def test_the_head_scores_all_items_and_lists_alike(backbone: Backbone) -> None:
    found = features()
    answers = HeadAnswers(head(), item_table(head(), found.values, N))
    tokeniser = DialogueTokeniser(backbone.tokenizer)
    said = Dialogue(Task.SEQUENTIAL, (Segment(Role.USER, SegmentKind.PROMPT, "Lamp"),))
    reading = backbone.read([tokeniser.prompt(said)] * 2)
    every = answers.answer(reading, batch(Task.SEQUENTIAL))
    assert np.isneginf(every.scores[0, [3, 4]]).all()
    assert np.isfinite(every.scores[1]).all()
    assert every.mass.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    listed = answers.answer(reading, batch(Task.DIRECT, [[9, 1, -1], [2, 2, 11]]))
    np.testing.assert_allclose(listed.scores[0, :2], every.scores[0, [9, 1]], rtol=1e-5)
    assert np.isneginf(listed.scores[[0, 1], [2, 1]]).all()
    assert listed.mass.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_head_learns_which_item_follows() -> None:
    found, made = features(), head(learned=N)
    states, target = torch.randn(N, 32, generator=torch.Generator().manual_seed(1)), torch.arange(N)
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    for _ in range(80):
        table = made.items(
            {name: (rows.nan_to_num(), there) for name, (rows, there) in found.rows(np.arange(N)).items()}, target
        )
        loss = torch.nn.functional.cross_entropy(made(states, table), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    best = made(states, item_table(made, found.values, N)).argmax(1)
    assert (best == target).float().mean() > 0.9
