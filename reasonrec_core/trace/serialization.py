"""A record as a row of Arrow or of JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from reasonrec_core.trace.arrow_encoding import steps_json
from reasonrec_core.trace.pseudonyms import Hasher
from reasonrec_core.trace.record import RankedAnswer, TraceRecord, UncertaintyValue, step_from_dict
from reasonrec_core.trace.schema import SCHEMA

LISTS = tuple(f.name for f in SCHEMA if pa.types.is_list(f.type))
MAPS = tuple(f.name for f in SCHEMA if pa.types.is_map(f.type))


def as_row(record: TraceRecord, hasher: Hasher, versions: str) -> dict[str, Any]:
    """A record as Arrow takes it, hashed as wanted."""
    row: dict[str, Any] = {f.name: getattr(record, f.name) for f in SCHEMA}
    for name in ("history", "targets", "ranking", "candidates"):
        row[name] = [hasher.item(item) for item in row[name]]
    row["user"] = hasher.user(record.user)
    row["scores"], row["versions"] = list(record.scores), record.versions or versions
    row["uncertainty"] = [(name, vars(value)) for name, value in record.uncertainty.items()]
    row["answers"] = [
        (name, {"items": [hasher.item(item) for item in given.items], "scores": list(given.scores)})
        for name, given in record.answers.items()
    ]
    row["quality"] = [(system, list(metrics.items())) for system, metrics in record.quality.items()]
    row["seconds"] = list(record.seconds.items())
    row["steps"] = None if hasher.items else steps_json(record.steps)
    if hasher.items:
        row["time"] = None
    if hasher.users and record.user is not None:
        row["key"] = int(hasher.keys([record.user], lambda rows, keys: rows >= 0)[0])
    return row


def as_record(row: Mapping[str, Any]) -> TraceRecord:
    """A row as a record; columns that were not read keep their defaults."""
    values = {"query": -1, "user": None, "task": "", "route": "", "reason": "", **row}
    for name in LISTS:
        values[name] = tuple(values.get(name) or ())
    for name in MAPS:
        values[name] = dict(values.get(name) or ())
    values["uncertainty"] = {name: UncertaintyValue(**value) for name, value in values["uncertainty"].items()}
    values["answers"] = {
        name: RankedAnswer(tuple(a["items"] or ()), tuple(a["scores"] or ())) for name, a in values["answers"].items()
    }
    values["quality"] = {system: dict(metrics) for system, metrics in values["quality"].items()}
    values["steps"] = tuple(step_from_dict(step) for step in json.loads(values.get("steps") or "[]"))
    return TraceRecord(**values)


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of Arrow as an object of JSON: maps and steps as they read best."""
    shown = dict(row)
    for name in MAPS:
        shown[name] = dict(row[name] or ())
    shown["quality"] = {system: dict(metrics) for system, metrics in shown["quality"].items()}
    shown["steps"] = json.loads(row["steps"] or "[]")
    return shown


def from_json(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The row that `as_json` gave; raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    if shown.keys() != {f.name for f in SCHEMA}:
        raise KeyError("the keys are not those of a decision")
    row = dict(shown)
    for name in MAPS:
        row[name] = list(shown[name].items())
    row["quality"] = [(system, list(metrics.items())) for system, metrics in row["quality"]]
    row["steps"] = json.dumps(shown["steps"], ensure_ascii=False) if shown["steps"] else None
    return row
