"""Similar users in the prompt: what it says, that titles stay in their fences, that no label reaches its own row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from injections import injected_titles
from reasonrec_cot.answers import fit_ctr_fusion as fitting_module
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.config import BackboneConfig, CotConfig
from reasonrec_cot.items.similar_prompt import NEWEST, SimilarDescriber
from reasonrec_cot.items.similar_users import SimilarUsers, keep_clicks
from reasonrec_cot.policy import Cot
from reasonrec_cot.prompting.dialogue import Dialogue
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.output_grammar import opening
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptRequest, PromptSettings
from reasonrec_cot.prompting.similar_choices import SimilarChoices, count_choices
from reasonrec_cot.prompting.templates import load_templates
from reasonrec_cot.similar_config import SimilarUsersConfig
from reasonrec_cot.tuning.examples import Drawn, Examples
from reasonrec_cot.tuning.similar_folds import SimilarFolds
from reasonrec_cot.tuning.tune import PromptingSettings, TuningParts
from reasonrec_torch.curriculum import CurriculumConfig
from tuning_shop import SMALL
from words_shop import shop

from reasonrec_core.components import FitData
from reasonrec_core.errors import DataError
from reasonrec_core.testing import PolicyConformance
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import History, QueryBatch, StepKind, Task, indptr_of

CONFIG = SimilarUsersConfig(delegate="implicit-als", settings={"factors": 8}, count=4, prompt=True)
WORDS = load_templates()
KNOWN = SimilarChoices(10, 3, 1, (4, 5))
PEOPLE = "people with the most similar choices"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("world"), task=Task.CTR)


@pytest.fixture(scope="module")
def similar(world: Tiny) -> SimilarUsers:
    return SimilarUsers.fit(CONFIG, world.fit)


def builder(words: ItemWords, **settings: Any) -> PromptBuilder:
    return PromptBuilder(words, WORDS, PromptSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ((10, 3, 1), f"4 of the 10 {PEOPLE} saw the item in question: 3 liked it, 1 did not."),
        ((10, 0, 0), f"None of the 10 {PEOPLE} has seen the item in question."),
        ((1, 1, 0), "The person with the most similar choices liked the item in question."),
        ((1, 0, 1), "The person with the most similar choices did not like the item in question."),
        ((1, 0, 0), "The person with the most similar choices has not seen the item in question."),
        ((0, 0, 0), ""),
    ],
)
def test_what_is_counted_is_a_sentence(numbers: tuple[int, int, int], sentence: str) -> None:
    assert count_choices(SimilarChoices(*numbers)) == sentence


def test_it_stands_before_the_question_which_stays_as_it_was() -> None:
    prompts = builder(ItemWords(shop()), soft_tokens=False, history_text="title")
    request = PromptRequest(Task.CTR, [0, 1], [3])
    for template in WORDS[Task.CTR].templates:
        bare = prompts.ask(request, template)
        assert prompts.ask(replace(request, similar=SimilarChoices(0, 0, 0)), template) == bare
        longer = prompts.ask(replace(request, similar=KNOWN), template)
        assert longer.segments[0] == bare.segments[0]
        first, _, rest = longer.segments[1].text.partition("\n")
        assert rest == bare.segments[1].text
        assert first == (
            f"4 of the 10 {PEOPLE} saw the item in question: 3 liked it, 1 did not. "
            'They recently liked "Paper Boat (1991)", "Garden Spade (1992)".'
        )
    assert prompts.ask(request).segments[1].text == (
        'This person liked "Night Train (1994)", "Blue Harbour (1995)". Will "Copper Kettle (1990); Comedy; Berg" be '
        "liked too?"
    )


def test_its_items_are_written_as_those_of_a_history() -> None:
    words = ItemWords(shop())
    request = PromptRequest(Task.CTR, [0], [3], similar=KNOWN)
    dialogue = builder(words, history_text="none").ask(request)
    assert dialogue.items == (4, 5, 0, 3)
    assert "Paper Boat" not in dialogue.text()
    assert words.line(4) in builder(words, history_text="line").ask(request).text()


def test_hostile_titles_do_not_leave_their_fences() -> None:
    entries = injected_titles()
    hostile, plain = (
        builder(ItemWords(shop(titles)), history_text="title")
        for titles in ([e.title for e in entries], [e.plain for e in entries])
    )
    for start in range(0, len(entries) - 3):
        choices = SimilarChoices(10, 3, 1, (start, start + 1, start + 2))
        asked = PromptRequest(Task.CTR, [0], [1], similar=choices)
        one, other = (each.ask(asked) for each in (hostile, plain))
        assert [(s.role, s.kind, s.item) for s in one.segments] == [(s.role, s.kind, s.item) for s in other.segments]
        assert one.text().count('"') == other.text().count('"')
        assert one.text().count("\n") == other.text().count("\n")
        assert one.text().count("<") == other.text().count("<")


def everybody(data: FitData, candidates: list[int], when: float) -> QueryBatch:
    """A request by every user who clicked, in the same moment, with all of her training clicks as history."""
    clicks = keep_clicks(data.train)
    users, counts = np.unique(clicks.users, return_counts=True)
    history = History(indptr_of(counts), clicks.items, clicks.times)
    times = np.full(len(users), int(np.quantile(data.train.times, when)) + 1, np.int64)
    asked = np.tile(np.array(candidates, np.int32), (len(users), 1))
    return QueryBatch(Task.CTR, users.astype(np.int32), history, candidates=asked, times=times)


def describe_by_hand(world: Tiny, similar: SimilarUsers, batch: QueryBatch) -> list[SimilarChoices]:
    """The same in loops."""
    train, found = world.fit.train, []
    assert train.values is not None
    assert batch.candidates is not None
    assert batch.times is not None
    for row, places in enumerate(similar.find(batch, world.observation(batch))):
        users = similar.users[places[places >= 0]]
        early = train.times < batch.times[row]
        liked = {u: train.items[(train.users == u) & early & (train.values > 0)][::-1].tolist() for u in users.tolist()}
        shown = {u: train.items[(train.users == u) & early].tolist() for u in users.tolist()}
        for item in batch.candidates[row].tolist():
            if item < 0:
                continue
            taken, named = {item, *batch.history.row(row).tolist()}, []
            for nth in range(NEWEST):
                for items in liked.values():
                    if nth < len(items) and items[nth] not in taken and len(named) < similar.config.titles:
                        taken.add(items[nth])
                        named.append(items[nth])
            some = sum(item in items for items in liked.values())
            others = sum(item in items for items in shown.values()) - some
            found.append(SimilarChoices(len(users), some, others, tuple(named)))
    return found


@pytest.mark.parametrize("when", [1.0, 0.5])
def test_similar_users_are_counted_and_what_they_liked_is_named(
    world: Tiny, similar: SimilarUsers, when: float
) -> None:
    seen = np.bincount(world.fit.train.items).argsort()[::-1][:2].tolist()
    batch = everybody(world.fit, [seen[0], -1, seen[1]], when)
    found = SimilarDescriber(similar, world.fit.observation)(batch)
    assert found == describe_by_hand(world, similar, batch)
    assert len(found) == 2 * len(batch)
    assert {each.liked for each in found} > {0}
    assert {each.disliked for each in found} > {0}
    assert max(len(each.items) for each in found) == CONFIG.titles
    assert len({each.items for each in found}) > 5


def test_nothing_of_later_is_told_and_new_items_and_strangers_are_answered(world: Tiny, similar: SimilarUsers) -> None:
    describe = SimilarDescriber(similar, world.fit.observation)
    first = describe(replace(everybody(world.fit, [0], 0.0), times=None))
    early = everybody(world.fit, [0], 0.0)
    assert early.times is not None
    assert any(each.items for each in first)
    early = replace(early, times=np.full(len(early), world.fit.train.times.min(), np.int64))
    assert {(each.liked, each.disliked, each.items) for each in describe(early)} == {(0, 0, ())}
    strangers = replace(early.slice(0, 1), users=np.array([-1], np.int32), history=History.of([[]]))
    assert describe(strangers) == [SimilarChoices(0, 0, 0)]
    new = replace(early.slice(0, 2), times=None, candidates=np.full((2, 1), similar.n_items + 3, np.int32))
    assert [(each.asked, each.liked, each.disliked) for each in describe(new)] == [(4, 0, 0)] * 2
    assert describe(early.slice(0, 0)) == []


def test_as_many_titles_as_are_wanted(world: Tiny, similar: SimilarUsers) -> None:
    batch = everybody(world.fit, [0], 1.0)
    for titles in (0, 1):
        fewer = replace(similar, config=CONFIG.model_copy(update={"titles": titles}))
        found = SimilarDescriber(fewer, world.fit.observation)(batch)
        assert max(len(each.items) for each in found) == titles


def test_what_was_shown_is_kept_where_prompts_tell_of_it(world: Tiny, similar: SimilarUsers, tmp_path: Path) -> None:
    similar.save(tmp_path)
    batch = everybody(world.fit, [0], 1.0)
    again = SimilarUsers.load(CONFIG, tmp_path, world.dataset.catalog)
    describe = SimilarDescriber(again, world.fit.observation)
    assert describe(batch) == SimilarDescriber(similar, world.fit.observation)(batch)
    without = CONFIG.model_copy(update={"prompt": False})
    assert SimilarDescriber.of(SimilarUsers.fit(without, world.fit), world.fit.observation) is None
    assert SimilarDescriber.of(None, world.fit.observation) is None
    SimilarUsers.fit(without, world.fit).save(tmp_path)
    with pytest.raises(DataError, match="similar users cannot be read"):
        SimilarUsers.load(CONFIG, tmp_path, world.dataset.catalog)


def draw(data: FitData) -> tuple[Drawn, list[Dialogue]]:
    """Two thousand training rows, who they are of and their dialogues; the same ones whatever their labels are."""
    prompts = builder(ItemWords(data.catalog), history=4, soft_tokens=False)
    folds = SimilarFolds.fit(CONFIG, data)
    examples = Examples(data, prompts, None, CurriculumConfig(kind="none"), 5, 0.0, similar=folds)
    drawn = examples._draw(Task.CTR, 2000, 1.0, np.random.default_rng(3))
    return drawn, examples.draw(Task.CTR, 2000, 1.0, np.random.default_rng(3))


def test_neither_its_label_nor_what_its_user_did_later_reaches_a_row(world: Tiny) -> None:
    train = world.fit.train
    assert train.values is not None
    user = int(np.argmax(np.bincount(train.users, train.values > 0)))
    own = np.flatnonzero(train.users == user)
    row = own[np.flatnonzero(train.values[own] > 0)[-1]]
    values, items = train.values.copy(), train.items.copy()
    values[row], values[own[own > row]] = 0.0, 1.0
    items[own[own > row]] = 39
    other = replace(world.fit, train=replace(train, values=values, items=items))
    (drawn, before), (_, after) = draw(world.fit), draw(other)
    mine = np.flatnonzero((drawn.users == user) & (drawn.times <= train.times[row]))
    assert train.times[row] in drawn.times[mine]
    assert len(np.unique(drawn.times[mine])) > 3
    texts = [[dialogue.prompt.text() for dialogue in each] for each in (before, after)]
    assert [texts[0][at] for at in mine] == [texts[1][at] for at in mine]
    assert any(PEOPLE in texts[0][at] for at in mine)
    assert texts[0] != texts[1]  # what it did enters the prompts of others
    labels = [before[at].completion != after[at].completion for at in mine]
    assert any(labels), "the row's own label is another"
    # Fitted to everybody, the delegate has read the labels that are to be learned.
    batch = QueryBatch(
        Task.CTR,
        np.full(len(mine), user, np.int32),
        drawn.history.take(mine),
        candidates=drawn.targets[mine][:, None],
        times=drawn.times[mine],
    )
    whole = [SimilarDescriber(SimilarUsers.fit(CONFIG, each), each.observation)(batch) for each in (world.fit, other)]
    assert whole[0] != whole[1]


def test_rows_are_described_by_a_fit_without_their_users(world: Tiny) -> None:
    folds = SimilarFolds.fit(CONFIG, world.fit)
    assert len(folds.parts) == CONFIG.folds
    for fold, part in enumerate(folds.parts):
        assert not np.isin(part.similar.users, np.flatnonzero(folds.folds == fold)).any()
    batch = everybody(world.fit, [0], 0.7)
    together = folds(batch)
    assert together == [folds(batch.slice(row, row + 1))[0] for row in range(len(batch))]
    assert folds(batch.slice(0, 0)) == []


def tree(llama: Path, **more: Any) -> dict[str, Any]:
    return {
        "backbone": {"model": str(llama), "device": "cpu", "precision": "float32"},
        "prompt": {"history": 4, "history_text": "title"},
        "similar_users": CONFIG.model_dump(),
        "tuning": {**SMALL, "steps": 3, "validations": 1, "shares": {"sequential": 0.0, "direct": 0.0, "ctr": 1.0}},
        **more,
    }


@pytest.mark.slow
def test_a_policy_reads_and_answers_the_same_prompts(
    llama: Path, world: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting_module, "FEWEST", 10)
    config = CotConfig.model_validate(tree(llama))
    policy = Cot(config)
    policy.fit(world.fit)
    asked = world.test.queries
    answer = policy.deliberate(asked, world.observation(asked))
    prompts = policy.engine._ask_clicks(asked)
    text = policy.engine.tokeniser.tokenizer.decode([t for t in prompts[0].tokens.tolist() if t >= 0])
    assert PEOPLE in text
    assert text.index(PEOPLE) < text.index("This person liked")
    speech = PromptingSettings(prompt=config.prompt, items=config.items, soft=config.soft)
    assert config.tuning is not None
    plain = BackboneConfig(model=str(llama), device="cpu", precision="float32")
    reading = TuningParts(config.tuning, speech, Backbone(plain), world.fit, None, policy.similar)
    tag = policy.engine.tokeniser.text(opening("answer"))
    for one, other in zip(prompts, reading.answering.prompts(asked), strict=True):
        np.testing.assert_array_equal(one.followed_by(tag).tokens, other.tokens)
    bare = TuningParts(config.tuning, speech, Backbone(plain), world.fit)
    assert bare.key != reading.key
    policy.save(tmp_path)
    again = Cot.load(tmp_path, world.dataset.catalog)
    same = again.deliberate(asked, world.observation(asked))
    assert answer.probability is not None
    np.testing.assert_allclose(same.probability, answer.probability, rtol=1e-4)
    for one, other in zip(prompts, again.engine._ask_clicks(asked), strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)


@pytest.mark.slow
class TestSimilarPrompt(PolicyConformance):
    component = "cot"
    steps: ClassVar = frozenset({StepKind.OBSERVE, StepKind.DECIDE})

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _settings(cls, llama: Path) -> None:
        cls.settings = tree(llama, explanation=3)

    @classmethod
    def tasks(cls) -> frozenset[Task]:
        return frozenset({Task.CTR})
