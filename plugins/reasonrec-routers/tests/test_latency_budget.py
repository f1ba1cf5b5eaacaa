"""Who is worth asking before it is decided."""

from __future__ import annotations

from reasonrec_routers.latency_budget import affordable

from reasonrec_core.routing import EXPLORED, AskingCosts


def test_delegates_are_asked_first_for_only_where_they_leave_what_is_saved() -> None:
    known = AskingCosts(policy=0.010, delegates={"quick": 0.0002, "dear": 0.004})
    assert affordable(known, (), "quick", 0.1, 0.0)
    assert affordable(known, ("quick",), "quick", 0.5, 0.1)
    assert not affordable(known, ("quick",), "quick", 0.1, 0.1), "a small share saves less than asking everybody costs"
    assert not affordable(known, ("quick", "dear"), "quick", 0.5, 0.1)
    assert not affordable(known, ("quick",), "dear", 0.5, 0.1), "who answers takes time, too"
    assert affordable(known.at(EXPLORED), ("quick",), "quick", 0.1, 0.1), "judged for another share"
