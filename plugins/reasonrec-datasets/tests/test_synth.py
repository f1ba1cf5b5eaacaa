"""The synthetic shop: its truth is the truth, pictures and text hide from each other, equal seeds give equal files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pydantic import ValidationError
from reasonrec_datasets import RawTables, build_dataset
from reasonrec_datasets.synth import SynthConfig, Truth, make_catalogue, oracle_ceiling, oracle_scores
from reasonrec_datasets.synth.items import BLOCKS
from reasonrec_datasets.synth.patterns import paint
from reasonrec_datasets.synth.vocabulary import PALETTES, PATTERNS

from reasonrec_core.data import Dataset, SplitConfig, make_split
from reasonrec_core.data.cases import compute_user_bounds
from reasonrec_core.data.images import open_image
from reasonrec_core.errors import DataError
from reasonrec_core.io import sha256_of
from reasonrec_core.types import Cases

SMALL = SynthConfig(users=1000, items=120, image_size=64, seed=3)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    folder = tmp_path_factory.mktemp("synth") / "shop"
    make_catalogue(folder, SMALL)
    return folder, build(folder)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def build(folder: Path) -> Dataset:
    log, items = rows(folder / "interactions.csv"), rows(folder / "items.csv")
    table = pa.table(
        {
            "user_id": [r["user_id"] for r in log],
            "item_id": [r["item_id"] for r in log],
            "timestamp": pa.array([int(r["timestamp"]) for r in log], pa.int64()),
        }
    )
    raw = RawTables(table, pa.Table.from_pylist(items), images=folder, name="shop")
    return build_dataset(raw, folder.parent / "dataset")


def ndcg(scores: np.ndarray, cases: Cases, k: int = 10) -> float:
    target = scores[np.arange(len(cases)), cases.targets]
    ranks = (scores >= target[:, None]).sum(axis=1)
    return float(np.where(ranks <= k, 1 / np.log2(ranks + 1.0), 0.0).mean())


def test_equal_seeds_write_equal_files_and_others_do_not(tmp_path: Path) -> None:
    config = SynthConfig(users=20, items=20, image_size=32)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_catalogue(tmp_path / name, config.model_copy(update={"seed": seed}))
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 20 + 5
    assert all(sha256_of(tmp_path / "a" / f) == sha256_of(tmp_path / "b" / f) for f in files)
    assert sha256_of(tmp_path / "a/interactions.csv") != sha256_of(tmp_path / "c/interactions.csv")


def test_every_picture_opens_and_every_item_has_text(shop: tuple[Path, Dataset]) -> None:
    folder, dataset = shop
    assert None not in dataset.catalog.texts()
    for path in dataset.catalog.image_paths:
        assert open_image(folder, path).size == (64, 64)


def test_text_never_tells_what_only_the_picture_shows(shop: tuple[Path, Dataset]) -> None:
    texts = " ".join(dict.fromkeys(t for t in shop[1].catalog.texts() if t)).lower().split()
    words = {word.strip(".,:;&|") for word in texts}
    assert not words & set(PALETTES)
    assert not words & {*PATTERNS, "striped", "dotted", "checked", "floral", "red", "blue", "green"}


def test_the_picture_depends_on_pattern_and_palette_only_through_them() -> None:
    looks = {p: paint(p, 64, np.random.default_rng(0)) for p in PATTERNS}
    for name, plane in looks.items():
        shares = np.bincount(plane.ravel(), minlength=3) / plane.size
        assert plane.shape == (64, 64)
        assert (shares > 0.01).all(), (name, shares)
        assert all((plane != other).mean() > 0.1 for key, other in looks.items() if key != name)


def test_nobody_chooses_twice_or_before_the_launch(shop: tuple[Path, Dataset]) -> None:
    folder, dataset = shop
    truth = Truth.load(folder)
    launch = dict(zip(truth.items.tolist(), truth.launch.tolist(), strict=True))
    log = dataset.interactions
    assert len(np.unique(log.users.astype(np.int64) * dataset.n_items + log.items)) == len(log)
    assert all(launch[dataset.catalog.ids[i]] <= t for i, t in zip(log.items.tolist(), log.times.tolist(), strict=True))
    bounds = compute_user_bounds(log, dataset.n_users)
    assert np.diff(bounds).min() >= 3
    same_user = np.diff(log.users) == 0
    assert (np.diff(log.times)[same_user] > 0).all()


def test_probabilities_sum_to_one_over_what_can_be_chosen(shop: tuple[Path, Dataset]) -> None:
    folder, dataset = shop
    queries = make_split(dataset, SplitConfig()).test.queries
    p = np.exp(oracle_scores(folder, dataset, queries))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-4)
    assert (p[queries.history.rows, queries.history.items] == 0).all()


def test_choices_follow_the_probabilities(shop: tuple[Path, Dataset]) -> None:
    """The choices made are as probable as the truth says: log-likelihood within its own sampling error."""
    folder, dataset = shop
    cases = make_split(dataset, SplitConfig()).test
    log_p = oracle_scores(folder, dataset, cases.queries).astype(np.float64)
    p = np.exp(log_p)
    got = log_p[np.arange(len(cases)), cases.targets]
    with np.errstate(invalid="ignore"):
        surprise = np.where(p > 0, p * log_p, 0).sum(axis=1)
        spread = np.where(p > 0, p * log_p**2, 0).sum(axis=1) - surprise**2
    z = (got - surprise).sum() / np.sqrt(spread.sum())
    assert abs(z) < 3.5


def test_oracle_reaches_its_ceiling_and_popularity_does_not(shop: tuple[Path, Dataset]) -> None:
    folder, dataset = shop
    split = make_split(dataset, SplitConfig())
    scores = oracle_scores(folder, dataset, split.test.queries)
    ceiling = oracle_ceiling(folder, dataset, split.test)
    assert abs(ndcg(scores, split.test) - ceiling["NDCG@10"]) < 0.05  # 1000 users: standard error about 0.012
    popular = np.tile(np.bincount(split.train.items, minlength=dataset.n_items).astype(float), (len(split.test), 1))
    popular[split.test.queries.history.rows, split.test.queries.history.items] = -1
    assert ndcg(popular, split.test) < 0.5 * ceiling["NDCG@10"]


def test_both_modalities_are_needed(shop: tuple[Path, Dataset]) -> None:
    """Neighbours by the true visual and textual attributes together beat either alone by far."""
    folder, dataset = shop
    truth = Truth.load(folder)
    place = {name: i for i, name in enumerate(truth.items.tolist())}
    attributes = truth.attributes[[place[i] for i in dataset.catalog.ids]]
    bounds = np.cumsum([0, *(len(values) for *_, values in BLOCKS)])
    cases = make_split(dataset, SplitConfig()).test
    history = cases.queries.history
    profile = np.zeros((len(cases), attributes.shape[1]))
    np.add.at(profile, history.rows, attributes[history.items])
    quality = {}
    for name, blocks in (("image", (0, 1)), ("text", (2, 3)), ("both", (0, 1, 2, 3))):
        columns = np.concatenate([np.arange(bounds[b], bounds[b + 1]) for b in blocks])
        scores = profile[:, columns] @ attributes[:, columns].T
        scores[history.rows, history.items] = -1
        quality[name] = ndcg(scores, cases)
    assert quality["both"] > 1.3 * max(quality["image"], quality["text"])


def test_season_moves_the_probabilities(tmp_path: Path) -> None:
    make_catalogue(tmp_path / "a", SynthConfig(users=30, items=30, image_size=32, season=2.0, launched_later=0))
    truth = Truth.load(tmp_path / "a")
    users, early = np.arange(5), np.full(5, 1_735_689_600)
    half_year = truth.utilities(users, early + 182 * 86_400) - truth.utilities(users, early)
    assert np.abs(half_year).max() > 3.5


def test_items_without_pictures(tmp_path: Path) -> None:
    make_catalogue(tmp_path / "a", SynthConfig(users=5, items=40, image_size=32, missing_images=0.5))
    empty = sum(r["image"] == "" for r in rows(tmp_path / "a/items.csv"))
    assert 8 < empty < 32
    assert len(list((tmp_path / "a/images").iterdir())) == 40 - empty


def test_truth_of_other_data_is_refused(shop: tuple[Path, Dataset], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no truth"):
        Truth.load(tmp_path)
    (tmp_path / "truth.npz").write_bytes(b"PK not an archive")
    with pytest.raises(DataError, match="no truth"):
        Truth.load(tmp_path)
    make_catalogue(tmp_path / "other", SynthConfig(users=5, items=20, image_size=32, seed=9))
    with pytest.raises(DataError, match="not in this synthetic catalogue"):
        oracle_scores(tmp_path / "other", shop[1], make_split(shop[1], SplitConfig()).test.queries)


def test_other_peoples_files_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DataError, match="other files"):
        make_catalogue(tmp_path, SynthConfig(users=5, items=20, image_size=32))


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match="No space left"):
        make_catalogue(tmp_path / "a", SynthConfig(users=5, items=20, image_size=32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"items": 3}, {"users": 0}, {"image_size": 8}, {"seed": -1}, {"colour": 1}])
def test_settings_are_checked(options: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        SynthConfig(**options)
