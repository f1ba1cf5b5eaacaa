"""Items that come after the fit: labels of their fields, places among neighbours, answers that stay."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from reasonrec_core.builtin.profile.fields import extend_field, find_fields
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import DataError
from reasonrec_core.growth import grown, grown_matrix, known_history, last_of_all
from reasonrec_core.types import History

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
    assert (*top, *bottom) == ("20.125 to 23", "0 to 2.875"), "beyond the bands: the outermost"


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
    with pytest.raises(DataError, match="may grow at its end, not shrink"):
        grown(np.ones(n + 1), n)


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=5), st.integers(0, 10))
def test_a_history_of_known_items_is_the_history_without_the_others(rows: list[list[int]], known: int) -> None:
    found = known_history(History.of(rows), known)
    assert [found.row(b).tolist() for b in range(len(rows))] == [[i for i in row if i < known] for row in rows]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=6), st.integers(1, 3))
def test_unknown_items_come_last_and_stay_rankable(known: list[float], more: int) -> None:
    scores = np.array([[*known, *[0.0] * more]], np.float32)
    last_of_all(scores, np.arange(scores.shape[1]), len(known))
    assert np.isfinite(scores).all()
    assert (scores[0, len(known) :] < scores[0, : len(known)].min()).all()
    np.testing.assert_array_equal(scores[0, : len(known)], np.array(known, np.float32))
