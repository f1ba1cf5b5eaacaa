"""The core's own splitter passes the suite that every plugin's must."""

from __future__ import annotations

from reasonrec_core.testing import SplitterConformance


class TestLeaveOneOut(SplitterConformance):
    component = "leave-one-out"
