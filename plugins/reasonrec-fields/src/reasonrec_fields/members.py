"""Delegates of the pipeline within another: made, checked, kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reasonrec_torch.members import make_member

from reasonrec_core.components import Delegate, FitData, Kind
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError
from reasonrec_core.io import read_json, write_json
from reasonrec_core.registry import Registry
from reasonrec_core.types import Task

ABOUT = "members.json"
Members = Mapping[str, Delegate[Any]]


def make_members(labels: Sequence[str], data: FitData, owner: type[Delegate[Any]], where: str) -> Members:
    """New click delegates of the pipeline, by their labels in it.

    Args:
        labels: which.
        data: what their owner is fitted to.
        owner: whose members they are; they are of other kinds.
        where: the setting that names them, for messages.

    Raises:
        ConfigError: one is named twice, is of the owner's kind, or gives no click probabilities.
        PluginError: no delegates can be asked here.
    """
    if len(set(labels)) < len(labels):
        raise ConfigError(f"names a delegate twice: {', '.join(labels)}", where=where, fix="Name each once.")
    found = {label: make_member(data, label, where=where) for label in labels}
    for label, member in found.items():
        own = isinstance(member, owner)
        if own or Task.CTR not in member.tasks:
            what = "weighs others itself" if own else "gives no click probabilities"
            raise ConfigError(f"the delegate {label!r} {what}", where=where, fix="Name others, such as lightgbm-ctr.")
    return found


def save_members(members: Members, folder: Path) -> None:
    """Write each into a folder of its own."""
    registry = Registry.discover()
    write_json(folder / ABOUT, [[label, registry.find_name(member)] for label, member in members.items()])
    for number, member in enumerate(members.values()):
        (folder / f"member-{number}").mkdir()
        member.save(folder / f"member-{number}")


def load_members(folder: Path, catalog: Catalog) -> Members:
    """Read what `save_members` wrote, for a catalogue that may have grown."""
    registry, members = Registry.discover(), {}
    for number, (label, name) in enumerate(read_json(folder / ABOUT)):
        members[label] = registry.load(Kind.DELEGATE, name).load(folder / f"member-{number}", catalog)
    return members
