"""The leakage doctor: checks of data and of the way it is split, and a description of it in numbers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_doctor.checks import CHECKS as CHECKS
    from reasonrec_doctor.checks import check_dataset as check_dataset
    from reasonrec_doctor.checks import examine_dataset as examine_dataset
    from reasonrec_doctor.checks import is_safe as is_safe
    from reasonrec_doctor.describe import describe_dataset as describe_dataset
    from reasonrec_doctor.finding import Finding as Finding
    from reasonrec_doctor.finding import Severity as Severity
    from reasonrec_doctor.prompts import check_prompts as check_prompts

_MODULE_OF = {
    "CHECKS": "checks",
    "Finding": "finding",
    "Severity": "finding",
    "check_dataset": "checks",
    "check_prompts": "prompts",
    "describe_dataset": "describe",
    "examine_dataset": "checks",
    "is_safe": "checks",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: plugins are listed without numpy."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
