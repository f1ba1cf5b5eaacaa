"""Lists made elsewhere: read by rank or score, masked as ours are, measured as another library measures them."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from reasonrec_frames import evaluate_lists
from sklearn.metrics import ndcg_score

from reasonrec_core.data import Dataset, SplitConfig, make_split
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.testing import tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(tmp_path_factory.mktemp("lists") / "tiny")


@pytest.fixture(scope="module")
def lists(dataset: Dataset) -> pd.DataFrame:
    """Twelve random unseen items a user, among them the target for every other user, at rank 1 to 12."""
    rng, rows = np.random.default_rng(3), []
    cases = make_split(dataset, SplitConfig()).test
    for query, user in enumerate(cases.queries.users):
        free = np.setdiff1d(np.arange(dataset.n_items), [*cases.queries.history.row(query), cases.targets[query]])
        chosen = rng.choice(free, 12, replace=False)
        if query % 2:
            chosen[query % 12] = cases.targets[query]
        name = dataset.users.column("user_id")[int(user)].as_py()
        rows += [(name, dataset.catalog.ids[item], rank) for rank, item in enumerate(chosen, 1)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "rank"])


def measure(lists: Any, dataset: Dataset, **options: Any) -> Any:
    return evaluate_lists(lists, dataset, resamples=200, against=None, **options)


def test_ndcg_equals_that_of_scikit_learn(dataset: Dataset, lists: pd.DataFrame) -> None:
    cases = make_split(dataset, SplitConfig()).test
    truth, score = np.zeros((2, len(cases), dataset.n_items))
    truth[cases.rows, cases.targets] = 1
    score -= 99
    row = {dataset.users.column("user_id")[int(user)].as_py(): at for at, user in enumerate(cases.queries.users)}
    for user, item, rank in lists.itertuples(index=False):
        score[row[user], dataset.catalog.index[item]] = -rank
    for k in (5, 10):
        ours = measure(lists, dataset, k=k)["lists"][f"NDCG@{k}"].value
        assert ours == pytest.approx(ndcg_score(truth, score, k=k), abs=1e-12)
    assert ours > 0.1


def test_rank_score_and_order_of_rows_say_the_same(dataset: Dataset, lists: pd.DataFrame) -> None:
    ranked = measure(lists, dataset)
    shuffled = lists.sample(frac=1, random_state=0)
    scored = shuffled.assign(score=1e9 - shuffled["rank"] * 1e-3).drop(columns="rank")  # equal as float32
    assert dict(measure(shuffled, dataset)) == dict(ranked)
    assert dict(measure(scored, dataset)) == dict(ranked)
    plain = measure(lists.drop(columns="rank"), dataset)
    assert dict(plain) == dict(ranked)
    assert any("the order of the rows counts" in note for note in plain.notes)
    renamed = lists.rename(columns={"user_id": "customer", "rank": "place"})
    assert dict(measure(renamed, dataset, columns={"user_id": "customer", "rank": "place"})) == dict(ranked)


def test_ties_count_against_the_list(dataset: Dataset, lists: pd.DataFrame) -> None:
    tied = measure(lists.assign(score=1.0).drop(columns="rank"), dataset, k=[5, 10])
    assert tied.headlines == ["NDCG@10", "HR@10"]
    assert tied["lists"]["HR@10"].value == 0.0


def test_what_does_not_fit_is_left_out_and_counted(dataset: Dataset, lists: pd.DataFrame) -> None:
    first = lists["user_id"].iloc[0]
    log = dataset.interactions
    seen = dataset.catalog.ids[int(log.items[log.users == dataset.user_index[first]][0])]
    rows = [(first, "nothing", -3), (first, seen, -2), ("nobody", seen, 1)]
    more = pd.concat([lists, pd.DataFrame(rows, columns=lists.columns)])
    more = pd.concat([more, lists.assign(rank=lists["rank"] + 12)])
    found, pure = measure(more, dataset), measure(lists, dataset)
    assert found["lists"]["NDCG@10"] == pure["lists"]["NDCG@10"]
    said = " ".join(found.notes)
    assert "1 row of users who are not in the data are left out" in said
    assert "1 row with items that are not in the data are left out" in said
    assert "1 place taken by items that the user already has are left out" in said
    half = measure(lists[lists["user_id"] > "user-20"].groupby("user_id").head(3), dataset)
    assert "21 of 48 test users have no list and count as misses" in half.notes[0]
    assert any("lists are shorter than 10" in note for note in half.notes)
    assert half["lists"]["HR@10"].value < pure["lists"]["HR@10"].value


def test_lists_of_the_whole_history_are_noticed(dataset: Dataset) -> None:
    log = dataset.interactions
    users = dataset.users.column("user_id").take(pa.array(log.users)).to_pylist()
    seen = pd.DataFrame({"user_id": users, "item_id": [dataset.catalog.ids[i] for i in log.items[::-1]]})
    cases = make_split(dataset, SplitConfig()).test
    targets = {(users_, item) for users_, item in zip(cases.queries.users, cases.targets, strict=True)}
    pairs = [(dataset.user_index[u], dataset.catalog.index[i]) not in targets for u, i in seen.itertuples(index=False)]
    assert any("no list has a test item" in note for note in measure(seen[pairs], dataset).notes)


def test_several_lists_are_compared_pairwise_and_corrected_together(dataset: Dataset, lists: pd.DataFrame) -> None:
    worse = lists.assign(rank=13 - lists["rank"])
    found = evaluate_lists({"mine": lists, "theirs": worse}, dataset, against=["popularity", "transitions"], k=10)
    assert list(found) == ["mine", "theirs", "popularity", "transitions"]
    pairs = {(row.a, row.b, row.metric) for row in found.comparisons}
    assert len(pairs) == len(found.comparisons) == 8
    assert all(row.p_corrected >= row.p for row in found.comparisons)
    for row in found.comparisons:
        value = found[row.a][row.metric].value - found[row.b][row.metric].value
        assert row.difference == pytest.approx(value)
        assert row.low <= row.difference <= row.high
    assert found.frame().shape[1] == 5
    assert len(found.compare()) == 8


def test_the_table_is_escaped_and_says_who_is_ahead(dataset: Dataset, lists: pd.DataFrame) -> None:
    found = evaluate_lists({"<script>": lists}, dataset, against={"others": lists}, k=10)
    page = found._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "not measurably different from others" in repr(found)
    picture = found.plot("NDCG@10").svg
    assert "<script>" not in picture
    assert picture.count("<circle") == 2
    with pytest.raises(ConfigError, match=r"no system has the metric 'NDGC@10'\. Did you mean 'NDCG@10'"):
        found.plot("NDGC@10")


def test_bad_lists_are_refused_with_their_place(dataset: Dataset, lists: pd.DataFrame) -> None:
    def refuse(frame: Any, **options: Any) -> str:
        with pytest.raises((DataError, ConfigError)) as caught:
            measure(frame, dataset, **options)
        return str(caught.value)

    double = lists.assign(rank=[1, 1, *lists["rank"][2:]])
    assert refuse(double).startswith(
        "lists, row 1 (counted from 0), column 'rank': two items of this user have the rank"
    )
    assert "there is no column 'item_id'; the columns are: user_id, rank" in refuse(lists[["user_id", "rank"]])
    broken = lists.assign(rank=["1", "x", *map(str, lists["rank"][2:])])
    assert refuse(broken).startswith("lists, row 1 (counted from 0), column 'rank': rank 'x' is not a number")
    assert "no list is for one of the 48 users" in refuse(lists.assign(user_id="u"))
    assert "there are no rows" in refuse(lists.head(0))
    assert "no delegate is called 'popular'" in refuse({"popular": "popular"})
    assert "there are no lists" in refuse({})
    with pytest.raises(ConfigError, match="two systems are called 'popularity'"):
        evaluate_lists({"popularity": lists}, dataset)
    assert "unknown column 'place'" in refuse(lists, columns={"place": "rank"})
    assert "no splitter is called 'loo'" in refuse(lists, split="loo")
    assert "cut-offs must be" in refuse(lists, k=0)
