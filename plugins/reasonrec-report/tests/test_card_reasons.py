"""A card says what a delegate's first item was recommended for."""

from __future__ import annotations

from typing import Any

import pytest
from reasonrec_report.card_schema import Card
from reasonrec_report.cards import CardView, make_card_view

NBSP = "\N{NO-BREAK SPACE}"
HISTORY = [{"id": str(at), "title": f"Film {at}"} for at in range(3)]
ITEM = {"id": "9", "title": "Alien", "score": 1.0}


def view(**more: Any) -> CardView:
    known = {"query": 0, "outcome": "hit", "route": "replace", "history": HISTORY, "history_start": 4}
    card = Card.model_validate({**known, "ranking": [ITEM], "target": [ITEM], **more})
    return make_card_view(card, lambda image: None)  # type: ignore[arg-type]


def test_causes_are_named_with_their_shares_and_marked_in_the_history() -> None:
    found = view(because=[{"entry": 6, "share": 0.4}, {"entry": 4, "share": 0.23}, {"entry": 1, "share": 0.1}])
    assert found.because == (("Film 2", f"40{NBSP}%"), ("Film 0", f"23{NBSP}%")), (
        "what is older than shown has no title"
    )
    assert [item.is_evidence for item in found.history] == [True, False, True]
    assert not found.is_groundless


@pytest.mark.parametrize(("route", "groundless"), [("replace", True), ("self", False), ("abstain", False)])
def test_a_delegate_s_answer_without_causes_says_so(route: str, groundless: bool) -> None:
    assert view(route=route).is_groundless is groundless
