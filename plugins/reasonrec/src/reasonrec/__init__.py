"""ReasonRec: recommenders that observe, deliberate, know how sure they are, and act within a budget.

``import reasonrec as rr`` is the whole of it from Python; nothing heavy is imported until a name is used.

>>> import reasonrec as rr
>>> ds = rr.Dataset.from_frames(log, columns={"user_id": "customer"})
>>> run = rr.run(ds, policy="profile", delegates=["popularity"], out="shop", progress=False)
>>> sorted(run.metrics)
['popularity', 'profile']
>>> run.metrics["profile"]["NDCG@10"].value > run.metrics["popularity"]["NDCG@10"].value
True
>>> rr.make("transitions").fit(ds).recommend(["user-01"], k=2)["rank"].tolist()
[1, 2]
>>> train, valid, test = ds.split()
>>> most = train["item_id"].value_counts().head(20).rename_axis("item_id").reset_index(name="score")
>>> lists = test[["user_id"]].merge(most, how="cross")
>>> rr.evaluate({"bestsellers": lists}, ds, k=10)
system       NDCG@10                    HR@10
...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_frames import Evaluation
    from reasonrec_frames import FrameDataset as Dataset
    from reasonrec_frames import evaluate_lists as evaluate
    from reasonrec_frames import make_model as make

    from reasonrec._run import OpenRun as Run
    from reasonrec._run import open, run
    from reasonrec_core.errors import ReasonRecError

__version__ = "0.2.0"
__all__ = ["Dataset", "Evaluation", "ReasonRecError", "Run", "evaluate", "make", "open", "run"]

_PLACES = {
    "Dataset": "reasonrec_frames:FrameDataset",
    "Evaluation": "reasonrec_frames:Evaluation",
    "ReasonRecError": "reasonrec_core.errors:ReasonRecError",
    "Run": "reasonrec._run:OpenRun",
    "evaluate": "reasonrec_frames:evaluate_lists",
    "make": "reasonrec_frames:make_model",
    "open": "reasonrec._run:open",
    "run": "reasonrec._run:run",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    found = globals()[name] = getattr(import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
