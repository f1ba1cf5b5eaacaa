"""Items that come after the fit: they are scored by what they look and read like, and can be recommended."""

from __future__ import annotations

from dataclasses import replace

from reasonrec_profile.api import GrowingModel, ProfileModel

from reasonrec_chain.config import ChainConfig
from reasonrec_chain.model import ChainModel, make_experts
from reasonrec_core.catalog_growth import grown
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Observation


class GrowingChain:
    """A fitted model for a catalogue whose last items it was not fitted on.

    New items have no vector of their own: their features and labels speak for them, in the network as among the
    counted experts. What is seen of them is kept from request to request.

    Args:
        config: of the policy.
        model: as fitted.
        catalog: all items, the fitted ones first.
    """

    def __init__(self, config: ChainConfig, model: ChainModel, catalog: Catalog) -> None:
        self.catalog = catalog
        self._config, self._fitted = config, model
        self._growing = GrowingModel(model.counted, catalog, config.counted.neighbours, config.counted.power)
        self.latest = self._for(self._growing.model)
        """The model as it saw the new items last."""

    def seeing(self, observation: Observation) -> ChainModel:
        """The model, with the new items' features as they are to be seen now."""
        counted, latest = self._growing.seeing(observation), self.latest
        if counted is not latest.counted:
            latest = self.latest = self._for(counted)
        return latest

    def _for(self, counted: ProfileModel) -> ChainModel:
        if counted is self._fitted.counted:
            return self._fitted
        fitted = self._fitted.experts.sequence
        counts = grown(fitted.counts, len(counted.popularity))
        sequence = replace(fitted, counts=counts, fields=counted.fields)
        before = self._fitted.experts
        experts = make_experts(self._config, counted, sequence, before.trust, before.delegates)
        return replace(self._fitted, counted=counted, experts=experts)
