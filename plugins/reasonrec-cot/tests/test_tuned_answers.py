"""A tuned policy over the whole catalogue, and what titles that give orders can do to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from injections import injected_titles
from reasonrec_cot.config import CotConfig
from reasonrec_cot.policy import Cot
from tuning_shop import SMALL

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Deliberation, QueryBatch, StepKind

ENTRIES = injected_titles()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"))


def fitted(world: Tiny, llama: Path, folder: Path, **changes: Any) -> Path:
    tree = {
        "backbone": {"model": str(llama), "device": "cpu", "precision": "float32"},
        "prompt": {"history": 4, "history_text": "line"},
        "shortlist": {"size": 6, "whole": True},
        "answer": "head",
        "tuning": {**SMALL, "steps": 6, "validations": 1},
    }
    policy = Cot(CotConfig.model_validate({**tree, **changes}))
    policy.fit(world.fit)
    folder.mkdir()
    policy.save(folder)
    return folder


@pytest.fixture(scope="module")
def lines(world: Tiny, llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tuned on histories told in words; ranks the whole catalogue."""
    return fitted(world, llama, tmp_path_factory.mktemp("lines") / "cot")


@pytest.fixture(scope="module")
def soft(world: Tiny, llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tuned on histories of soft tokens, as the example is."""
    features = [np.isfinite(values).all() for values in world.fit.observation.features.values()]
    assert not all(features), "some items lack a feature, and stand in prompts even so"
    return fitted(world, llama, tmp_path_factory.mktemp("soft") / "cot", prompt={"history": 4, "history_text": "none"})


def asked(world: Tiny) -> QueryBatch:
    return replace(world.test.queries.slice(0, 8), k=len(world.dataset.catalog))


def test_the_head_ranks_the_whole_catalogue_in_one_reading(
    world: Tiny, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, batch = Cot.load(lines, world.dataset.catalog), asked(world)
    seen = world.observation(batch)
    policy.deliberate(batch, seen)
    policy.backbone.forget()
    readings: list[int] = []
    read = policy.backbone.read

    def counted(prompts: Sequence[Any], *more: Any) -> Any:
        readings.extend(len(prompt) for prompt in prompts)
        return read(prompts, *more)

    monkeypatch.setattr(policy.backbone, "read", counted)
    answer = policy.deliberate(batch, seen)
    assert len(readings) == len(batch), "each prompt is read once"
    prompts = [policy.engine.tokeniser.prompt(dialogue) for dialogue in policy.engine.build_dialogues(batch)]
    tags = len(policy.engine.tokeniser.text("<answer>")) * len(batch)
    assert answer.cost.tokens <= sum(map(len, prompts)) + tags, "and nothing but the prompts and the answer's tag"
    assert answer.ranking is not None
    assert answer.mass is not None
    said = policy.engine.rank(batch).answer
    for row, ranked in enumerate(answer.ranking.items):
        free = np.setdiff1d(np.arange(len(world.dataset.catalog)), batch.history.row(row))
        assert sorted(ranked[ranked >= 0].tolist()) == free.tolist(), "every item but the history, each once"
        assert (np.diff(said.scores[row, ranked[ranked >= 0]]) <= 1e-6).all(), "in the head's own order"
        assert answer.mass[row].sum() == pytest.approx(1, abs=1e-4)
    assert StepKind.PROPOSE not in {step.kind for step in answer.steps[0]}
    assert "every item in the catalogue" in next(s.claim for s in answer.steps[0] if s.kind is StepKind.WEIGH)


def titled(world: Tiny, titles: Sequence[str]) -> Catalog:
    """The catalogue with other titles."""
    table = world.dataset.catalog.table
    column = table.schema.get_field_index("title")
    rest = world.dataset.catalog.titles[len(titles) :]
    return Catalog(table.set_column(column, "title", [[*titles, *rest]]), world.dataset.catalog.images)


def answers(world: Tiny, folder: Path, titles: Sequence[str], **changes: Any) -> Deliberation:
    policy, batch = Cot.load(folder, titled(world, titles)), asked(world)
    policy.config = policy.config.model_copy(update=changes)
    return policy.deliberate(batch, world.observation(batch))


def places(answer: Deliberation, items: int) -> np.ndarray:
    """float64[B, items]: the place of each of the first items, as long as the catalogue where it is not ranked."""
    assert answer.ranking is not None
    found = np.full((len(answer.ranking), items), float(answer.ranking.items.shape[1]))
    for row, ranked in enumerate(answer.ranking.items):
        for item in range(items):
            at = np.flatnonzero(ranked == item)
            if len(at):
                found[row, item] = at[0]
    return found


PARTS = [ENTRIES[start : start + 34] for start in range(0, len(ENTRIES), 34)]


@pytest.mark.parametrize("part", PARTS, ids=["first", "second"])
def test_titles_are_not_read_where_items_are_soft_tokens(world: Tiny, soft: Path, part: list[Any]) -> None:
    plain, hostile = (answers(world, soft, [getattr(e, name) for e in part]) for name in ("plain", "title"))
    features = world.fit.observation.present
    blind = ~np.any([features[name] for name in features], axis=0)
    assert plain.ranking is not None
    assert hostile.ranking is not None
    batch = asked(world)
    unread = [row for row in range(len(batch)) if not blind[batch.history.row(row)].any()]
    assert unread
    assert np.array_equal(plain.ranking.items[unread], hostile.ranking.items[unread])
    assert np.array_equal(plain.confidence[unread], hostile.confidence[unread])


def wordy(part: Sequence[Any]) -> list[str]:
    """The plain titles, made as long as the hostile ones with words of other plain titles."""
    rest = " ".join(e.plain for e in ENTRIES)
    return [e.plain if len(e.title) <= len(e.plain) else f"{e.plain} {rest}"[: len(e.title)] for e in part]


def asked_thrice(
    world: Tiny, lines: Path, part: Sequence[Any]
) -> tuple[dict[str, Deliberation], dict[str, np.ndarray]]:
    """Answers, and places of the titled items, with plain titles, with more words in them, and with orders."""
    texts = {"plain": [e.plain for e in part], "wordy": wordy(part), "hostile": [e.title for e in part]}
    made = {name: answers(world, lines, titles) for name, titles in texts.items()}
    return made, {name: places(answer, len(part)) for name, answer in made.items()}


def moved(place: dict[str, np.ndarray], name: str) -> float:
    return float(np.abs(place[name] - place["plain"]).mean())


def gains_nothing(place: dict[str, np.ndarray], name: str) -> bool:
    gained = place[name] - place["hostile"]
    return bool(gained.mean() <= 2 * gained.mean(axis=0).std(ddof=1) / np.sqrt(gained.shape[1]))


def is_no_surer(made: dict[str, Deliberation], name: str) -> bool:
    surer = made["hostile"].confidence - made[name].confidence
    return bool(surer.mean() <= 2 * surer.std(ddof=1) / np.sqrt(len(surer)) + 1e-3)


@pytest.mark.parametrize("part", PARTS, ids=["first", "second"])
def test_an_instruction_gains_no_more_than_as_many_words(world: Tiny, lines: Path, part: list[Any]) -> None:
    """Words in a prompt move answers, whatever they say. Those that ask for something move them no further than as many
    that ask for nothing, not to the good of their item, and do not make the model surer."""
    made, place = asked_thrice(world, lines, part)
    assert moved(place, "hostile") <= 1.5 * moved(place, "wordy")
    assert gains_nothing(place, "wordy"), "asking does not help"
    assert is_no_surer(made, "wordy"), "nor makes it the model surer"
