"""What went wrong, where, and how to mend it: the one family of errors that a user is meant to see."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial


class ReasonRecError(Exception):
    """An error with a clear cause in the user's input or surroundings.

    The command line prints it as one message and exits with code 2; any other exception is a defect of ours.

    Args:
        what: what is wrong, naming the thing.
        where: the place (``file:line:column``, a config key, a plugin's name).
        fix: what the user can do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole message: ``where: what. fix``."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head.rstrip('.')}. {self.fix}" if self.fix else head

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), where=self.where, fix=self.fix), (self.what,)


class DataError(ReasonRecError):
    """A file, column, row or image that cannot be used."""


class ConfigError(ReasonRecError):
    """A pipeline file, setting or command-line value that cannot be used."""


class PluginError(ReasonRecError):
    """A plugin that cannot be loaded, or a component that broke its contract or failed while working."""


class WeightsError(ReasonRecError):
    """Pretrained weights that cannot be found or do not fit the model."""


class RunError(ReasonRecError):
    """A run folder that is missing, incomplete or made by other settings."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``Did you mean 'x'?`` for the known name nearest to ``name``, else the list of known names."""
    from difflib import get_close_matches

    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(names)}." if names else ""
