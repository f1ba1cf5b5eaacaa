"""From a name in a pipeline file to a component: looked up, imported when used, its settings checked."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from reasonrec_core.components import MetricInfo, Settings
from reasonrec_core.config_errors import validated
from reasonrec_core.errors import ConfigError, PluginError, ReasonRecError, did_you_mean
from reasonrec_core.hookspecs import Kind
from reasonrec_core.plugins import Installed, Problem, Registered, installed, official
from reasonrec_core.plugins.checks import described

BASES: Mapping[Kind, str] = {
    Kind.ENCODER: "reasonrec_core.components:Encoder",
    Kind.POLICY: "reasonrec_core.components:ReasoningPolicy",
    Kind.UNCERTAINTY: "reasonrec_core.components:UncertaintyEstimator",
    Kind.DELEGATE: "reasonrec_core.components:Delegate",
    Kind.ROUTER: "reasonrec_core.routing.router:Router",
    Kind.DATA_SOURCE: "reasonrec_core.components:DataSource",
    Kind.SPLITTER: "reasonrec_core.components:Splitter",
    Kind.METRIC: "reasonrec_core.components:MetricInfo",
    Kind.REPORTER: "reasonrec_core.components:Reporter",
}
"""What a component of each kind must be a subclass of (a metric: an instance), imported when it is needed."""


def base_of(kind: Kind) -> type[Any]:
    """What a component of ``kind`` must be a subclass of; a metric, an instance."""
    module, _, name = BASES[kind].partition(":")
    base: type[Any] = getattr(import_module(module), name)
    return base


class Registry:
    """The components that are installed. Making one imports nothing; `load` does.

    Args:
        found: what the plugins offer.
    """

    def __init__(self, found: Installed) -> None:
        self.problems: tuple[Problem, ...] = found.problems
        self._components = {(item.kind, item.spec.name): item for item in found.components}
        self._qualified = {(item.kind, item.qualified): item for item in (*found.components, *found.rivals)}
        self._loaded: dict[tuple[str, str], Any] = {}
        self._guards: dict[tuple[str, str, str], guard] = {}

    @classmethod
    def discover(cls) -> Registry:
        """Read the installed plugins; broken ones are left out with a warning."""
        return cls(installed())

    def names(self, kind: Kind | str) -> list[str]:
        """Names of all components of a kind, sorted; qualified where two distributions offer one name."""
        return sorted(self.name_of(each) for each in self.components() if each.kind == kind)

    def name_of(self, offer: Registered) -> str:
        """The shortest name that means ``offer``: its own, or the qualified one."""
        own = self._components.get((offer.kind, offer.spec.name)) == offer
        return offer.spec.name if own else offer.qualified

    def find_name(self, component: object) -> str:
        """What a component is called where it is registered, whatever its label is; a `PluginError` if nowhere."""
        target = f"{type(component).__module__}:{type(component).__qualname__}"
        for each in self.components():
            if each.spec.target == target:
                return self.name_of(each)
        raise PluginError(f"{target} comes from no installed plugin, so it cannot be kept")

    def components(self) -> list[Registered]:
        """All components, sorted by kind, name and distribution."""
        return sorted(self._qualified.values(), key=lambda each: (each.kind, each.spec.name, each.distribution))

    def spec(self, kind: Kind | str, name: str, *, where: str | None = None) -> Registered:
        """The registration of a component.

        Args:
            kind: of the component.
            name: as in a pipeline file; ``distribution:name`` where two distributions offer one name.
            where: the config key that names it, for the error.

        Raises:
            ConfigError: nothing is registered under that name; says what is near, or why it was left out. Or several
                distributions offer it.
        """
        kind = Kind(kind)
        found = self._components.get((kind, name)) or self._qualified.get((kind, name))
        if found is None:
            raise ConfigError(f"no {kind} is called {name!r}", where=where, fix=self._hint(kind, name))
        return found

    def _hint(self, kind: Kind, name: str) -> str:
        rivals = [each.qualified for each in self.components() if (each.kind, each.spec.name) == (kind, name)]
        if rivals:
            return f"{len(rivals)} distributions offer it: write {' or '.join(map(repr, rivals))}."
        for problem in self.problems:
            if problem.name == name and problem.kind in {kind, None}:
                return f"{problem}."
        for other, known in self._components:
            if known == name:
                return f"{name!r} is of kind {other}."
        return owner_hint(name, kind) or did_you_mean(name, self.names(kind))

    def load(self, kind: Kind | str, name: str) -> Any:
        """Import a component's class, a subclass of `base_of` its kind; a metric's record.

        Raises:
            ConfigError: unknown name.
            PluginError: it cannot be imported or is not of that kind; names the distribution.
        """
        found = self.spec(kind, name)
        key = (found.kind, found.qualified)
        if key not in self._loaded:
            self._loaded[key] = _import(found)
        return self._loaded[key]

    def metrics(self, task: str | None = None, names: Sequence[str] | None = None) -> list[MetricInfo]:
        """The records of metrics, in the order of tables.

        Args:
            task: those that are defined for it; None for all.
            names: those that are wanted, as in a pipeline file; None for all that are installed.

        Raises:
            ConfigError: a name is not installed.
            PluginError: a record cannot be imported.
        """
        specs = [self.spec(Kind.METRIC, name, where="evaluate.metrics").spec for name in names or ()]
        if names is None:
            specs = [each.spec for each in self.components() if each.kind is Kind.METRIC]
        wanted = [each.name for each in specs if task is None or task in each.tasks]
        found: list[MetricInfo] = [self.load(Kind.METRIC, name) for name in wanted]
        return sorted(found, key=lambda metric: (metric.order, metric.name))

    def create(
        self, kind: Kind | str, name: str, settings: Mapping[str, Any] | None = None, *, where: str | None = None
    ) -> Any:
        """Make a component, found as by `spec`, with ``settings`` for its ``Config`` (metrics are not made).

        Raises:
            ConfigError: unknown name, unknown setting, or a value out of bounds.
            PluginError: the class cannot be imported or its constructor fails.
        """
        self.spec(kind, name, where=where)
        component = self.load(kind, name)
        config = validated(component.Config, settings or {}, where=where or f"{kind} {name}")
        with self.guard(kind, name, "__init__"):
            return component(config)

    def guard(self, kind: Kind | str, name: str, method: str) -> guard:
        """Turn whatever a component raises into a `PluginError` that names it, its owner and the method."""
        key = kind, name, method
        if key not in self._guards:  # a request enters several
            found = self.spec(kind, name)
            self._guards[key] = guard(found.kind, name, method, owner=f"{found.distribution} {found.version}")
        return self._guards[key]


FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where a disk is full: no fault of the component's."""


class guard(AbstractContextManager[None]):
    """Turn whatever a component raises into a `PluginError`.

    A `ReasonRecError` of the component's own (bad data, weights not found) passes; if it does not say where, the
    component is put there. An interruption passes. A request enters several: they cost next to nothing.
    """

    def __init__(self, kind: Kind | str, name: str, method: str, *, owner: str | None = None) -> None:
        self._named = kind, name, method, owner

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        component, name, method, owner = self._named
        where = f"{component} {name!r}" + (f" of {owner}" if owner else "") + f", in {method}"
        if isinstance(error, ReasonRecError):
            if error.where is None:
                raise type(error)(error.what, where=where, fix=error.fix) from error
        elif isinstance(error, MemoryError):
            raise PluginError("ran out of memory", where=where, fix=str(error) or None) from error
        elif isinstance(error, OSError) and error.errno in FULL:
            raise PluginError(f"cannot write ({error.strerror})", where=where, fix="Make room on the disk.") from error
        elif isinstance(error, Exception | SystemExit):
            fix = "Report it to its authors; --debug shows the traceback."
            raise PluginError(
                f"raised {described(error, (owner or '').partition(' ')[0])}", where=where, fix=fix
            ) from error


def owner_hint(name: str, *kinds: Kind) -> str:
    """Which of the project's own distributions offers a component (of these kinds, or of any); "" if none does."""
    owner = next(filter(None, (official(f"{kind} {name}") for kind in kinds or Kind)), "")
    return f"It comes with {owner}: pip install {owner}." if owner else ""


def _import(found: Registered) -> Any:
    at = f"{found.kind} {found.spec.name!r} of {found.distribution} {found.version}"
    module, _, attribute = found.spec.target.partition(":")
    try:
        component = getattr(import_module(module), attribute)
    except AttributeError as error:
        raise PluginError(f"module {module!r} has no {attribute!r}", where=at) from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"cannot be imported: {described(error, found.distribution)}", where=at) from error
    base = base_of(Kind(found.kind))
    if found.kind is Kind.METRIC:
        if not isinstance(component, base):
            raise PluginError(f"{found.spec.target} is not a {base.__name__}", where=at)
        return component
    if not (isinstance(component, type) and issubclass(component, base)):
        raise PluginError(f"{found.spec.target} is not a subclass of {base.__name__}", where=at)
    config = getattr(component, "Config", None)
    if not (isinstance(config, type) and issubclass(config, Settings)):
        raise PluginError(f"{found.spec.target}.Config is not a subclass of Settings", where=at)
    return component
