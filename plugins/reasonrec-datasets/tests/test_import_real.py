"""The real data sets, where they are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reasonrec_datasets import build_dataset, import_path

from reasonrec_core.data.dataset import Dataset

Find = Callable[[str], Path]
SETS = {
    # name: format, users, items, interactions, share of items with text, items with image, clock
    "ml-100k": ("tables", 943, 1_682, 100_000, 1.0, 1_663, True),
    "ml-1m": ("tables", 6_040, 3_416, 999_611, 1.0, 3_412, False),
    "hm-week": ("tables", 8_925, 3_186, 64_804, 1.0, 3_186, True),
    "amazon-beauty": ("sequences", 22_363, 12_101, 198_502, 1.0, 0, False),
    "ctr-ml-1m": ("predefined", 838, 3_255, 51_623, 1.0, 0, True),
    "reviews-instruments": ("amazon", 1_429, 900, 10_261, 0.0, 0, True),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, real_data: Find) -> Callable[[str], Dataset]:
    found: dict[str, Dataset] = {}

    def build(name: str) -> Dataset:
        if name not in found:
            found[name] = build_dataset(import_path(real_data(name)), tmp_path_factory.mktemp("real") / name)
        return found[name]

    return build


@pytest.mark.parametrize("name", SETS)
def test_counts_are_those_of_the_publisher(name: str, built: Callable[[str], Dataset]) -> None:
    dataset = built(name)
    form, users, items, interactions, text, images, clock = SETS[name]
    assert dataset.manifest["source"]["format"] == form
    assert (dataset.n_users, dataset.n_items, len(dataset)) == (users, items, interactions)
    assert np.mean([each is not None for each in dataset.catalog.texts()]) == pytest.approx(text, abs=0.001)
    assert dataset.catalog.has_image.sum() == images
    assert dataset.has_clock == clock
    log = dataset.interactions
    assert (np.diff(log.users) >= 0).all()
    same_user = np.diff(log.users) == 0
    assert (np.diff(log.times)[same_user] >= 0).all()
    assert len(np.unique(log.users)) == users


def test_beauty_sequences_come_back_word_for_word(built: Callable[[str], Dataset], real_data: Find) -> None:
    dataset, lines = built("amazon-beauty"), (real_data("amazon-beauty") / "sequences.txt").read_text().splitlines()
    log, ids = dataset.interactions, dataset.catalog.ids
    bounds = np.searchsorted(log.users, np.arange(dataset.n_users + 1))
    for line in lines[::997]:
        user, *items = line.split()
        index = dataset.user_index[user]
        assert [ids[i] for i in log.items[bounds[index] : bounds[index + 1]]] == items


def test_clicks_keep_their_given_histories(built: Callable[[str], Dataset], real_data: Find) -> None:
    import csv
    import gzip

    dataset = built("ctr-ml-1m")
    assert dataset.parts is not None
    assert dataset.given_history is not None
    assert np.bincount(dataset.parts).tolist() == [33_891, 10_401, 7_331]
    with gzip.open(real_data("ctr-ml-1m") / "test.csv.gz", "rt", encoding="utf-8") as stream:
        rows = {(row["user_id"], row["item_id"]): row for row in csv.DictReader(stream)}
    log, ids, users = dataset.interactions, dataset.catalog.ids, dataset.users.column("user_id").to_pylist()
    assert log.values is not None
    for position in np.flatnonzero(dataset.parts == 2)[::131]:
        row = rows[users[log.users[position]], ids[log.items[position]]]
        assert [ids[i] for i in dataset.given_history.row(int(position))] == row["history"].split()
        assert log.values[position] == float(row["label"])
        assert log.times[position] == int(row["timestamp"])


def test_pictures_of_real_catalogues_are_where_the_paths_say(built: Callable[[str], Dataset]) -> None:
    for name in ("ml-100k", "hm-week"):
        catalog = built(name).catalog
        assert catalog.images is not None
        assert all((catalog.images / path).is_file() for path in catalog.image_paths if path)


def test_leading_zeros_of_article_numbers_survive(built: Callable[[str], Dataset]) -> None:
    ids = built("hm-week").catalog.ids
    assert all(len(item) == 10 and item.startswith("0") for item in ids)
