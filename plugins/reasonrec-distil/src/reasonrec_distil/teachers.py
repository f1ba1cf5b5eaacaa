"""Who teaches a student: the pipeline's policy and others like it, or delegates. Fitted where they are needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from reasonrec_torch.members import make_member

from reasonrec_core.components import Delegate, FitData, ReasoningPolicy
from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.registry import Registry
from reasonrec_distil.config import POLICY, DistilledConfig

if TYPE_CHECKING:
    from reasonrec_distil.teacher import Answer

FOLDER = "teachers"
SEEDS = 1000
"""From one policy's seed to the next one's."""
Teacher = Delegate[Any] | ReasoningPolicy[Any]


class Teachers:
    """The teachers of one student.

    Args:
        config: which they are.

    Attributes:
        policy: the pipeline's, which others fit and keep.
        fitted: the others by name.
        folder: of a saved student, where they are kept for a second fit.
    """

    def __init__(self, config: DistilledConfig) -> None:
        self.config = config
        self.policy: ReasoningPolicy[Any] | None = None
        self.fitted: dict[str, Teacher] = {}
        self.folder: Path | None = None

    def find_answer(self, data: FitData) -> Answer:
        """What they answer together; those that are not fitted are fitted now.

        Raises:
            ConfigError: the policy is to teach and there is none.
            PluginError: delegates are to teach, and none can be made.
        """
        from reasonrec_distil.teacher import ask_delegates, ask_policies

        for name in self._seeds:
            if name not in self.fitted:
                made = self._make(name, data)
                made.fit(self._prepare(name, data))
                self.fitted[name] = made
        if self._policy_teaches:
            return ask_policies([self._own, *self.fitted.values()])  # type: ignore[list-item]
        return ask_delegates(list(self.fitted.values()))  # type: ignore[arg-type]

    def refit(self, data: FitData) -> Self:
        """The same with what validation chose for them, fitted again. The pipeline's policy was fitted again before."""
        again = type(self)(self.config)
        again.policy = self.policy
        for name in self._seeds:
            known, made = self.fitted.get(name), self._make(name, data)
            if known is None and self.folder is not None:
                known = type(made).load(self.folder / FOLDER / name, data.catalog)
            if known is not None:
                again.fitted[name] = known.refit(self._prepare(name, data))
        return again

    def save(self, folder: Path) -> None:
        """Write those that only a second fit asks for again."""
        for name, teacher in self.fitted.items():
            (folder / FOLDER / name).mkdir(parents=True)
            teacher.save(folder / FOLDER / name)

    @property
    def _seeds(self) -> dict[str, int]:
        """Of those that are fitted for the student alone, by name: what is added to the seed."""
        if self._policy_teaches:
            return {f"policy-{number + 1}": SEEDS * number for number in range(1, self.config.policies)}
        named = self.config.teacher
        return dict.fromkeys((named,) if isinstance(named, str) else named, 0)

    @property
    def _policy_teaches(self) -> bool:
        """Whether the setting names the pipeline's policy; a list never does."""
        named = self.config.teacher
        return named == POLICY or (
            isinstance(named, str) and self.policy is not None and named in _list_names(self.policy)
        )

    def _prepare(self, name: str, data: FitData) -> FitData:
        """The same for one of them: a seed, and a folder of its own for unfinished work."""
        workdir = None if data.workdir is None else data.workdir / FOLDER / name
        return replace(data, seed=data.seed + self._seeds[name], workdir=workdir)

    @property
    def _own(self) -> ReasoningPolicy[Any]:
        if self.policy is None:
            raise ConfigError(
                "there is no policy to learn from",
                where="teacher",
                fix='Set a policy, or name delegates: teacher = ["transitions"].',
            )
        return self.policy

    def _make(self, name: str, data: FitData) -> Teacher:
        """A teacher that is not fitted yet."""
        if self._policy_teaches:
            return type(self._own)(self._own.config)
        return make_member(data, name, fix='Set teacher = "policy".')


def _list_names(policy: ReasoningPolicy[Any]) -> tuple[str, ...]:
    """What a policy is called where it is registered, with and without its distribution."""
    try:
        name = Registry.discover().find_name(policy)
    except PluginError:  # one that comes from no plugin
        return ()
    return name, name.rpartition(":")[2]
