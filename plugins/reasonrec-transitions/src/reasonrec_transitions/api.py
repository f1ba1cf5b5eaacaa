"""What other packages build on: the counts, the delegate that is fitted with them, and the search of its parameters.

- `TransitionCounts`: how often an item follows another at each distance, recombined for any `TransitionParameters`;
- `weigh_history`: the weights of a history's items, which times the matrix are scores;
- `Transitions`: the delegate, its parameters fitted on validation, with `TransitionsConfig`;
- `search_coordinates`: the search that fits them, for any function of a `Point`.
"""

from __future__ import annotations

from reasonrec_transitions.coordinate_search import Point, search_coordinates
from reasonrec_transitions.delegate import Transitions, TransitionsConfig
from reasonrec_transitions.matrix import TransitionCounts, TransitionParameters, score_one_history, weigh_history

__all__ = [
    "Point",
    "TransitionCounts",
    "TransitionParameters",
    "Transitions",
    "TransitionsConfig",
    "score_one_history",
    "search_coordinates",
    "weigh_history",
]
