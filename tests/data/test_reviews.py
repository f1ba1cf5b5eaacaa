"""Reviews: imported, stored, counted, and divided so that nothing held out can be read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from reasonrec_doctor import check_dataset
from reasonrec_doctor.describe import describe_dataset
from small_logs import Row, build, logs

from reasonrec_core.cli.main import main
from reasonrec_core.data import SplitConfig, import_path, make_split
from reasonrec_core.data.cases import TEST, TRAIN, VALID
from reasonrec_core.data.catalog import normalise_text
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.reviews import find_visible_reviews, make_review_cases
from reasonrec_core.errors import DataError
from reasonrec_core.types import Task

few = settings(max_examples=60, deadline=None)


def amazon(folder: Path, **names: str) -> Path:
    theirs = {"user": "reviewerID", "item": "asin", "time": "unixReviewTime", "text": "reviewText", "head": "summary"}
    theirs |= names
    rows = [
        ("A", "p1", 30, "Line one.\nLine two, <b>bold</b>", "good"),
        ("A", "p0", 10, "", None),
        ("A", "p2", 20, None, "only a headline"),
        ("B", "p1", 10, "Third", "fine"),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "reviews.json"
    lines = [
        {theirs["user"]: u, theirs["item"]: i, "overall": 4.0, theirs["time"]: 1_393_545_600 + t,
         theirs["text"]: text, theirs["head"]: head}
        for u, i, t, text, head in rows
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.mark.parametrize(
    "names", [{}, {"user": "user_id", "item": "parent_asin", "time": "timestamp", "text": "text", "head": "title"}]
)
def test_amazon_reviews_are_read_and_kept(tmp_path: Path, names: dict[str, str]) -> None:
    Dataset.build(import_path(amazon(tmp_path / "in", **names)), tmp_path / "set")
    dataset = Dataset.open(tmp_path / "set")
    reviews = dataset.reviews
    assert reviews is not None
    users, ids = dataset.users.column("user_id").to_pylist(), dataset.catalog.ids
    written = {
        (users[u], ids[i]): (text, head)
        for u, i, text, head in zip(reviews.users, reviews.items, reviews.texts, reviews.summaries, strict=True)
    }
    assert written == {("A", "p1"): ("Line one.\nLine two, <b>bold</b>", "good"), ("B", "p1"): ("Third", "fine")}
    assert reviews.values is not None
    assert reviews.values.tolist() == [4.0, 4.0]
    log = dataset.interactions
    assert np.array_equal(log.items[dataset.reviewed], reviews.items), "a review belongs to its interaction"
    facts = describe_dataset(dataset)["reviews"]
    assert (facts["count"], facts["share"], facts["summaries"]) == (2, 0.5, 2)


def test_reviews_can_be_left_out_or_named(tmp_path: Path) -> None:
    path = amazon(tmp_path / "in")
    without = Dataset.build(import_path(path, columns={"review": "", "summary": ""}), tmp_path / "a")
    assert without.reviews is None
    assert describe_dataset(without)["reviews"] is None
    table = tmp_path / "shop.csv"
    table.write_text('user_id,item_id,opinion\nu,a,"one, two"\nu,b,\n')
    named = Dataset.build(import_path(table, columns={"review": "opinion"}), tmp_path / "b")
    assert named.reviews is not None
    assert named.reviews.texts.tolist() == ["one, two"]
    assert named.reviews.summaries.tolist() == [""]


def reasonrec(*args: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(arg) for arg in args])
    return int(left.value.code or 0)


def test_the_commands_import_describe_and_check_reviews(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reasonrec("data", "import", amazon(tmp_path / "in"), "--out", tmp_path / "set") == 0
    assert reasonrec("data", "describe", tmp_path / "set") == 0
    assert "2 (50.0% of interactions)" in capsys.readouterr().out
    assert reasonrec("data", "check", tmp_path / "set", "--only", "copied-reviews") == 0


COPY = "the very same words under two items"


@st.composite
def reviewed_logs(draw: st.DrawFn) -> tuple[list[Row], list[str | None]]:
    rows = draw(logs())
    texts = st.one_of(st.none(), st.just(COPY), st.just(COPY.upper() + "!"), st.just("fine"))
    own = [f"review number {n} of this user on that item" for n in range(len(rows))]
    return rows, [draw(st.one_of(st.just(text), texts)) for text in own]


@few
@given(reviewed_logs(), st.sampled_from(["leave-one-out", "temporal", "ratio"]))
def test_no_held_out_review_can_be_read(written: tuple[list[Row], list[str | None]], kind: str) -> None:
    rows, texts = written
    dataset = build(rows, review=texts)
    try:
        shares = {} if kind == "leave-one-out" else {"valid": 0.2, "test": 0.2}
        split = make_split(dataset, SplitConfig(kind=kind, **shares))
    except DataError:
        reject()
    reviews = dataset.reviews
    assert reviews is not None
    codes = split.parts[dataset.reviewed]
    for parts in ((TRAIN,), (TRAIN, VALID)):
        seen = find_visible_reviews(dataset, split, parts)
        closed = ~np.isin(codes, parts)
        hidden = {normalise_text(text) for text in reviews.texts[closed] if len(text.split()) >= 5}
        assert not hidden & {normalise_text(text) for text in seen.texts}
        log = dataset.interactions.take(~np.isin(split.parts, parts))
        pairs = set(zip(log.users.tolist(), log.items.tolist(), strict=True))
        assert not pairs & set(zip(seen.users.tolist(), seen.items.tolist(), strict=True))
    try:
        cases = make_review_cases(dataset, split, "test")
    except DataError:
        return
    assert cases.queries.task is Task.EXPLAIN
    assert cases.queries.candidates is not None
    assert np.array_equal(cases.queries.candidates[:, 0], cases.reviews.items)
    assert np.array_equal(cases.queries.users, cases.reviews.users)
    held = reviews.take(codes == TEST)
    known = set(zip(held.users.tolist(), held.items.tolist(), held.texts.tolist(), strict=True))
    asked = zip(cases.reviews.users.tolist(), cases.reviews.items.tolist(), cases.reviews.texts.tolist(), strict=True)
    assert set(asked) <= known


def test_copies_are_found_and_said() -> None:
    rows = [("u", f"i{n}", n) for n in range(5)]
    dataset = build(rows, review=[COPY, "fine", "fine", "fine", COPY + "!"])
    split = make_split(dataset, SplitConfig(kind="leave-one-out"))
    (finding,) = check_dataset(dataset, split, checks=["copied-reviews"])
    assert (finding.count, finding.total) == (1, 5)
    assert find_visible_reviews(dataset, split).texts.tolist() == ["fine", "fine"]


def test_data_without_reviews_says_how_to_get_them() -> None:
    dataset = build([("u", f"i{n}", n) for n in range(5)])
    split = make_split(dataset, SplitConfig(kind="leave-one-out"))
    with pytest.raises(DataError, match="--column review="):
        find_visible_reviews(dataset, split)
    with pytest.raises(DataError, match="there are no reviews"):
        make_review_cases(dataset, split, "test")
