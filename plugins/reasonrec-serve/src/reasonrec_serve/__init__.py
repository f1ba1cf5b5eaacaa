"""Answers requests from a finished run: raw ids in, raw ids, titles, reasons and confidence out.

Its names are imported when they are first asked for: plugins are listed without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_serve.answer import Answer as Answer
    from reasonrec_serve.answer import Edited as Edited
    from reasonrec_serve.answer import Recommended as Recommended
    from reasonrec_serve.causes import Cause as Cause
    from reasonrec_serve.recommender import Recommender as Recommender
    from reasonrec_serve.request import Request as Request
    from reasonrec_serve.similar import Similar as Similar
    from reasonrec_serve.similar import SimilarItem as SimilarItem

_MODULE_OF = {
    "Answer": "answer",
    "Cause": "causes",
    "Edited": "answer",
    "Recommended": "answer",
    "Recommender": "recommender",
    "Request": "request",
    "Similar": "similar",
    "SimilarItem": "similar",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
