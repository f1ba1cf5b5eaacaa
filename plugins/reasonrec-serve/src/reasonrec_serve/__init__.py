"""Answers requests from a finished run: raw ids in, raw ids, titles, reasons and confidence out.

Its names are imported when they are first asked for: plugins are listed without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_serve.recommender import Answer as Answer
    from reasonrec_serve.recommender import Edited as Edited
    from reasonrec_serve.recommender import Recommended as Recommended
    from reasonrec_serve.recommender import Recommender as Recommender


def __getattr__(name: str) -> Any:
    if name not in {"Answer", "Edited", "Recommended", "Recommender"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("reasonrec_serve.recommender"), name)
