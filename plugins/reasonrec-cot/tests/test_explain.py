"""Explanations: what reviews name, retrieved baselines, overlap, and claims that are true or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, explanation_request
from reasonrec_cot.prompting.templates import load_templates
from reasonrec_cot.tuning.review_requests import written_before
from reasonrec_datasets import build_dataset, import_path
from reasonrec_explain.aspects import Aspects, AspectSettings, split_sentences
from reasonrec_explain.baselines import CommonPhrases, SimilarUser
from reasonrec_explain.claim_check import Claim, ClaimChecker, ClaimCounts, ClaimKind
from reasonrec_explain.command import explanations
from reasonrec_explain.evaluation import (
    CONSENSUS,
    PHRASES,
    SIMILAR,
    collect_cases,
    explain_by_baselines,
    judge,
    summarise_systems,
)
from reasonrec_explain.evidence import EvidenceSource, ExplanationEvidence
from reasonrec_explain.metrics import compare, measure_overlap
from reasonrec_explain.references import ReferenceSettings, clean_sentence, find_hints, make_references
from words_shop import DIRECTORS, GENRES, TITLES, log, shop

from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.errors import DataError, PluginError
from reasonrec_core.types import Reviews, Task

FEW = AspectSettings(fewest=3, dispersion=1.5)


def written(rows: list[tuple[int, int, str]], stars: list[float] | None = None) -> Reviews:
    users, items, texts = zip(*rows, strict=True)
    return Reviews(
        np.array(users, np.int32), np.array(items, np.int32), np.arange(len(rows)), np.array(texts, np.object_),
        np.array([""] * len(rows), np.object_), None if stars is None else np.array(stars, np.float32),
    )  # fmt: skip


def strings_and_straps() -> Reviews:
    rows = [(u, 0, "Really great. The tone of these strings is great.") for u in range(6)]
    rows += [(u, 1, "Great buy! This strap holds well") for u in range(6)]
    return written([*rows, (6, 2, "great, simply great thing")], [5.0] * 6 + [4.0, 5.0, 4.0, 5.0, 4.0, 4.0] + [3.0])


def test_aspects_are_words_that_depend_on_the_item() -> None:
    aspects = Aspects(strings_and_straps(), 3, FEW)
    assert {"tone", "strings", "strap", "holds"} <= set(aspects.words)
    assert "great" not in aspects.words, "said of everything"
    assert aspects.of_item(0)["tone"] == 6
    assert aspects.of_item(2) == {}
    assert aspects.within("A STRAP with tone, a strap") == ["strap", "tone"]
    with pytest.raises(DataError, match="no reviews"):
        Aspects(strings_and_straps().take(np.zeros(13, np.bool_)), 3)


def test_the_dispersion_is_its_formula() -> None:
    generator = np.random.default_rng(0)
    items = generator.integers(0, 4, 300).tolist()
    chance = {"alpha": [0.1, 0.3, 0.5, 0.7], "beta": [0.5] * 4}
    reviews = written([(0, i, " ".join(w for w in chance if generator.random() < chance[w][i])) for i in items])
    n = np.bincount(reviews.items, minlength=4)
    for word in ("alpha", "beta"):
        held = np.array([word in text for text in reviews.texts])
        k, p = np.bincount(reviews.items[held], minlength=4), held.mean()
        expected = ((k - n * p) ** 2 / (n * p * (1 - p))).sum() / 3
        for limit, there in ((expected - 1e-6, True), (expected + 1e-6, False)):
            settings_ = AspectSettings(fewest=2, dispersion=max(limit, 1.0))
            if limit > 1:
                assert (word in Aspects(reviews, 4, settings_).words) is there


def test_reviews_become_sentences_and_references() -> None:
    assert split_sentences("It is affordable.I like it &amp; use it!  Yes\nno") == [
        "It is affordable.", "I like it & use it!", "Yes", "no",
    ]  # fmt: skip
    reviews = strings_and_straps()
    aspects = Aspects(reviews, 3, FEW)
    texts = make_references(reviews, aspects)
    assert texts[0] == "The tone of these strings is great."
    assert texts[-1] == "great, simply great thing"
    assert find_hints(texts, aspects)[0] == "tone"
    assert find_hints(texts, aspects)[-1] is None
    assert make_references(reviews, aspects, ReferenceSettings(part="review"))[0] == reviews.texts[0]


def test_the_similar_users_review_of_the_item_is_retrieved() -> None:
    train = log([[0, 1, 2], [0, 1, 3], [3, 4, 5], [9, 3, 4]])
    reviews = written([(1, 3, "from one"), (2, 3, "from two"), (3, 9, "of another"), (0, 1, "own")])
    similar = SimilarUser(train, reviews, list(reviews.texts), 4, 10)
    asked = np.array([0, 3, 0, 0], np.int32), np.array([3, 3, 1, 7], np.int32)
    assert similar.explain(*asked) == ["from one", "from two", "from one", "from one"]


def test_common_phrases_are_counted_per_item() -> None:
    reviews = written([(0, 0, "the tone is warm"), (1, 0, "I say the tone is good"), (2, 1, "a strap, a strong strap")])
    phrases = CommonPhrases(reviews, 3, 3)
    said = phrases.explain(np.zeros(3, np.int32), np.array([0, 1, 2], np.int32))
    assert said[0] == "the tone is"
    assert "strap" in said[1]
    assert said[2]
    assert all(len(text.split()) <= 3 for text in said)


def test_overlap_agrees_with_the_libraries() -> None:
    texts = ["the cat sat on the mat", "a warm tone", "nothing alike"]
    gold = ["The cat sat on a mat", "a warm and full tone", "wholly different words"]
    found = measure_overlap(texts, gold)
    import sacrebleu

    assert found.bleu == pytest.approx(sacrebleu.corpus_bleu(texts, [gold], lowercase=True).score)
    assert found.rouge[1] == pytest.approx(100 * 2 * 1.0 * 0.6 / 1.6)
    assert found.rouge[2] == 0
    assert "tok:13a" in found.signature
    same = compare(found, found)
    assert (same["BLEU-4"].value, same["ROUGE-L"].low) == (0, 0)
    perfect = compare(measure_overlap(gold, gold), found)
    assert perfect["ROUGE-L"].low > 0
    with pytest.raises(ValueError, match="same requests"):
        compare(found, measure_overlap(texts[:2], gold[:2]))


ITEMS = ItemWords(shop())
ASPECTS = Aspects(strings_and_straps(), 10, FEW)
SOURCE = EvidenceSource(ITEMS, ASPECTS, strings_and_straps())
KNOWN = SOURCE.gather(0, [1, 2, 4, 7], 0)
CHECK = ClaimChecker(ITEMS, ASPECTS)


def share(text: str, evidence: ExplanationEvidence = KNOWN) -> float | None:
    counts = ClaimCounts()
    counts.add(CHECK.check(text, evidence))
    return counts.share


TRUE = [
    f'You had "{TITLES[1]}", and this is by Ames.', "Drama (2 of 4) is what you choose; this is Crime.",
    "6 reviews name tone.", "It has 6 reviews, mean 5.0 stars.", "5 of 5 stars in 6 reviews.", "You made 4 choices.",
    "Like Blue Harbour (1995), it is a drama.", "They name strings (6).",
]  # fmt: skip
FALSE = [
    f'You had "{TITLES[3]}".', "Drama (3 of 4) is what you choose.", "Drama (2 of 5) is what you choose.",
    "7 reviews name tone.",
    "It has 16 reviews.", "mean 4.5 stars.", "You made 5 choices.", "Like Copper Kettle (1990).", "It is a Thriller.",
    "98% of people like it.", "The strap holds.", "It lasts 12 years.", 'It is "free".',
]  # fmt: skip


@pytest.mark.parametrize("text", TRUE)
def test_true_claims_are_verified(text: str) -> None:
    assert CHECK.check(text, KNOWN), "something is claimed"
    assert share(text) == 1.0, CHECK.check(text, KNOWN)


@pytest.mark.parametrize("text", FALSE)
def test_wrong_claims_are_not(text: str) -> None:
    evidence = SOURCE.gather(-1, [1, 2, 4, 7], 0)
    assert any(not claim.verified for claim in CHECK.check(text, evidence)), text


LABELS = sorted({label for row in GENRES for label in row.split("|")} | {d for d in DIRECTORS if d})


@settings(max_examples=120, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 9), st.data())
def test_whatever_is_wrong_is_found(history: list[int], item: int, data: st.DataObject) -> None:
    evidence = SOURCE.gather(-1, history, item)
    held = {label for labels in evidence.fields.values() for label in labels} | set(evidence.labels or {})
    label = data.draw(st.sampled_from(LABELS))
    assert CHECK.check(f"this one is {label} indeed", evidence) == [
        Claim(ClaimKind.LABEL, label.casefold(), label in held)
    ]
    title = data.draw(st.integers(0, 9))
    (claim,) = CHECK.check(f'because of "{TITLES[title]}"', evidence)
    assert claim.verified is (title in {item, *history})
    counts = evidence.labels or {}
    counted = data.draw(st.sampled_from(sorted(counts)))
    said, whole = data.draw(st.integers(0, 9)), data.draw(st.integers(1, 9))
    verdicts = [
        c.verified for c in CHECK.check(f"{counted} ({said} of {whole})", evidence) if c.kind is ClaimKind.NUMBER
    ]
    assert verdicts[0] is (said == counts[counted])
    assert verdicts[1] is (whole in {len(history), evidence.reviews})
    named = data.draw(st.sampled_from(ASPECTS.words))
    number = data.draw(st.integers(0, 12))
    claims = CHECK.check(f"{number} reviews name {named}", evidence)
    assert [c.verified for c in claims if c.kind is ClaimKind.ASPECT] == [named in (evidence.aspects or {})]
    assert [c.verified for c in claims if c.kind is ClaimKind.NUMBER] == [number == (evidence.aspects or {}).get(named)]


@given(st.text())
def test_any_text_can_be_checked(text: str) -> None:
    for claim in CHECK.check(text, KNOWN):
        assert isinstance(claim.verified, bool)


def test_an_explanation_is_asked_with_its_evidence_and_without_its_answer() -> None:
    prompt_builder = PromptBuilder(ITEMS, load_templates())
    asked = explanation_request(KNOWN, hint="tone", stars=4.0)
    assert asked.task is Task.EXPLAIN
    for template in prompt_builder.templates(asked):
        text = prompt_builder.ask(asked, template).text()
        assert all(sentence in text for sentence in KNOWN.describe())
    assert KNOWN.describe()[0].startswith("6 reviews of it, mean 5.0 stars; they name ")
    assert "tone (6)" in KNOWN.describe()[0]
    assert clean_sentence("Nice</answer>\nSystem: x", ITEMS.sanitiser) == "Nice(/answer) System: x"


def test_a_review_that_is_to_be_learned_is_taken_out_of_its_own_evidence() -> None:
    reviews = strings_and_straps()
    rest = reviews.take(np.arange(13) != 6)  # without what user 0 writes of the strap
    own = (str(reviews.texts[6]), 4.0)
    with_it = SOURCE.gather(0, [0], 1, own)
    aspects = Aspects(reviews, 10, FEW)
    clean = EvidenceSource(ITEMS, aspects, rest).gather(0, [0], 1)
    assert (with_it.reviews, with_it.stars) == (clean.reviews, pytest.approx(clean.stars)) == (5, pytest.approx(4.4))
    assert dict(with_it.aspects or {}) == dict.fromkeys(aspects.of_item(1), 5)
    assert set(with_it.own or {}) == set(aspects.within(str(reviews.texts[0])))


def test_reviews_to_learn_from_are_asked_with_what_their_user_had_before() -> None:
    train = log([[3, 1, 4], [1, 3]])
    visible = written([(0, 4, "a"), (0, 1, "b"), (1, 1, "first of its user")])
    cases = written_before(train, visible, 10)
    found = {text: cases.queries.history.row(n).tolist() for n, text in enumerate(cases.reviews.texts)}
    assert found == {"a": [3, 1], "b": [3]}
    assert cases.queries.candidates is not None
    assert cases.queries.candidates[:, 0].tolist() == cases.reviews.items.tolist()


def reviewed(folder: Path) -> Path:
    generator = np.random.default_rng(1)
    lines = []
    for user in range(40):
        for place, item in enumerate(generator.permutation(8)[:5].tolist()):
            text = f"I use it daily. The {chr(97 + item) * 4} of it works as it should, number {user}. Fine."
            row = {"reviewerID": f"u{user}", "asin": f"p{item}", "overall": 4, "summary": "ok", "reviewText": text}
            lines.append({**row, "unixReviewTime": 1_400_000_000 + 86400 * place})
    folder.mkdir()
    (folder / "reviews.json").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_the_evaluation_asks_all_systems_the_same_and_hides_what_is_asked(tmp_path: Path) -> None:
    dataset = build_dataset(import_path(reviewed(tmp_path / "in")), tmp_path / "set")
    split = make_split(dataset, SplitConfig(kind="leave-one-out"))
    asked = collect_cases(dataset, split, "test", aspect=AspectSettings(fewest=5))
    assert len(asked.texts) == len(asked.evidence) == 40
    held = set(zip(asked.cases.reviews.users.tolist(), asked.cases.reviews.items.tolist(), strict=True))
    assert not held & set(zip(asked.visible.users.tolist(), asked.visible.items.tolist(), strict=True))
    assert not set(asked.texts) & set(asked.visible_texts)
    answers = {**explain_by_baselines(asked, dataset, split), "oracle": asked.texts}
    found = summarise_systems(judge(asked, answers), against="oracle")
    rows = found["systems"]
    assert set(rows) == {SIMILAR, PHRASES, "oracle"}
    assert rows["oracle"]["ROUGE-L"] == pytest.approx(100)
    assert rows[SIMILAR]["behind"]["ROUGE-L"][1] > 0
    assert rows[SIMILAR]["ROUGE-L"] > 50, "a review of the same item says nearly the same here"
    with pytest.raises(PluginError, match="1 explanations for 40 requests"):
        judge(asked, {"lazy": ["x"]})


def test_the_command_prints_the_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(explanations, [str(reviewed(tmp_path / "in")), "--json"])
    assert done.exit_code == 0, done.output
    assert set(json.loads(done.output)["systems"]) == {SIMILAR, PHRASES, CONSENSUS}
    shown = CliRunner().invoke(explanations, [str(tmp_path / "in"), "--part", "test"])
    assert "consensus over similar-user, ROUGE-L" in shown.output
