"""Items that come after the fit: labels of their fields, places among neighbours, answers that stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_profile.api import Profile, ProfileConfig
from reasonrec_profile.item_fields import extend_field, find_fields
from reasonrec_profile.neighbours import extend_neighbours, find_neighbours, fit_space
from reasonrec_profile.new_items import GrowingModel, find_similar_items
from scipy import sparse
from shops import make_shop

from reasonrec_core.catalog_growth import grown, grown_matrix, last_of_all
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError

N = 24
OLD = {
    "item_id": [f"i{n}" for n in range(N)],
    "brand": ["Acorn", "Birch", "Cedar"] * 8,
    "categories": ["Shop|Home|Lamps", "Shop|Home|Mugs", "Shop|Play|Kites"] * 8,
    "price": [float(n) for n in range(N)],
}


def extended(**new: list[object]) -> dict[str, list[dict[str, float]]]:
    """The memberships of the new items, per field, by label."""
    old = Catalog(pa.table(OLD))
    grown = Catalog(pa.concat_tables([old.table, pa.table(new, schema=old.table.schema)]))
    fields = find_fields(old, np.ones(N, np.float32), None, 9)
    assert {f.name for f in fields} == {"brand", "categories", "price"}
    found = {}
    for field in fields:
        longer = extend_field(field, grown, N)
        assert longer.labels == field.labels
        np.testing.assert_array_equal(longer.membership[:N].toarray(), field.membership.toarray())
        found[field.name] = [{longer.labels[i]: float(row[0, i]) for i in row.indices} for row in longer.membership[N:]]
    return found


def test_new_items_carry_the_labels_that_were_fitted() -> None:
    found = extended(
        item_id=["a", "b", "c"],
        brand=["Birch", "Dune", None],
        categories=["Shop|Home|Mugs", "Shop|Play|Drums", None],
        price=[1e6, -5.0, None],
    )
    assert found["brand"] == [{"Birch": 1.0}, {}, {}]
    assert found["categories"] == [{"Home > Mugs": 0.5, "Home": 0.5}, {"Play": 1.0}, {}]
    top, bottom, nothing = found["price"]
    assert nothing == {}
    assert (*top, *bottom) == ("20.12 to 23.00", "0.00 to 2.88"), "beyond the bands: the outermost"


@given(st.lists(st.integers(0, N - 1), min_size=1, max_size=6))
def test_an_item_that_is_a_copy_of_an_old_one_gets_its_labels(rows: list[int]) -> None:
    copies = {name: [values[n] for n in rows] for name, values in OLD.items()}
    found = extended(**copies)
    old = extended(**OLD)
    for name, labels in found.items():
        assert labels == [old[name][n] for n in rows]


@given(st.integers(1, 6), st.integers(0, 4))
def test_what_is_learned_per_item_grows_at_its_end(n: int, more: int) -> None:
    matrix = sparse.random(n, n, 0.5, "csr", np.float32, random_state=1)
    longer = grown_matrix(matrix, n + more)
    assert longer.shape == (n + more, n + more)
    np.testing.assert_array_equal(longer.toarray()[:n, :n], matrix.toarray())
    assert longer.nnz == matrix.nnz
    values = grown(np.ones((n, 2), np.float32), n + more, fill=np.nan)
    assert values.dtype == np.float32
    assert np.isnan(values[n:]).all()
    assert values[:n].all()
    with pytest.raises(DataError, match="may grow at its end"):
        grown(np.ones(n + 1), n)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=6), st.integers(1, 3))
def test_unknown_items_come_last_and_stay_rankable(known: list[float], more: int) -> None:
    scores = np.array([[*known, *[0.0] * more]], np.float32)
    last_of_all(scores, np.arange(scores.shape[1]), len(known))
    assert np.isfinite(scores).all()
    assert (scores[0, len(known) :] < scores[0, : len(known)].min()).all()
    np.testing.assert_array_equal(scores[0, : len(known)], np.array(known, np.float32))


@given(st.integers(0, 40), st.integers(1, 12), st.sampled_from(["centred", "whitened"]), st.integers(0, 10**6))
def test_neighbours_of_new_items_are_those_of_one_comparison_of_all(
    most: int, more: int, space: str, seed: int
) -> None:
    rng, n, most = np.random.default_rng(seed), 30, most + 1
    features = rng.normal(size=(n + more, 6)).astype(np.float32)
    present = rng.random(n + more) < 0.9
    features[~present] = np.nan
    projection = fit_space(features[:n], present[:n], space, 4)  # type: ignore[arg-type]
    old = find_neighbours(features[:n], present[:n], projection, most=most, power=2.0)
    longer = extend_neighbours(old, features, present, projection, n, most=most, power=2.0)
    whole = find_neighbours(features, present, projection, most=most, power=2.0).toarray()
    dense = longer.toarray()
    assert longer.dtype == np.float32
    np.testing.assert_allclose(dense[n:], whole[n:], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(dense[:n, :n], old.toarray())
    np.testing.assert_allclose(np.where(whole[:n, n:] > 0, dense[:n, n:], 0), whole[:n, n:], rtol=1e-4, atol=1e-6)
    assert ((dense[:n, n:] > 0).sum(axis=1) <= most).all()


def test_a_copy_of_an_item_joins_its_group_and_its_neighbours() -> None:
    shop = make_shop()
    policy = Profile(ProfileConfig(trials=60))
    policy.fit(shop.fit)
    n, copies = len(shop.fit.catalog), np.array([3, 8, 20])
    seen = shop.fit.observation
    longer = replace(
        seen,
        features={name: np.concatenate([values, values[copies]]) for name, values in seen.features.items()},
        present={name: np.concatenate([here, here[copies]]) for name, here in seen.present.items()},
    )
    new = shop.fit.catalog.table.take(copies).set_column(0, "item_id", pa.array(["x", "y", "z"]))
    catalog = Catalog(pa.concat_tables([shop.fit.catalog.table, new]))
    growing = GrowingModel(policy.model, catalog, policy.config.neighbours, policy.config.power)
    blind = growing.seeing(replace(longer, features={}, present={}))
    model = growing.seeing(longer)
    assert any(field.centres for field in model.fields), "the shop has groups to join"
    for field, before in zip(model.fields, blind.fields, strict=True):
        np.testing.assert_array_equal(field.membership[n:].toarray(), field.membership[copies].toarray())
        assert (before.membership[n:].nnz == 0) == (field.centres is not None)
    for expert in model.experts:
        if expert.modality is None:
            assert blind.experts[0].matrix[n:].nnz == blind.experts[0].matrix[:, n:].nnz == 0
            like = find_similar_items(model, n).toarray()
            assert ((like > 0).sum(axis=1) <= 5).all()
            np.testing.assert_allclose(like.sum(axis=1), 1, rtol=1e-5)
            assert (like.argmax(axis=1) == copies).all(), "most like what it is a copy of"
            counted = expert.matrix[:n, :n].toarray()
            np.testing.assert_allclose(expert.matrix[n:, :n].toarray(), like @ counted, rtol=1e-4, atol=1e-7)
            np.testing.assert_allclose(expert.matrix[:n, n:].toarray(), counted @ like.T, rtol=1e-4, atol=1e-7)
            np.testing.assert_array_equal(counted, policy.model.experts[0].matrix.toarray())
        else:
            shown = longer.present[expert.modality][copies]
            twin = np.asarray(expert.matrix[copies, n + np.arange(3)]).ravel()
            np.testing.assert_allclose(twin, np.where(shown, 1.0, 0.0), atol=1e-4)
    assert model.popularity.sum() == pytest.approx(1, abs=1e-5)
    share = model.popularity / model.popularity[0] * policy.model.popularity[0]
    np.testing.assert_allclose(share[:n], policy.model.popularity, rtol=1e-4)
    np.testing.assert_allclose(share[n:], like @ policy.model.popularity, rtol=1e-3)
    np.testing.assert_allclose(blind.popularity[n:], 1 / (n + 3), rtol=1e-4)
    assert growing.seeing(longer) is model, "seen once, kept"
