"""The delegates: one for each encoder; what they share learns, answers, and is written to files."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np
import torch
from reasonrec_torch.answering import rank_unknown_last
from reasonrec_torch.batching import TrainingSequences
from reasonrec_torch.catalog_cache import CatalogCache
from reasonrec_torch.devices import one_thread
from reasonrec_torch.feature_projection import make_item_tensors
from reasonrec_torch.item_features import (
    FeatureProjection,
    choose_modalities,
    fit_projections,
    name_projections,
    read_projections,
)
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan
from reasonrec_torch.losses import make_softmax
from reasonrec_torch.next_item import last_states, next_item_figure
from reasonrec_torch.storage import make_filled, read_tensors, under, write_tensors
from reasonrec_torch.validation import choose_cases

from reasonrec_core.catalog_growth import grown
from reasonrec_core.components import FitData, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import RunError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.types import Bool, Float32, Observation, QueryBatch, indptr_of
from reasonrec_sequence.config import AttentionConfig, BSARecConfig, ConvFormerConfig, LightSANsConfig, SequenceConfig
from reasonrec_sequence.encoders import AttentionEncoder, ConvolutionEncoder, InterestEncoder, RecurrentEncoder
from reasonrec_sequence.network import SequenceEncoder, SequenceNetwork

C = TypeVar("C", bound=SequenceConfig)
NOTHING = Observation({}, {}, np.zeros(0, np.float32))


class SequenceDelegate(LearningDelegate[C, SequenceNetwork]):
    """A network that reads the history. A subclass gives `make_encoder`.

    Users are their histories, so an unknown one is answered like any other; one without any gets what a row of padding
    gives. An item that came after the fit is scored by its features where the network reads any and it has some;
    else it is ranked last.
    """

    shape: Literal["positions", "prefixes"] = "positions"
    _network: SequenceNetwork
    _views: tuple[FeatureProjection, ...]
    _counts: Float32
    _table: CatalogCache[Float32]

    @abstractmethod
    def make_encoder(self) -> SequenceEncoder:
        """A new encoder, by the settings."""

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[SequenceNetwork]:
        """The next items of the training part."""
        config, training, seen = self.config, self.config.training, data.observation
        self._counts = data.train.count_items(self._n_items)
        self._views = fit_projections(seen, self._choose_modalities(seen), config.components)
        inputs = make_item_tensors(self._counts, self._views, (), seen)
        chosen = self._counts[self._counts > 0].astype(np.int64)
        softmax = make_softmax(training.loss, chosen, negatives=training.negatives, popularity=training.popularity)
        cases = choose_cases(data)
        return TrainingPlan(
            lambda: SequenceNetwork(config, self.make_encoder(), inputs, softmax),
            self.list_sequences(data),
            training,
            None if cases is None else next_item_figure(cases, config.max_history),
            label=f"train {type(self).__name__}",
        )

    def keep(self, network: SequenceNetwork) -> None:
        """Take the network."""
        self._network, self._table = network, CatalogCache()

    def list_sequences(self, data: FitData) -> TrainingSequences:
        """The training part, as this encoder reads it."""
        training = self.config.training
        return TrainingSequences(
            indptr_of(np.bincount(data.train.users, minlength=data.n_users)),
            data.train.items,
            shape=self.shape,
            max_history=self.config.max_history,
            tokens=training.batch_tokens,
            times=data.train.times if training.shuffle_ties else None,
        )

    @property
    def network(self) -> SequenceNetwork:
        """What was trained."""
        return self._network

    @property
    def n_fitted(self) -> int:
        """Items of the catalogue that it was fitted on."""
        return len(self._counts)

    def weights_changed(self) -> None:
        """The network was trained on: its item vectors are made anew."""
        self._table = CatalogCache()

    def _choose_modalities(self, seen: Observation) -> tuple[str, ...]:
        config = self.config
        if config.items == "ids":
            return ()
        fix = 'Set items = "ids", or observe text or images ([observe.text]).'
        needed = config.items == "features"
        return choose_modalities(config.modalities, seen, where="items", fix=fix, needed=needed)

    def item_vectors(self, observation: Observation) -> Float32:
        """float32[n_items, d + 1]: what `query_vectors` are multiplied with; the last column is the item's bias."""

        def make() -> Float32:
            seen = observation if self._views else NOTHING
            self._network.inputs = make_item_tensors(grown(self._counts, self._n_items), self._views, (), seen)
            with torch.no_grad():
                vectors, bias = self._network.table()
            table: Float32 = torch.cat([vectors, bias[:, None]], 1).numpy()
            return table

        return self._table.get(self._n_items, observation, [view.modality for view in self._views], make)

    def query_vectors(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, d + 1]: the state after each history, and 1."""
        table = torch.from_numpy(self.item_vectors(observation)[:, :-1])
        with one_thread(len(batch) == 1):
            states = last_states(self._network, table, batch.history, self.config.max_history)
        return np.concatenate([states, np.ones((len(states), 1), np.float32)], axis=1)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: inner products."""
        table = self.item_vectors(observation)
        if not len(batch):
            return pick_candidates(np.zeros((0, self._n_items), np.float32), batch)
        scores: Float32 = self.query_vectors(batch, observation) @ table.T
        return rank_unknown_last(scores, self.find_unknown(table), batch)

    def find_unknown(self, table: Float32) -> Bool:
        """bool[n_items]: the items of which ``table``, that of `item_vectors`, knows nothing: new, without features."""
        unknown = np.zeros(len(table), np.bool_)
        unknown[self.n_fitted :] = ~table[self.n_fitted :, :-1].any(1)
        return unknown

    def save(self, folder: Path) -> None:
        """Write the network and how features are read."""
        super().save(folder)
        tensors = {f"network.{name}": value for name, value in self._network.state_dict().items()}
        tensors |= {name: torch.from_numpy(array) for name, array in name_projections(self._views).items()}
        write_tensors(folder / "network.safetensors", tensors | {"counts": torch.from_numpy(self._counts)})
        write_json(folder / "views.json", [view.modality for view in self._views])

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        # Without a temperature scores were inner products, which the default no longer says.
        if "temperature" not in read_json(folder / "config.json"):
            what = "this sequence model was fitted by an earlier version, whose scores were others"
            raise RunError(what, where=str(folder), fix="Fit it again: reasonrec run PIPELINE.toml --refit.")
        tensors = read_tensors(folder / "network.safetensors")
        self._table, self._counts = CatalogCache(), tensors["counts"].numpy()
        arrays = {name: tensor.numpy() for name, tensor in under("view", tensors).items()}
        self._views = read_projections(read_json(folder / "views.json"), arrays, "{at}.{part}")
        inputs = make_item_tensors(self._counts, self._views, (), NOTHING)
        self._network = make_filled(
            lambda: SequenceNetwork(self.config, self.make_encoder(), inputs),
            under("network.", tensors),
            folder / "network.safetensors",
        )
        return self


class SASRec(SequenceDelegate[AttentionConfig]):
    """Self-attentive sequential recommendation (Kang and McAuley, ICDM 2018), with a softmax over the catalogue."""

    Config = AttentionConfig

    def make_encoder(self) -> SequenceEncoder:
        """Attention."""
        return AttentionEncoder(self.config)


class BSARec(SequenceDelegate[BSARecConfig]):
    """SASRec with a frequency filter (Shin et al., AAAI 2024), which here transforms each prefix: it is causal."""

    Config = BSARecConfig

    def make_encoder(self) -> SequenceEncoder:
        """Attention beside a filter."""
        return AttentionEncoder(self.config)


class LightSANs(SequenceDelegate[LightSANsConfig]):
    """Attention to latent interests (Fan et al., SIGIR 2021)."""

    Config = LightSANsConfig

    def __init__(self, config: LightSANsConfig) -> None:
        super().__init__(config)
        self.shape = "positions" if config.causal else "prefixes"

    def make_encoder(self) -> SequenceEncoder:
        """Interests."""
        return InterestEncoder(self.config)


class ConvFormer(SequenceDelegate[ConvFormerConfig]):
    """Depth-wise convolutions (after Wang et al., 2024; causal, so that all prefixes are trained on at once)."""

    Config = ConvFormerConfig

    def make_encoder(self) -> SequenceEncoder:
        """Convolutions."""
        return ConvolutionEncoder(self.config)


class Gru(SequenceDelegate[SequenceConfig]):
    """A recurrent network (after GRU4Rec, Hidasi et al., ICLR 2016)."""

    Config = SequenceConfig

    def make_encoder(self) -> SequenceEncoder:
        """Recurrence."""
        return RecurrentEncoder(self.config)
