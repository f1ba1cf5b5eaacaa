"""What every kind of component must do: describe its settings, be found, be saved and loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from reasonrec_core.components import ChoosesOnValidation, Component, Configured, FitData, Kind, Settings
from reasonrec_core.config_errors import validated
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import read_json
from reasonrec_core.registry import Registry, base_of
from reasonrec_core.testing.compare import arrays_of, assert_no_pickle, assert_unchanged
from reasonrec_core.testing.later import with_new_items
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import Observation, QueryBatch, Task

HEAVY = ("numpy", "pydantic", "torch", "transformers", "timm", "open_clip", "implicit", "lightgbm", "sklearn", "scipy")
"""What a plugin module must not import: it is read whenever plugins are listed."""


class ConfiguredConformance:
    """Base of all suites: the component is found, imports nothing when listed, and describes its settings.

    Attributes:
        component: the name that the plugin registers (preferred: registration is then tested too), or the class.
        settings: for its ``Config``.
    """

    kind: ClassVar[Kind]
    component: ClassVar[str | type[Configured[Any]]]
    settings: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def component_class(cls) -> type[Configured[Any]]:
        """The class under test."""
        if isinstance(cls.component, str):
            found: type[Configured[Any]] = Registry.discover().load(cls.kind, cls.component)
            return found
        return cls.component

    @classmethod
    def make(cls) -> Any:
        """A fresh instance."""
        if isinstance(cls.component, str):
            return Registry.discover().create(cls.kind, cls.component, cls.settings)
        return cls.component(validated(cls.component.Config, cls.settings))

    def test_is_of_its_kind(self) -> None:
        assert issubclass(self.component_class(), base_of(self.kind))

    def test_registration_agrees_with_the_class(self) -> None:
        if not isinstance(self.component, str):
            pytest.skip("given as a class, not by its registered name")
        spec = Registry.discover().spec(self.kind, self.component).spec
        tasks = getattr(self.component_class(), "tasks", None)
        if tasks is not None:
            assert set(spec.tasks) == {str(task) for task in tasks}, (
                "ComponentSpec.tasks differs from the class's tasks"
            )
        assert len(spec.summary) <= 120

    def test_listing_it_imports_nothing_heavy(self) -> None:
        if not isinstance(self.component, str):
            pytest.skip("given as a class, not by its registered name")
        code = (
            "import sys; from reasonrec_core.plugins import discover; found = discover();"
            f"assert any(c.spec.name == {self.component!r} for c in found.components), found.problems;"
            f"print(*[m for m in {HEAVY!r} if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [], "the plugin module imports a heavy library; move it behind the target"

    def test_settings_are_described_and_have_valid_defaults(self) -> None:
        config = self.component_class().Config
        assert issubclass(config, Settings)
        for name, field in config.model_fields.items():
            assert field.description, f"Config.{name} has no description (use pydantic.Field(description=...))"
        made = validated(config, self.settings)
        assert validated(config, made.model_dump(mode="json")) == made, "settings do not survive JSON"
        config.model_json_schema()

    def test_unknown_settings_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="no_such_setting"):
            validated(self.component_class().Config, {**self.settings, "no_such_setting": 1})

    def test_class_is_documented(self) -> None:
        assert (self.component_class().__doc__ or "").strip(), "the class has no docstring"


class ComponentConformance(ConfiguredConformance):
    """Base of the suites of what is fitted and saved.

    Attributes:
        seed: of the fit.
        same_again: whether `Component.refit` on the log of the fit gives the same; False where some choices within
            are not kept, and the answers are then alike.
    """

    seed: ClassVar[int] = 0
    same_again: ClassVar[bool] = True
    _workplace: ClassVar[Workplace]

    @classmethod
    def ready(cls, component: Any, data: FitData) -> None:
        """What the pipeline does with a component before it is fitted, and after it was loaded; here nothing."""

    @pytest.fixture
    def workplace(self, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
        """Tiny datasets and fitted components, made once per class."""
        suite = type(self)
        if "_workplace" not in vars(suite):
            suite._workplace = Workplace(suite, tmp_path_factory.mktemp("conformance"))
        return suite._workplace

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes a ``task`` (or a ``ranked_task``) for every task that the component can do."""
        if "task" in metafunc.fixturenames:
            metafunc.parametrize("task", [task for task in Task if task in self.tasks()])
        if "ranked_task" in metafunc.fixturenames:
            ranked = (Task.SEQUENTIAL, Task.DIRECT)
            metafunc.parametrize("ranked_task", [task for task in ranked if task in self.tasks()])

    @classmethod
    def tasks(cls) -> frozenset[Task]:
        """What the component can do, as registered; an encoder or estimator is fitted for the sequential task."""
        if isinstance(cls.component, str):
            names = Registry.discover().spec(cls.kind, cls.component).spec.tasks
            found = frozenset(Task(name) for name in names)
        else:
            found = getattr(cls.component, "tasks", frozenset())
        return found or frozenset({Task.SEQUENTIAL})

    def test_saves_no_pickle_and_its_settings(self, workplace: Workplace) -> None:
        folder = workplace.saved(workplace.any_task())
        assert_no_pickle(folder)
        assert (folder / "config.json").is_file(), "save does not call super().save"
        config = self.component_class().Config
        assert validated(config, read_json(folder / "config.json")) == validated(config, self.settings)

    def test_fitted_again_to_the_same_log_it_answers_the_same(self, workplace: Workplace) -> None:
        task = workplace.any_task()
        component, given = workplace.loaded(task), workplace.data(task).fit
        if not hasattr(component, "score") and not hasattr(component, "deliberate"):
            pytest.skip("is not fitted again: an encoder or an estimator stays as it is")
        nobody = replace(given.observation, horizon=np.empty(0, np.float32))
        data = replace(given, valid=None, observation=nobody, workdir=None)
        before = _answer(component, *workplace.asked(task)[:2])
        try:
            again = component.refit(data)
        except ChoosesOnValidation:
            pytest.skip("chooses on validation and has no refit of its own: it answers as it was evaluated")
        assert again is not component
        self.ready(again, data)
        after = _answer(again, *workplace.asked(task)[:2])
        if self.same_again:
            np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-6, err_msg="refit does not take choices over")
        else:
            assert np.corrcoef(after.ravel(), before.ravel())[0, 1] > 0.9, "refit does not take choices over"
        np.testing.assert_array_equal(_answer(component, *workplace.asked(task)[:2]), before)


def _answer(component: Any, batch: QueryBatch, observation: Observation) -> np.ndarray[Any, Any]:
    """The numbers that a policy or a delegate answers with."""
    if hasattr(component, "score"):
        return np.asarray(component.score(batch, observation))
    found = component.deliberate(batch, observation)
    return np.asarray(found.probability if found.ranking is None else found.ranking.scores)


class Workplace:
    """Datasets, fitted components and saved folders of one class of tests, each made when first asked for."""

    def __init__(self, suite: type[ComponentConformance], folder: Path) -> None:
        self.suite, self.folder = suite, folder
        self._data: dict[Task, Tiny] = {}
        self._before: dict[Task, dict[str, np.ndarray[Any, Any]]] = {}
        self._fitted: dict[Task, Component[Any]] = {}
        self._saved: dict[Task, Path] = {}
        self._later: dict[Task, Tiny] = {}

    def any_task(self) -> Task:
        """The first task that the component can do."""
        return next(task for task in Task if task in self.suite.tasks())

    def data(self, task: Task) -> Tiny:
        """The dataset, divided for a task."""
        if task not in self._data:
            folder = self.folder / task
            folder.mkdir()
            self._data[task] = tiny(folder, task=task, seed=self.suite.seed)
            self._before[task] = {name: array.copy() for name, array in self._given(task).items()}
        return self._data[task]

    def _given(self, task: Task) -> dict[str, np.ndarray[Any, Any]]:
        data = self._data[task]
        train = {"train.users": data.fit.train.users, "train.items": data.fit.train.items}
        return arrays_of(data.test.queries, data.fit.observation) | train

    def assert_unchanged(self, task: Task) -> None:
        """Nothing that components were given has been written to, by this test or by an earlier one."""
        assert_unchanged(self._before[task], self._given(task))

    def fitted(self, task: Task) -> Any:
        """The component, fitted for ``task``; shared by the tests of the class."""
        if task not in self._fitted:
            self._fitted[task] = self.fit(self.data(task).fit)
        return self._fitted[task]

    def fit(self, data: FitData) -> Any:
        """A new component, fitted on ``data``."""
        component = self.suite.make()
        self.suite.ready(component, data)
        component.fit(data)
        return component

    def saved(self, task: Task) -> Path:
        """The folder that the fitted component was saved to."""
        if task not in self._saved:
            folder = self.folder / f"saved-{task}"
            folder.mkdir()
            self.fitted(task).save(folder)
            self._saved[task] = folder
        return self._saved[task]

    def loaded(self, task: Task) -> Any:
        """The component as `Component.load` gives it back."""
        return self._load(task, self.data(task))

    def later(self, task: Task) -> Tiny:
        """The dataset with items that came after the fit."""
        if task not in self._later:
            self._later[task] = with_new_items(self.data(task), self.folder / f"later-{task}")
        return self._later[task]

    def loaded_later(self, task: Task) -> Any:
        """The component as `Component.load` gives it back for the catalogue that has grown."""
        return self._load(task, self.later(task))

    def _load(self, task: Task, data: Tiny) -> Any:
        kind: Any = self.suite.component_class()
        component = kind.load(self.saved(task), data.dataset.catalog)
        self.suite.ready(component, data.fit)
        return component

    def asked(self, task: Task) -> tuple[QueryBatch, Observation, int]:
        """The test queries of ``task``, what may be observed, and how many items there are."""
        data = self.data(task)
        return data.test.queries, data.observation(data.test.queries), len(data.dataset.catalog)
