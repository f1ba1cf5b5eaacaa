"""One model alone: fitted on all interactions, asked by user or history, with vectors where it has them."""

import numpy as np
import pandas as pd
import pytest
from reasonrec_frames import FrameDataset, make_model

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.testing import tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> FrameDataset:
    return FrameDataset.open(tiny_dataset(tmp_path_factory.mktemp("model") / "tiny").folder)


def test_three_lines(dataset: FrameDataset) -> None:
    found = make_model("transitions", window=3).fit(dataset).recommend(["user-01", "user-00"], k=3)
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == ["user_id", "rank", "item_id", "title", "score"]
    assert found["user_id"].tolist() == ["user-01"] * 3 + ["user-00"] * 3
    assert found["rank"].tolist() == [1, 2, 3] * 2
    assert (found.groupby("user_id")["score"].diff().dropna() <= 0).all()
    log = dataset.interactions
    for user, item in zip(found["user_id"], found["item_id"], strict=True):
        assert dataset.catalog.index[item] not in log.items[log.users == dataset.user_index[user]]


def test_all_users_and_a_history(dataset: FrameDataset) -> None:
    model = make_model("popularity").fit(dataset)
    everybody = model.recommend("all", k=2)
    assert everybody["user_id"].drop_duplicates().tolist() == sorted(dataset.user_index)
    one = model.recommend(history=["item-01", np.int64(5)], k=2)
    assert one["user_id"].isna().all()
    assert len(model.recommend(history=[], k=10_000)) == dataset.n_items
    polars = FrameDataset.open(dataset.folder, frames="polars")
    assert type(make_model("popularity").fit(polars).recommend("all", k=1)).__module__.startswith("polars")


def test_policies_are_made_too(dataset: FrameDataset) -> None:
    model = make_model("profile").fit(dataset)
    assert len(model.recommend(["user-03"], k=4)) == 4
    assert "policy 'profile'" in repr(model)


def test_vectors_rank_as_the_model_does(dataset: FrameDataset) -> None:
    model = make_model("implicit-als", factors=8).fit(dataset)
    items, users = model.item_vectors(), model.user_vectors(["user-07"])
    assert list(items.columns) == ["item_id", "vector"]
    scores = dict(zip(items["item_id"], np.stack(items["vector"]) @ users["vector"][0], strict=True))
    for row in model.recommend(["user-07"], k=5).itertuples():
        assert row.score == pytest.approx(scores[row.item_id], abs=1e-5)
    with pytest.raises(ConfigError, match=r"no.* item vectors \(popularity\).*implicit-als"):
        make_model("popularity").fit(dataset).item_vectors()


def test_what_cannot_be_asked_is_refused(dataset: FrameDataset) -> None:
    with pytest.raises(ConfigError, match="no delegate is called 'implicit-sla'"):
        make_model("implicit-sla")
    with pytest.raises(ConfigError, match="factor: unknown key"):
        make_model("implicit-als", factor=3)
    model = make_model("popularity")
    with pytest.raises(ConfigError, match="the model is not fitted"):
        model.recommend("all")
    model.fit(dataset)
    for request in ({}, {"users": ["user-01"], "history": []}):
        with pytest.raises(ConfigError, match="either users or a history"):
            model.recommend(**request)
    with pytest.raises(DataError, match="unknown user 'nobody'"):
        model.recommend(["nobody"])
    with pytest.raises(ConfigError, match="k must be a whole number"):
        model.recommend("all", k=0)
    with pytest.raises(ConfigError, match="users must be 'all' or a list of ids"):
        model.recommend("user-01")
