"""What all components share: settings, what they may learn from, fitting, saving and loading."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from reasonrec_core.errors import RunError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.types import (
    Cases,
    Float32,
    Interactions,
    Observation,
    Progress,
    QueryBatch,
    Reviews,
    Task,
    no_progress,
)

if TYPE_CHECKING:
    from reasonrec_core.components.models import Delegate
    from reasonrec_core.data.catalog import Catalog


class Settings(BaseModel):
    """Base of every ``Config``: unknown keys are errors, values are checked, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


class Empty(Settings):
    """The config of a component without settings."""


@dataclass(frozen=True)
class FitData:
    """All that a component may learn from.

    Attributes:
        catalog: the items: ids, text fields, images, what is missing.
        n_users: users have dense indices below this.
        train: the training interactions.
        valid: validation queries with targets, for early stopping and fitting few parameters; None if there are none.
        observation: item features; ``horizon`` belongs to ``valid``'s queries.
        task: what the component will be asked to do.
        seed: of every random choice.
        delegate: makes an unfitted delegate of the pipeline, to be fitted without what its owner is trained on.
        horizon: evidence horizon of any batch, float32[B].
        progress: called as ``progress(done, total, label)``; cheap to call often.
        workdir: a folder for checkpoints that survives an interruption, or None.
        cache: a folder for what is worth keeping between runs, under names that are content hashes, or None.
        context: the names of the columns of ``train.context`` and of queries', and the values that codes from 1 mean.
        user_fields: what is known of each user, by field: text, None where it is not known.
        reviews: reads the reviews of the training part, none that tells of another part (untrusted text), or None.
    """

    catalog: Catalog
    n_users: int
    train: Interactions
    valid: Cases | None
    observation: Observation
    task: Task = Task.SEQUENTIAL
    seed: int = 0
    delegate: Callable[[str], Delegate[Any]] | None = None
    horizon: Callable[[QueryBatch], Float32] | None = None
    progress: Progress = no_progress
    workdir: Path | None = None
    cache: Path | None = None
    user_fields: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reviews: Callable[[], Reviews] | None = None


class ChoosesOnValidation(RunError):
    """Raised where what validation chose would be lost: by a `Component.refit` that does not take it over."""


class WithoutValidation(FitData):
    """The same for a fit that must not miss the validation part unnoticed: to read it is an error."""

    def __getattribute__(self, name: str) -> Any:
        if name == "valid":
            raise ChoosesOnValidation("its settings are chosen on validation and cannot be carried over yet")
        return super().__getattribute__(name)


C = TypeVar("C", bound=Settings)


class Configured(ABC, Generic[C]):
    """What all kinds share but metrics, which are records: a pydantic ``Config``, and being made from one."""

    Config: ClassVar[type[Settings]] = Empty

    def __init__(self, config: C) -> None:
        self.config = config


class Component(Configured[C]):
    """What encoders, policies, estimators and delegates share: settings, fitting, saving.

    A subclass sets ``Config`` and keeps what it learned in attributes that `save` writes and `load` reads. Only
    safetensors, a library's own text or binary format, ``.npy``/``.npz`` without objects, and JSON: never pickle.

    **A catalogue grows.** Items can be added to a finished run without fitting anything again, so `load` may be given
    a catalogue longer than the one of the fit: its items first, under their old indices, then the new ones. From then
    on histories and candidates may name any item, ``observation.features`` and ``present`` have a row for each, and
    the component answers for all of them: rankings over the whole catalogue, ``float32[B, n_items]`` where scores are
    due. What can see content judges new items by it (by fields of ``catalog`` in `load`, by features when it is
    asked). What cannot puts them last, with the lowest score or -inf, and never fails because of them. Answers about
    old items stay what they were as far as that makes sense for the component. `reasonrec_core.catalog_growth` has the
    padding; the conformance suites check it.
    """

    def fit(self, data: FitData) -> None:
        """Learn from ``data``. The default learns nothing."""

    def refit(self, data: FitData) -> Self:
        """One fitted to ``data.train`` with what validation chose for this one, which stays as it is.

        ``data.valid`` is None. By default it is fitted as this one was; where `fit` reads ``data.valid``, override this
        to take its choices over. Else `ChoosesOnValidation` is raised and the evaluated one answers on, which is said.
        """
        again = type(self)(self.config)
        again.fit(WithoutValidation(**vars(data)))
        return again

    def save(self, folder: Path) -> None:
        """Write everything needed to act again into ``folder`` (exists, empty). Extend, calling ``super().save``."""
        write_json(folder / "config.json", self.config.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote. Extend: call ``super().load`` and set the learned attributes.

        ``catalog`` may be longer than it was in `fit`; see the class's docstring.
        """
        path = folder / "config.json"
        try:
            return cls(cls.Config.model_validate(read_json(path)))  # type: ignore[arg-type]
        except ValidationError as error:
            what = f"does not hold the settings of {cls.__name__} ({error.errors()[0]['msg']})"
            raise RunError(what, where=str(path)) from error
