"""Conformance suites: a plugin's whole test is a subclass of three lines.

    class TestMine(DelegateConformance):
        component = "mine"
        settings = {"decay": 0.5}

The suites need pytest (``pip install pytest``); `tiny` and its relatives do not. The suite of data sources that read
tables is `reasonrec_datasets.testing.DataSourceConformance`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_core.testing.delegate import DelegateConformance
    from reasonrec_core.testing.editing import EditablePolicyConformance
    from reasonrec_core.testing.encoder import EncoderConformance
    from reasonrec_core.testing.metric import MetricConformance
    from reasonrec_core.testing.policy import PolicyConformance
    from reasonrec_core.testing.reporter import ReporterConformance
    from reasonrec_core.testing.router import RouterConformance
    from reasonrec_core.testing.splitter import SplitterConformance
    from reasonrec_core.testing.tiny import Tiny, tiny, tiny_dataset, tiny_fit_data
    from reasonrec_core.testing.uncertainty import UncertaintyConformance

__all__ = [
    "DelegateConformance",
    "EditablePolicyConformance",
    "EncoderConformance",
    "MetricConformance",
    "PolicyConformance",
    "ReporterConformance",
    "RouterConformance",
    "SplitterConformance",
    "Tiny",
    "UncertaintyConformance",
    "tiny",
    "tiny_dataset",
    "tiny_fit_data",
]

_SUITES = {
    "DelegateConformance": "delegate",
    "EditablePolicyConformance": "editing",
    "EncoderConformance": "encoder",
    "MetricConformance": "metric",
    "PolicyConformance": "policy",
    "ReporterConformance": "reporter",
    "RouterConformance": "router",
    "SplitterConformance": "splitter",
    "UncertaintyConformance": "uncertainty",
}

_REWRITTEN = ("compare", "component", "later", *_SUITES.values())
"""Modules with asserts that pytest is to explain."""


def __getattr__(name: str) -> Any:
    if name in _SUITES:
        import pytest

        pytest.register_assert_rewrite(*(f"reasonrec_core.testing.{module}" for module in _REWRITTEN))
        return getattr(import_module(f"reasonrec_core.testing.{_SUITES[name]}"), name)
    if name in __all__:
        return getattr(import_module("reasonrec_core.testing.tiny"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
