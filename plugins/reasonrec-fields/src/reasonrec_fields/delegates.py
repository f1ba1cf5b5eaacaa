"""The delegates `xdeepfm` and `dcnv2`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
import torch
from reasonrec_clicks.description import ClickDescriber
from reasonrec_torch.devices import find_device
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan
from reasonrec_torch.rows import RowBatch, TrainingRows
from reasonrec_torch.storage import make_filled, read_tensors, under, write_tensors

from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import PluginError
from reasonrec_core.evaluate.ctr_metrics import auc
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.types import Cases, Float32, Observation, QueryBatch, Task
from reasonrec_fields.config import DCNv2Config, FieldConfig, XDeepFMConfig
from reasonrec_fields.network import ClickNetwork, DCNv2Network, XDeepFMNetwork, fit_line
from reasonrec_fields.rows import Arrays, FieldReader, read_batch, read_training

C = TypeVar("C", bound=FieldConfig)
CHUNK = 4096
"""Rows that are answered at once."""


class FieldDelegate(LearningDelegate[C, ClickNetwork]):
    """Networks over fields, averaged. A subclass gives `make_network`."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.CTR})
    _rows: ClickDescriber
    _reader: FieldReader
    _networks: list[ClickNetwork]
    _line: tuple[float, float]

    @abstractmethod
    def make_network(self, numbers: int, labels: int) -> ClickNetwork:
        """A new network for so many numbers and labels."""

    def fit(self, data: FitData) -> None:
        """Train, and fit the line on validation."""
        super().fit(data)
        if (judged := self._judge(data)) is not None:
            arrays, labels = judged
            self._line = fit_line(torch.from_numpy(self._logits(arrays)), torch.from_numpy(labels))

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[ClickNetwork]:
        """The training rows, described; a fit to other rows takes the line over."""
        config, name = self.config, type(self).__name__.lower()
        self._rows = ClickDescriber.of(data, config.components, config.without, name)
        found = self._rows.describe_training(config.blocks, progress=data.progress, label=f"{name}: rows")
        content, _ = self._rows.observe(data.observation)
        self._reader = FieldReader.of(data, config, found.table)
        arrays = read_training(self._reader, self._rows, found, config, content.labels, data.train.context)
        judged = self._judge(data)
        self._networks, self._line = [], (1.0, 0.0) if fitted is None else fitted._line
        return TrainingPlan(
            lambda: self.make_network(found.table.shape[1], content.labels.shape[1]),
            TrainingRows(arrays, batch=config.training.batch),
            config.training,
            None if judged is None else _make_figure(*judged),
            figure="validation AUC",
            label=f"train {name}",
        )

    def divide(self, data: FitData) -> list[FitData]:
        """A seed and a folder for each member."""
        seeds = (np.random.SeedSequence([data.seed, m]).generate_state(1)[0] for m in range(self.config.members))
        folders = (data.workdir and data.workdir / f"network-{m}" for m in range(self.config.members))
        return [replace(data, seed=int(s), workdir=folder) for s, folder in zip(seeds, folders, strict=True)]

    def keep(self, network: ClickNetwork) -> None:
        """Take one more."""
        self._networks.append(network)

    def _judge(self, data: FitData) -> tuple[Arrays, Float32] | None:
        """Validation rows and their labels, float32[N]; None where there is nothing to tell apart."""
        cases: Cases | None = data.valid
        if cases is None or cases.labels is None or len(np.unique(cases.labels)) < 2:
            return None
        arrays, real = read_batch(self._reader, self._rows, cases.queries, data.observation, self.config)
        return arrays, np.asarray(cases.labels[real], np.float32)

    def _logits(self, arrays: Arrays) -> Float32:
        found = [compute_rows(network, arrays) for network in self._networks]
        return np.asarray(np.mean(found, axis=0), np.float32)

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, C]: click probabilities of the candidates; of the whole catalogue where there are none."""
        arrays, real = read_batch(self._reader, self._rows, batch, observation, self.config)
        slope, offset = self._line
        out = np.zeros(real.shape, np.float32)
        out[real] = 1 / (1 + np.exp(-(slope * self._logits(arrays).astype(np.float64) + offset)))
        return out

    def evidence(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, C, 2]: evidence for a click and against it, 0 for padding; a Beta's parameters less 1.

        The mean of the networks'; that `score` fits a line on validation does not change it.

        Raises:
            PluginError: it was not trained with ``evidence``.
        """
        if not self.config.evidence:
            name = type(self).__name__.lower()
            raise PluginError(f"{name} was not trained to state its evidence", fix="Set `evidence`.")
        arrays, real = read_batch(self._reader, self._rows, batch, observation, self.config)
        out = np.zeros((*real.shape, 2), np.float32)
        out[real] = np.mean([compute_rows(network, arrays, evidence=True) for network in self._networks], axis=0)
        return out

    def save(self, folder: Path) -> None:
        """Write the networks and how rows are read."""
        super().save(folder)
        self._rows.save(folder)
        write_arrays(folder / "reader.npz", self._reader.arrays())
        write_json(folder / "fit.json", {"line": self._line})
        tensors = {f"{m}.{n}": v for m, net in enumerate(self._networks) for n, v in net.state_dict().items()}
        write_tensors(folder / "networks.safetensors", tensors)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._rows = ClickDescriber.load(folder, catalog)
        self._reader = FieldReader.from_arrays(read_arrays(folder / "reader.npz"))
        slope, offset = read_json(folder / "fit.json")["line"]
        self._line = slope, offset
        path = folder / "networks.safetensors"
        tensors, self._networks = read_tensors(path), []
        for member in range(self.config.members):
            own = under(f"{member}.", tensors)
            sizes = len(self._reader.quantiles), len(own["vectors.labels"])
            self._networks.append(make_filled(partial(self.make_network, *sizes), own, path))
        self._reader = self._reader.grow(len(catalog))
        return self


@torch.no_grad()
def compute_rows(network: ClickNetwork, arrays: Arrays, *, evidence: bool = False) -> Float32:
    """float32[N] logits of rows, or float32[N, 2] evidence; the network stays in its mode and on its device."""
    device, size = find_device(network), len(arrays["user"])
    ask, found = network.evidence if evidence else network, [np.zeros((0, 2) if evidence else 0, np.float32)]
    for start in range(0, size, CHUNK):
        batch = RowBatch({name: array[start : start + CHUNK] for name, array in arrays.items()}).to(device)
        found.append(ask(batch).float().cpu().numpy())
    return np.concatenate(found)


def _make_figure(arrays: Arrays, labels: Float32) -> Callable[[ClickNetwork], float]:
    return lambda network: auc(labels.astype(np.float64), compute_rows(network, arrays).astype(np.float64))


class XDeepFM(FieldDelegate[XDeepFMConfig]):
    """xDeepFM (Lian et al., KDD 2018)."""

    Config = XDeepFMConfig

    def make_network(self, numbers: int, labels: int) -> ClickNetwork:
        """An interaction network."""
        return XDeepFMNetwork(self.config, self._reader.sizes, numbers, labels)


class DCNv2(FieldDelegate[DCNv2Config]):
    """DCNv2 (Wang et al., WWW 2021)."""

    Config = DCNv2Config

    def make_network(self, numbers: int, labels: int) -> ClickNetwork:
        """Cross layers."""
        return DCNv2Network(self.config, self._reader.sizes, numbers, labels)
