"""Delegate `ada-retrieval`: a fitted sequence delegate, and rounds of retrieval around its encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from reasonrec_torch.answering import rank_unknown_last
from reasonrec_torch.devices import copy_to_cpu, one_thread
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan
from reasonrec_torch.members import make_member, place_member
from reasonrec_torch.parameters import to_array
from reasonrec_torch.ragged import HistoryBatch, over_histories
from reasonrec_torch.storage import make_filled, read_tensors, write_tensors

from reasonrec_core.components import FitData, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.types import Float32, Observation, QueryBatch
from reasonrec_sequence.config import AdaRetrievalConfig
from reasonrec_sequence.delegates import BSARec, ConvFormer, Gru, LightSANs, SASRec, SequenceDelegate
from reasonrec_sequence.rounds import RoundsNetwork, order_by_rounds

BASES: dict[str, type[SequenceDelegate[Any]]] = {c.__name__: c for c in (SASRec, BSARec, LightSANs, ConvFormer, Gru)}
BASE, ROUNDS, ABOUT = "base", "rounds.safetensors", "rounds.json"


class AdaRetrieval(LearningDelegate[AdaRetrievalConfig, RoundsNetwork]):
    """Rounds of retrieval, each with what was found before in view (after Ada-Retrieval, Li et al., AAAI 2024).

    The base is fitted first, then the rounds, perhaps with the base trained on; all is left as it was where that does
    not pay on validation. The list is the first round's items, then the second's, and so on; what no round found
    follows as the last round ranks it.
    """

    Config = AdaRetrievalConfig
    _base: SequenceDelegate[Any]
    _rounds: RoundsNetwork

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[RoundsNetwork]:
        """The base, fitted, and rounds around it; the NDCG of what the rounds find chooses the epoch."""
        config, n = self.config, self._n_items
        if fitted is None:
            self._base = make_base(config.base, data)
            self._base.fit(place_member(data, BASE))
        else:
            self._base = fitted._base.refit(place_member(data, BASE))
        return TrainingPlan(
            lambda: RoundsNetwork(config, self._base.network),
            self._base.list_sequences(data),
            config.training,
            self.judge_answers(data, k=min(n, config.rounds * config.items)),
            figure="validation NDCG",
            validate_start=True,
            label="train the rounds",
        )

    def keep(self, network: RoundsNetwork) -> None:
        """Take the rounds, and the base as they are trained around it: on the CPU, where a base answers."""
        self._rounds = copy_to_cpu(network)
        self._base.keep(self._rounds.base)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: in the order of the rounds; see the class."""
        table = self._base.item_vectors(observation)
        if not len(batch):
            return pick_candidates(np.zeros((0, len(table)), np.float32), batch)
        vectors, bias = torch.from_numpy(table[:, :-1]), torch.from_numpy(table[:, -1])
        unknown = self._base.find_unknown(table)
        known_bias = bias.masked_fill(torch.from_numpy(unknown), -torch.inf)

        def ask(histories: HistoryBatch) -> Float32:
            had = batch.history.take(histories.rows)
            barred = torch.from_numpy(np.stack([had.rows, had.items]).astype(np.int64))
            items, at = torch.from_numpy(histories.items), torch.from_numpy(histories.ends)
            return to_array(order_by_rounds(self._rounds.run(items, at, vectors, known_bias, barred), vectors, bias))

        with one_thread(len(batch) == 1), torch.no_grad():
            scores = over_histories(
                ask, batch.history.indptr, batch.history.items, max_history=self._base.config.max_history
            )
        return rank_unknown_last(scores, unknown, batch)

    def save(self, folder: Path) -> None:
        """Write the base, as it was trained on, and the rounds."""
        super().save(folder)
        (folder / BASE).mkdir()
        self._base.save(folder / BASE)
        own = {name: value for name, value in self._rounds.state_dict().items() if not name.startswith("base.")}
        write_tensors(folder / ROUNDS, own)
        write_json(folder / ABOUT, {"base": type(self._base).__name__})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._base = BASES[read_json(folder / ABOUT)["base"]].load(folder / BASE, catalog)
        network = self._base.network
        tensors = read_tensors(folder / ROUNDS) | {f"base.{name}": v for name, v in network.state_dict().items()}
        self._rounds = make_filled(lambda: RoundsNetwork(self.config, network), tensors, folder / ROUNDS)
        return self


def make_base(name: str, data: FitData) -> SequenceDelegate[Any]:
    """A new delegate of the pipeline that reads histories.

    Raises:
        PluginError: no delegates can be asked here.
        ConfigError: it is of another kind.
    """
    base = make_member(data, name, where="base")
    if type(base).__name__ not in BASES or not isinstance(base, SequenceDelegate):
        known = "sasrec, bsarec, lightsans, convformer and gru"
        raise ConfigError(f"the delegate {name!r} does not read histories", where="base", fix=f"Use one of {known}.")
    return base
