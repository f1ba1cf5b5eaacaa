"""What delegates whose network is trained share: fitting, fitting again, the epochs that validation chose.

Imports no torch until something is fitted, so that a delegate that answers in arrays loads without it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from reasonrec_core.components import Delegate, FitData, Settings
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import RunError
from reasonrec_core.io import content_hash, read_json, write_json
from reasonrec_torch.config import TrainerConfig, train_as_long
from reasonrec_torch.validation import choose_cases, mean_ndcg

if TYPE_CHECKING:
    from reasonrec_torch.model_protocol import EpochSource, StreamSource, Trainable

C = TypeVar("C", bound=Settings)
N = TypeVar("N", bound="Trainable[Any]")
EPOCHS = "epochs.json"


@dataclass(frozen=True)
class TrainingPlan(Generic[N]):
    """What a `LearningDelegate` trains.

    Attributes:
        make_network: a new network; torch's chance starts from the seed.
        rows: what it learns from.
        training: how.
        validate: gives the figure that chooses the epoch, see `LearningDelegate.judge_answers`; None: nothing does.
        figure: name of what ``validate`` gives.
        validate_start: whether the untrained network is judged, too, and kept where nothing is better.
        label: what is done, for progress.
    """

    make_network: Callable[[], N]
    rows: EpochSource[Any] | StreamSource[Any]
    training: TrainerConfig
    validate: Callable[[N], float] | None
    figure: str = "validation NDCG@10"
    validate_start: bool = False
    label: str = "train"


class LearningDelegate(Delegate[C], Generic[C, N]):
    """A delegate that trains networks. A subclass says what is trained (`plan`), and keeps what answers need (`keep`).

    Fitted again it learns for as many epochs as validation chose; where that was none, the network stays as made.
    """

    _n_items: int
    epochs: list[tuple[int, int]]
    """Of each network: epochs that were planned, and the best of them."""

    @abstractmethod
    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[N]:
        """What is trained on ``data``.

        Args:
            data: what is learned from; `_n_items` is the size of its catalogue.
            fitted: whose choices are taken over; None in a first fit.
        """

    @abstractmethod
    def keep(self, network: N) -> None:
        """Take what answers need of a network, on its device, in evaluation mode. Asked also at each validation."""

    def divide(self, data: FitData) -> Sequence[FitData]:
        """For each network that is trained the seed and the folder of its own; by default there is one network."""
        return [data]

    def fit(self, data: FitData) -> None:
        """Train; validation chooses the epoch."""
        self._learn(data, None)

    def refit(self, data: FitData) -> Self:
        """Train again, on ``data.train``, for as many epochs as validation chose."""
        again = type(self)(self.config)
        again._learn(data, self)
        return again

    def judge_answers(self, data: FitData, most: int | None = None, k: int = 10) -> Callable[[N], float] | None:
        """A function that gives the mean NDCG@k of what this delegate answers with a network; None without queries.

        Args:
            data: with the validation queries.
            most: of them, drawn at random; None: all.
            k: where the ranking is cut.
        """
        cases = choose_cases(data, most)
        if cases is None:
            return None

        def figure(network: N) -> float:
            self.keep(network)
            return mean_ndcg(lambda batch: self.recommend(batch, data.observation), cases, self._n_items, k)

        return figure

    def _learn(self, data: FitData, fitted: Self | None) -> None:
        self._n_items, self.epochs = len(data.catalog), []
        plan, parts = self.plan(data, fitted), self.divide(data)
        for number, part in enumerate(parts):
            label = plan.label if len(parts) == 1 else f"{plan.label} {number + 1} of {len(parts)}"
            chosen = None if fitted is None else fitted.epochs[number]
            self.epochs.append(self._train(plan, part, label, chosen))

    def _train(
        self, plan: TrainingPlan[N], data: FitData, label: str, chosen: tuple[int, int] | None
    ) -> tuple[int, int]:
        from reasonrec_torch.devices import seeded
        from reasonrec_torch.trainer import train

        with seeded(data.seed):
            network = plan.make_network()
        epochs = chosen or (1, 1)
        if epochs[1] and any(parameter.requires_grad for parameter in network.parameters()):
            report = train(
                network,
                plan.rows,
                plan.training if chosen is None else train_as_long(plan.training, *chosen),
                seed=data.seed,
                validate=plan.validate,
                figure=plan.figure,
                validate_start=plan.validate_start and chosen is None,
                progress=data.progress,
                label=label,
                workdir=data.workdir,
                key=content_hash(type(self).__name__, self.config.model_dump(mode="json"), network.identity),
            )
            epochs = chosen or (report.planned, report.best)
        self.keep(network.to("cpu").eval())
        return epochs

    def save(self, folder: Path) -> None:
        """Write the settings and the epochs."""
        super().save(folder)
        write_json(folder / EPOCHS, self.epochs)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        if not (folder / EPOCHS).exists():
            what = f"this {cls.__name__} was fitted by an earlier version, which kept other files"
            raise RunError(what, where=str(folder), fix="Fit it again: reasonrec run PIPELINE.toml --refit.")
        found = read_json(folder / EPOCHS)
        pairs = found if found and isinstance(found[0], list) else [found]  # earlier versions wrote a single pair
        self.epochs, self._n_items = [(int(planned), int(best)) for planned, best in pairs], len(catalog)
        return self
