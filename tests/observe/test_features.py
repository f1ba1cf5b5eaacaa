"""Items through encoders: cached by content, resumable, nothing missing passed off as present."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from reasonrec_core.components import Encoder, ItemInput, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError, PluginError
from reasonrec_core.observe import observe_items


class HashConfig(Settings):
    fields: tuple[str, ...] | None = None
    salt: str = ""


class HashEncoder(Encoder[HashConfig]):
    """A deterministic encoder: every vector follows from the input's bytes alone; counts what you asked for it."""

    Config = HashConfig

    def __init__(self, config: HashConfig | None = None, modality: str = "text") -> None:
        super().__init__(config or HashConfig())
        self.modality = modality
        self.seen: list[Any] = []
        self.killed_after: int | None = None

    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        if self.killed_after is not None and len(self.seen) >= self.killed_after:
            raise KeyboardInterrupt
        self.seen.extend(inputs)
        return np.stack([vector(x, self.config.salt) for x in inputs])

    def fingerprint(self) -> str:
        return f"hash {self.config.salt}"


def vector(value: Any, salt: str = "") -> np.ndarray:
    data = value.encode() if isinstance(value, str) else value.tobytes()
    digest = hashlib.sha256(salt.encode() + data).digest()
    return np.frombuffer(digest, np.uint8)[:6].astype(np.float32)


def catalog_of(titles: Sequence[str | None], **columns: Sequence[Any]) -> Catalog:
    images = columns.pop("images", None)
    ids = [f"item-{i}" for i in range(len(titles))]
    table = pa.table({"item_id": ids, "title": pa.array(titles, pa.string()), **columns})
    return Catalog(table, images)  # type: ignore[arg-type]


def test_each_item_gets_its_own_vector_and_missing_text_is_nan(tmp_path: Path) -> None:
    catalog = catalog_of(["red shoe", None, "blue shirt", "  "])
    observed = observe_items(catalog, {"text": HashEncoder()}, tmp_path)
    features = observed.features["text"]
    assert isinstance(features, np.memmap)
    assert not features.flags.writeable
    assert features.dtype == np.float32
    np.testing.assert_array_equal(observed.present["text"], [True, False, True, False])
    np.testing.assert_array_equal(features[0], vector("red shoe"))
    np.testing.assert_array_equal(features[2], vector("blue shirt"))
    assert np.isnan(features[[1, 3]]).all()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.one_of(st.none(), st.text("abc", max_size=3)), min_size=1, max_size=12), min_size=1),
    st.integers(1, 5),
)
def test_whatever_was_cached_before_rows_are_right(
    tmp_path_factory: pytest.TempPathFactory, catalogs: list[list[str | None]], batch_size: int
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    ever: set[str] = set()
    for titles in catalogs:
        texts = [t for t in titles if t and t.strip()]
        if not texts:
            continue
        encoder = HashEncoder()
        observed = observe_items(catalog_of(titles), {"t": encoder}, cache, batch_size=batch_size)
        assert set(encoder.seen) == set(texts) - ever  # only what is new, each once
        assert len(encoder.seen) == len(set(encoder.seen))
        ever |= set(texts)
        for row, title in zip(observed.features["t"], titles, strict=True):
            np.testing.assert_array_equal(row, vector(title) if title else np.full(6, np.nan, np.float32))


def test_a_second_run_asks_the_encoder_for_nothing(tmp_path: Path) -> None:
    catalog = catalog_of(["a", "b", None])
    first = observe_items(catalog, {"text": HashEncoder()}, tmp_path)
    encoder = HashEncoder()
    second = observe_items(catalog, {"text": encoder}, tmp_path)
    assert encoder.seen == []
    assert first.digests == second.digests
    np.testing.assert_array_equal(first.features["text"], second.features["text"])


def test_other_weights_or_other_fields_are_other_features(tmp_path: Path) -> None:
    catalog = catalog_of(["a", "b"], color=["red", "blue"])
    encoders = {
        "one": HashEncoder(),
        "two": HashEncoder(HashConfig(salt="x")),
        "color": HashEncoder(HashConfig(fields=("color",))),
    }
    observed = observe_items(catalog, encoders, tmp_path)
    np.testing.assert_array_equal(observed.features["one"][0], vector("a. red"))
    np.testing.assert_array_equal(observed.features["two"][0], vector("a. red", "x"))
    np.testing.assert_array_equal(observed.features["color"][0], vector("red"))
    assert len(set(observed.digests.values())) == 3


def test_an_unknown_text_field_names_the_encoder_and_the_fields_that_exist(tmp_path: Path) -> None:
    encoder = HashEncoder(HashConfig(fields=("colour",)))
    with pytest.raises(DataError, match=r"observe\.look\.fields: the items have no field 'colour'.*title"):
        observe_items(catalog_of(["a"]), {"look": encoder}, tmp_path)


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    titles = [f"title {i:02d}" for i in range(10)]
    killed = HashEncoder()
    killed.killed_after = 6
    with pytest.raises(KeyboardInterrupt):
        observe_items(catalog_of(titles), {"text": killed}, tmp_path, batch_size=2)
    encoder, said = HashEncoder(), []
    observed = observe_items(
        catalog_of(titles), {"text": encoder}, tmp_path, batch_size=2, progress=lambda *a: said.append(a)
    )
    assert sorted(killed.seen + encoder.seen) == titles
    assert said[0] == (6, 10, "observe text")
    assert said[-1] == (10, 10, "observe text")
    np.testing.assert_array_equal(observed.features["text"], np.stack([vector(t) for t in titles]))


@pytest.mark.parametrize("name", ["values.npy", "keys.npy"])
def test_a_damaged_cache_is_computed_again(tmp_path: Path, name: str) -> None:
    catalog = catalog_of(["a", "b"])
    observe_items(catalog, {"text": HashEncoder()}, tmp_path)
    (view,) = tmp_path.glob("*/views/*")
    (view / name).write_bytes(b"\x93NUMPY")
    again = observe_items(catalog, {"text": HashEncoder()}, tmp_path)
    np.testing.assert_array_equal(again.features["text"], np.stack([vector(t) for t in "ab"]))
    (view / name).write_bytes(b"\x93NUMPY")
    grown = observe_items(catalog_of(["a", "b", "c"]), {"text": HashEncoder()}, tmp_path)
    np.testing.assert_array_equal(grown.features["text"], np.stack([vector(t) for t in "abc"]))


@pytest.mark.parametrize("damage", ["header", "a number", "a list", "other rows", "words", "no reasons"])
def test_arrays_of_the_cache_that_are_none_are_computed_again(tmp_path: Path, damage: str) -> None:
    catalog = catalog_of(["a", "b"])
    observe_items(catalog, {"text": HashEncoder()}, tmp_path)
    (view,) = tmp_path.glob("*/views/*")
    if damage == "header":
        (view / "values.npy").write_bytes(b"\x93NUMPY\x01\x00\x04\x00{[(\n")
    elif damage == "no reasons":
        (view / "refused.json").write_text("[1]")
    else:
        other = {"a number": np.float32(1), "a list": np.ones(2, np.float32), "other rows": np.ones((3, 4), np.float32)}
        np.save(view / "values.npy", other.get(damage, np.array([["x"], ["y"]])))
    again = observe_items(catalog, {"text": HashEncoder()}, tmp_path)
    np.testing.assert_array_equal(again.features["text"], np.stack([vector(t) for t in "ab"]))


def test_pictures_reach_the_encoder_as_rgb_and_only_changed_files_are_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, color in (("a.png", "red"), ("b.png", "blue"), ("c.png", "red")):
        Image.new("RGB", (4, 4), color).save(folder / name)
    Image.new("L", (4, 4), 7).save(folder / "grey.png")
    catalog = catalog_of(["a", "b", "c", "d"], image=["a.png", "b.png", "c.png", "grey.png"], images=folder)
    encoder = HashEncoder(modality="image")
    observe_items(catalog, {"look": encoder}, tmp_path / "cache")
    assert {image.mode for image in encoder.seen} == {"RGB"}
    assert len(encoder.seen) == 3  # two files hold the same bytes
    Image.new("RGB", (4, 4), "green").save(folder / "b.png")
    again = HashEncoder(modality="image")
    observed = observe_items(catalog, {"look": again}, tmp_path / "cache")
    assert len(again.seen) == 1
    np.testing.assert_array_equal(observed.features["look"][1], vector(Image.new("RGB", (4, 4), "green")))


def test_hostile_pictures_are_refused_one_by_one_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (8, 8), "red").save(folder / "good.png")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    (folder / "short.png").write_bytes((folder / "good.png").read_bytes()[:50])
    (folder / "page.png").write_text("<html>")
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    names = ["good.png", "bomb.png", "short.png", "page.png", "../secret.png", "link.png", "none.png", None]
    catalog = catalog_of([str(n) for n in names], image=pa.array(names, pa.string()), images=folder)
    for attempt in range(2):  # the second time from the cache
        encoder = HashEncoder(modality="image")
        observed = observe_items(catalog, {"look": encoder, "twice": encoder}, tmp_path / "cache")
        assert len(encoder.seen) == (1 if attempt == 0 else 0)
        assert observed.present["look"].tolist() == [True] + [False] * 7
        assert np.isnan(observed.features["look"][1:]).all()
        assert [(r.item, r.path) for r in observed.refused] == [(i, n) for i, n in enumerate(names) if 0 < i < 7]
        assert [image.reason for image in observed.refused].count("outside the image folder") == 2
        assert len(observed.refused) == 6


def test_no_usable_item_is_an_error_not_an_empty_matrix(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"observe\.look: no item has an image"):
        observe_items(catalog_of(["a"]), {"look": HashEncoder(modality="image")}, tmp_path)
    catalog = catalog_of(["a"], image=["x.png"], images=tmp_path)
    with pytest.raises(DataError, match=r"none of the 1 images could be used; the first one, 'x.png': no such file"):
        observe_items(catalog, {"look": HashEncoder(modality="image")}, tmp_path)


def nan_for_b(inputs: Sequence[str]) -> Any:
    return np.array([[np.nan if x == "b" else 1.0] for x in inputs], np.float32)


def raise_for_b(inputs: Sequence[str]) -> Any:
    if "b" in inputs:
        raise RuntimeError("no b please")
    return np.ones((len(inputs), 2), np.float32)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (nan_for_b, "not finite for item 'item-1'"),
        (raise_for_b, "failed on item 'item-1' .RuntimeError: no b please"),
        (lambda inputs: np.ones((len(inputs) + 1, 2), np.float32), r"the shape \(4, 2\) instead of \(3, d\)"),
        (lambda inputs: np.ones(len(inputs), np.float32), r"shape \(3,\)"),
        (lambda inputs: np.ones((len(inputs), 0), np.float32), r"shape \(3, 0\)"),
        (lambda inputs: [[1.0]] * len(inputs), "returned a list, not a numpy array"),
        (lambda inputs: np.ones((len(inputs), 2), np.int64), "an array of int64"),
    ],
)
def test_an_encoder_that_breaks_its_contract_is_named_with_the_item(tmp_path: Path, encode: Any, message: str) -> None:
    encoder = HashEncoder()
    encoder.encode = encode  # type: ignore[method-assign]
    with pytest.raises(PluginError, match=rf"observe\.mine: the encoder .*HashEncoder .*{message}"):
        observe_items(catalog_of(["a", "b", "c"]), {"mine": encoder}, tmp_path)


def test_pictures_are_read_ahead_while_the_encoder_works(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    names = [f"{i}.png" for i in range(6)]
    for i, name in enumerate(names):
        Image.new("RGB", (2, 2), (i, 0, 0)).save(folder / name)
    readers: set[int] = set()

    class Watching(HashEncoder):
        def encode(self, inputs: Sequence[Any]) -> np.ndarray:
            readers.add(threading.get_ident())
            return super().encode(inputs)

    catalog = catalog_of(names, image=names, images=folder)
    watching = Watching(modality="image")
    observe_items(catalog, {"look": watching}, tmp_path / "cache", batch_size=2)
    assert readers == {threading.get_ident()}  # an encoder is never called from two threads
    assert len(watching.seen) == 6


def test_an_item_is_read_with_image_and_text_or_with_what_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (8, 8), (200, 10, 60)).save(folder / "red.png")
    (folder / "broken.png").write_bytes(b"no picture")
    paths = pa.array(["red.png", "red.png", None, None, "broken.png", "broken.png", "red.png"])
    table = pa.table(
        {
            "item_id": [f"item-{n}" for n in range(7)],
            "title": pa.array(["a", None, "a", None, "a", None, "b"]),
            "image": paths,
        }
    )
    read: list[ItemInput] = []

    class Both(HashEncoder):
        def encode(self, inputs: Sequence[Any]) -> np.ndarray:
            read.extend(inputs)
            return np.array([[len(i.text or ""), i.image is not None] for i in inputs], np.float32)

    seen = observe_items(Catalog(table, folder), {"item": Both(modality="item")}, tmp_path / "cache")
    assert seen.present["item"].tolist() == [True, True, True, False, True, False, True]
    assert seen.features["item"][[0, 1, 2, 4, 6]].tolist() == [[1, 1], [0, 1], [1, 0], [1, 0], [1, 1]]
    assert np.isnan(seen.features["item"][[3, 5]]).all()
    assert len(read) == 5
    assert {r.item for r in seen.refused} == {5}
    observe_items(Catalog(table, folder), {"item": Both(modality="item")}, tmp_path / "cache")
    assert len(read) == 5
