"""Items that come after the fit: what was counted and compared, brought to a catalogue that has grown.

In two steps, because a catalogue says what an item is called and only an observation says what it looks like:
`grow_model` when the policy is loaded, `see_new_items` when it is asked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonrec_core.builtin.profile.fields import ItemField, extend_field
from reasonrec_core.builtin.profile.fitting import Model
from reasonrec_core.builtin.profile.groups import extend_groups
from reasonrec_core.builtin.profile.neighbours import extend_neighbours
from reasonrec_core.builtin.profile.propose import Expert
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.growth import grown, grown_matrix
from reasonrec_core.types import Observation


def grow_model(model: Model, catalog: Catalog) -> Model:
    """The model for all items of ``catalog``, of which it was fitted on the first ones.

    New items have no transitions, the popularity of items without interactions, and the labels that the catalogue
    gives them. What is read from features is still empty for them.
    """
    first_new, n_items = len(model.popularity), len(catalog)
    if first_new == n_items:
        return model
    unseen = float(model.popularity.min()) if model.unseen is None else model.unseen
    popularity = grown(model.popularity, n_items, fill=unseen)
    return replace(
        model,
        experts=tuple(replace(e, matrix=grown_matrix(e.matrix, n_items)) for e in model.experts),
        fields=tuple(extend_field(f, catalog, first_new) for f in model.fields),
        popularity=popularity / popularity.sum(),
    )


def see_new_items(model: Model, observation: Observation, first_new: int, most: int, power: float) -> Model:
    """What `grow_model` gave, with the features of the items from ``first_new`` on looked at.

    Content experts find their neighbours, groups take them in. A modality that is not observed stays silent.

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
        return extend_groups(each, features[name], present[name], first_new)

    return replace(model, experts=tuple(map(expert, model.experts)), fields=tuple(map(field, model.fields)))


class Growing:
    """A fitted model that meets items which came later; what it sees of them is kept from request to request.

    Args:
        model: as fitted.
        catalog: all items.
        most: neighbours per item, as in the fit.
        power: of the cosine, as in the fit.
    """

    def __init__(self, model: Model, catalog: Catalog, most: int, power: float) -> None:
        self.first_new = len(model.popularity)
        self.model = grow_model(model, catalog)
        self._most, self._power = most, power
        self._seen: tuple[tuple[tuple[str, bytes], ...], Model] | None = None

    def seeing(self, observation: Observation) -> Model:
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
            seen = see_new_items(self.model, observation, self.first_new, self._most, self._power)
            self._seen = (shown, seen)
        return self._seen[1]

    @property
    def latest(self) -> Model:
        """The model as it saw the new items last."""
        return self.model if self._seen is None else self._seen[1]
