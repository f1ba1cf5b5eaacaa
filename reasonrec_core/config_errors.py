"""Settings from outside, checked: a pydantic error becomes one that names the key, the value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from reasonrec_core.errors import ConfigError, did_you_mean

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], values: Mapping[str, Any], *, where: str | None = None) -> M:
    """An instance of ``model``.

    Args:
        model: a pydantic model.
        values: what the user gave.
        where: the place of ``values`` (a config key or a file), put before each key.

    Raises:
        ConfigError: the first wrong value: its key, what was given, what is allowed; how many more there are.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise config_error(error, model, where=where) from error


def config_error(error: ValidationError, model: type[BaseModel], *, where: str | None = None) -> ConfigError:
    """What a pydantic error says, for a user."""
    first, *more = error.errors(include_url=False)
    path = ".".join(str(part) for part in first["loc"])
    fix = _fix(first, model)
    if more:
        others = ", ".join(".".join(map(str, each["loc"])) or each["msg"] for each in more[:5])
        fix = f"{fix} {len(more)} more: {others}.".lstrip()
    return ConfigError(_what(first), where=".".join(filter(None, (where, path))) or None, fix=fix or None)


def _what(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown key"
    if problem["type"] == "missing":
        return "the key is missing"
    if problem["type"] == "value_error" and "ctx" in problem:
        return f"{problem['ctx']['error']}"
    given = repr(problem["input"])
    message = problem["msg"][:1].lower() + problem["msg"][1:]
    return f"{message}, not {given if len(given) <= 80 else given[:77] + '...'}"


def _fix(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    if problem["type"] != "extra_forbidden":
        return ""
    owner = _model_at(model, problem["loc"][:-1])
    if owner is None:
        return ""
    return did_you_mean(str(problem["loc"][-1]), owner.model_fields) or "No settings can be given here."


def _model_at(model: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel] | None:
    """The model that ``path`` leads to, as far as annotations say."""
    for part in path:
        field = model.model_fields.get(str(part))
        types = _types(field.annotation) if field else []
        found = [each for each in types if isinstance(each, type) and issubclass(each, BaseModel)]
        if len(found) != 1:
            return None
        model = found[0]
    return model


def _types(annotation: Any) -> list[Any]:
    parts = get_args(annotation)
    return [annotation] if not parts else [t for part in parts for t in _types(part)]


def place_error(problem: ConfigError, loc: tuple[int | str, ...], where: str, text: str) -> ConfigError:
    """The same problem with the file and, if it can be told, the line before its key."""
    line = _line_of(text, loc)
    place = f"{where}:{line}" if line else where
    return ConfigError(problem.what, where=f"{place}: {problem.where}" if problem.where else place, fix=problem.fix)


def _line_of(text: str, loc: tuple[int | str, ...]) -> int | None:
    """The line on which the last named key of ``loc`` is set, if it can be told."""
    names = [part for part in loc if isinstance(part, str)]
    for name in reversed(names):
        pattern = rf"^\s*(\[+[\w.\-]*\b{re.escape(name)}\]+|[\"']?{re.escape(name)}[\"']?\s*[=:])"
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(pattern, line):
                return number
    return None
