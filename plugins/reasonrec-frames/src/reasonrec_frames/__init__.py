"""Data frames in and out: datasets of frames, lists made elsewhere measured, one model alone, vectors.

What `import reasonrec` offers rests on it. Names are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_frames.dataset import FrameDataset as FrameDataset
    from reasonrec_frames.evaluation import Evaluation as Evaluation
    from reasonrec_frames.frame_source import import_frames as import_frames
    from reasonrec_frames.list_scores import evaluate_lists as evaluate_lists
    from reasonrec_frames.model import SingleModel as SingleModel
    from reasonrec_frames.model import make_model as make_model
    from reasonrec_frames.native_frames import FrameKind as FrameKind
    from reasonrec_frames.native_frames import check_kind as check_kind
    from reasonrec_frames.native_frames import name_kind as name_kind
    from reasonrec_frames.native_frames import read_frame as read_frame
    from reasonrec_frames.native_frames import write_frame as write_frame
    from reasonrec_frames.progress import say as say
    from reasonrec_frames.progress import show_progress as show_progress
    from reasonrec_frames.recommendations import tabulate_recommendations as tabulate_recommendations
    from reasonrec_frames.recommendations import tabulate_similar as tabulate_similar
    from reasonrec_frames.run_report import WrittenReport as WrittenReport
    from reasonrec_frames.run_report import rewrite_report as rewrite_report
    from reasonrec_frames.split_frames import SplitFrames as SplitFrames
    from reasonrec_frames.split_frames import make_split_frames as make_split_frames
    from reasonrec_frames.vectors import tabulate_item_vectors as tabulate_item_vectors
    from reasonrec_frames.vectors import tabulate_user_vectors as tabulate_user_vectors
    from reasonrec_frames.wording import python_words as python_words
    from reasonrec_frames.wording import speak_python as speak_python

_MODULES = {
    "Evaluation": "evaluation",
    "FrameDataset": "dataset",
    "FrameKind": "native_frames",
    "SingleModel": "model",
    "SplitFrames": "split_frames",
    "WrittenReport": "run_report",
    "check_kind": "native_frames",
    "evaluate_lists": "list_scores",
    "import_frames": "frame_source",
    "make_model": "model",
    "make_split_frames": "split_frames",
    "name_kind": "native_frames",
    "python_words": "wording",
    "read_frame": "native_frames",
    "rewrite_report": "run_report",
    "say": "progress",
    "show_progress": "progress",
    "speak_python": "wording",
    "tabulate_item_vectors": "vectors",
    "tabulate_recommendations": "recommendations",
    "tabulate_similar": "recommendations",
    "tabulate_user_vectors": "vectors",
    "write_frame": "native_frames",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
