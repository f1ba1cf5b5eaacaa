"""Reviews are divided so that nothing held out can be read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from reasonrec_doctor import check_dataset
from small_logs import Row, build, logs

from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.data.cases import TEST, TRAIN, VALID
from reasonrec_core.data.catalog import normalise_text
from reasonrec_core.data.reviews import find_visible_reviews, make_review_cases
from reasonrec_core.errors import DataError
from reasonrec_core.types import Task

few = settings(max_examples=60, deadline=None)


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
