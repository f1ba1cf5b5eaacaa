"""Items that come after the fit: what was counted and compared, brought to a catalogue that has grown.

In two steps, because a catalogue says what an item is called and only an observation says what it looks like:
`grow_model` when the policy is loaded, `observe_new_items` when it is asked.

Nobody could choose a new item yet, so that it has no count says nothing about it, and an expert that counts must not
take the silence for a no. What is counted is therefore mapped from content: a new item is taken to follow, to lead on
and to sell like the few items of the fit that are most like it (compare Gantner et al., "Learning attribute-to-feature
mappings for cold-start recommendations", ICDM 2010, k-nearest-neighbour mapping).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from reasonrec_core.catalog_growth import grown, grown_matrix
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation
from reasonrec_profile.clusters import extend_clusters
from reasonrec_profile.fitting import ProfileModel
from reasonrec_profile.item_fields import ItemField, extend_field
from reasonrec_profile.neighbours import extend_neighbours
from reasonrec_profile.propose import Expert

LIKE = 5
"""Items of the fit that a new item is taken to behave like."""


def grow_model(model: ProfileModel, catalog: Catalog) -> ProfileModel:
    """The model for all items of ``catalog``, of which it was fitted on the first ones.

    New items have the labels that the catalogue gives them and the popularity of the average item, and no transitions.
    What is read from features is still empty for them.
    """
    first_new, n_items = len(model.popularity), len(catalog)
    if first_new == n_items:
        return model
    popularity = grown(model.popularity, n_items, fill=float(model.popularity.mean()))
    return replace(
        model,
        experts=tuple(replace(e, matrix=grown_matrix(e.matrix, n_items)) for e in model.experts),
        fields=tuple(extend_field(f, catalog, first_new) for f in model.fields),
        popularity=popularity / popularity.sum(),
    )


def observe_new_items(
    model: ProfileModel, observation: Observation, first_new: int, most: int, power: float
) -> ProfileModel:
    """What `grow_model` gave, with the features of the items from ``first_new`` on looked at.

    Content experts find their neighbours, groups take them in; transitions and popularity are those of the items that
    they are most like. A modality that is not observed stays silent.

    Args:
        model: for all items.
        observation: features and presence of all items.
        first_new: how many items the model was fitted on.
        most: neighbours per item, as in the fit.
        power: of the cosine, as in the fit.
    """
    features, present = observation.features, observation.present

    def expert(each: Expert) -> Expert:
        name = each.modality
        if name is None or each.projection is None or name not in features or name not in present:
            return each
        fitted = each.matrix[:first_new, :first_new]
        matrix = extend_neighbours(
            fitted, features[name], present[name], each.projection, first_new, most=most, power=power
        )
        return replace(each, matrix=matrix)

    def field(each: ItemField) -> ItemField:
        name = each.modality
        if name is None or name not in features or name not in present:
            return each
        return extend_clusters(each, features[name], present[name], first_new)

    seen = replace(model, experts=tuple(map(expert, model.experts)), fields=tuple(map(field, model.fields)))
    like = find_similar_items(seen, first_new)
    experts = tuple(e if e.modality else replace(e, matrix=_mapped(e.matrix, like)) for e in seen.experts)
    return replace(seen, experts=experts, popularity=_mapped_popularity(seen.popularity, like))


def find_similar_items(model: ProfileModel, first_new: int) -> sparse.csr_matrix:
    """float32 CSR[new items, first_new]: the `LIKE` items of the fit that each new item is most like.

    By the content experts, each with its weight in the mixture. A row sums to 1, or is empty where nothing is known.
    """
    n_items = len(model.popularity)
    total = sparse.csr_matrix((n_items - first_new, first_new), dtype=np.float32)
    for name, weight in zip(model.weights.names, model.weights.table.mean(axis=0), strict=True):
        for matrix in (e.matrix for e in model.experts if e.name == name and e.modality):
            total = total + np.float32(weight + 1e-3) * _shares(matrix[first_new:, :first_new])
    pairs = total.tocoo()
    order = np.lexsort((-pairs.data, pairs.row))
    rows, columns, values = pairs.row[order], pairs.col[order], pairs.data[order]
    starts = np.searchsorted(rows, rows)
    kept = np.arange(len(rows)) - starts < LIKE
    return _shares(sparse.csr_matrix((values[kept], (rows[kept], columns[kept])), shape=total.shape))


def _shares(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows scaled to sum to 1; empty ones stay."""
    sums = np.asarray(matrix.sum(axis=1), dtype=np.float32).ravel()
    scale = np.divide(np.float32(1.0), sums, out=np.zeros_like(sums), where=sums > 0)
    return (sparse.diags(scale) @ matrix).tocsr().astype(np.float32)


def _mapped(matrix: sparse.csr_matrix, like: sparse.csr_matrix) -> sparse.csr_matrix:
    """float32 CSR[n_items, n_items]: the rows and columns of new items as the mean of those that they are like."""
    old = matrix[: like.shape[1], : like.shape[1]]
    rows = like @ old
    return sparse.bmat([[old, old @ like.T], [rows, rows @ like.T]], format="csr", dtype=np.float32)


def _mapped_popularity(popularity: Float32, like: sparse.csr_matrix) -> Float32:
    """float32[n_items], sums to 1; new items that are like nothing keep what they have."""
    first_new = like.shape[1]
    known = np.diff(like.indptr) > 0
    mapped = popularity.copy()
    mapped[first_new:][known] = (like @ popularity[:first_new])[known]
    return np.asarray(mapped / mapped.sum(), dtype=np.float32)


class GrowingModel:
    """A fitted model that meets items which came later; what it sees of them is kept from request to request.

    Args:
        model: as fitted.
        catalog: all items.
        most: neighbours per item, as in the fit.
        power: of the cosine, as in the fit.
    """

    def __init__(self, model: ProfileModel, catalog: Catalog, most: int, power: float) -> None:
        self.first_new = len(model.popularity)
        self.model = grow_model(model, catalog)
        self._most, self._power = most, power
        self._seen: tuple[tuple[tuple[str, bytes], ...], ProfileModel] | None = None

    def seeing(self, observation: Observation) -> ProfileModel:
        """The model, with the new items' features as they are to be seen now."""
        if self.first_new == len(self.model.popularity):
            return self.model
        names = {e.modality for e in self.model.experts} | {f.modality for f in self.model.fields}
        shown = tuple(
            (name, np.packbits(observation.present[name]).tobytes())
            for name in sorted(name for name in names if name)
            if name in observation.present
        )
        if self._seen is None or self._seen[0] != shown:
            seen = observe_new_items(self.model, observation, self.first_new, self._most, self._power)
            self._seen = (shown, seen)
        return self._seen[1]

    @property
    def latest(self) -> ProfileModel:
        """The model as it saw the new items last."""
        return self.model if self._seen is None else self._seen[1]
