"""The suite that every editable policy passes, with a small network and few epochs."""

from __future__ import annotations

from typing import ClassVar

from small import SMALL

from reasonrec_core.testing import EditablePolicyConformance


class TestChain(EditablePolicyConformance):
    component = "chain"
    settings: ClassVar = SMALL


class TestChainWithDelegates(EditablePolicyConformance):
    component = "chain"
    settings: ClassVar = SMALL | {"experts": ["ease"]}


class TestChainThatConsults(EditablePolicyConformance):
    component = "chain"
    settings: ClassVar = SMALL | {"experts": ["affinity", "popularity"], "consulted": ["ease"]}
