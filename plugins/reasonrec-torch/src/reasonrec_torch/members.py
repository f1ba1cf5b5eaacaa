"""Delegates of the pipeline within another one: made, and given a place for their work. Imports no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reasonrec_core.components import Delegate, FitData
from reasonrec_core.errors import PluginError


def make_member(
    data: FitData, label: str, *, where: str | None = None, fix: str = "Use it in a pipeline."
) -> Delegate[Any]:
    """A new delegate of the pipeline.

    Args:
        data: what its owner is fitted to.
        label: its own in the pipeline.
        where: the setting that names it, for messages.
        fix: what to do, for messages.

    Raises:
        PluginError: no delegates can be asked here.
        ConfigError: the pipeline has none of this label.
    """
    if data.delegate is None:
        raise PluginError("no delegates can be asked here", where=where, fix=fix)
    return data.delegate(label)


def place_member(data: FitData, *folders: str) -> FitData:
    """The same data, with a folder below the owner's for the member's unfinished work."""
    return data if data.workdir is None else replace(data, workdir=data.workdir.joinpath(*folders))
