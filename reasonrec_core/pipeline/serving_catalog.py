"""The catalogue that a run answers from: that of the fit, or a longer one since items were imported into the run.

What was fitted is never touched. The longer catalogue and its features lie whole in a folder of their own, and one
small file names it: replacing that file is the whole switch, so an interruption leaves the one or the other.

```text
RUN/added.json                  which folder is served, and for which fit
RUN/added/<hash>/dataset/       the items of the fit under their old indices, then the new ones; the same log
RUN/added/<hash>/features/      <name>.npy for all of them
RUN/added/<hash>/stage.json     the hashes of these files
```
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import RunError
from reasonrec_core.io import read_array, read_json, write_json
from reasonrec_core.observe import ObservedItems
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.pipeline.stage_stamp import Stamp, child, find_damage

POINTER, FOLDER = "added.json", "added"
FORMAT = 1


@dataclass(frozen=True)
class ServingCatalog:
    """What a finished run answers from.

    Attributes:
        run: its folder.
        state: what `run.save_agent` wrote: labels, features, horizon, routers.
        key: of the fit.
        dataset: the log, and all items.
        features: the folder of ``<name>.npy``, memory-mapped.
        n_fitted: how many items the run was fitted on.
    """

    run: RunFolder
    state: dict[str, Any]
    key: str
    dataset: Dataset
    features: Path
    n_fitted: int

    @classmethod
    def open(cls, path: Path) -> ServingCatalog:
        """What there is now.

        Raises:
            RunError: no run, not finished, damaged, or fitted again since items were imported.
        """
        run = RunFolder.open(path)
        if not (path / "stages" / "agent").exists():
            raise RunError("the run is not fitted", where=str(path), fix="Finish it: reasonrec fit or run.")
        agent = run.require_whole("agent", unread={".npy"})  # features may be larger than the memory
        state, key = read_json(agent / "agent.json"), Stamp.read(agent).key
        fitted = Dataset.open(run.require_whole("data", state["stages"]["data"]) / "dataset")
        served = cls(run, state, key, fitted, agent, fitted.n_items)
        if not (path / POINTER).is_file():
            return served
        added = read_json(path / POINTER)
        if not isinstance(added, dict) or added.get("format") != FORMAT or not {"fit", "folder"} <= added.keys():
            fix = "Delete this file and import the items again."
            raise RunError("was not written by this version", where=str(path / POINTER), fix=fix)
        again = f"Import them again (reasonrec data import ITEMS --into {path}) after deleting {path / POINTER}."
        if added["fit"] != key:
            raise RunError("the run was fitted again after items were imported", where=str(path), fix=again)
        folder = child(path / FOLDER, added["folder"])
        if damage := find_damage(folder, unread={".npy"}):
            raise RunError(f"the imported items are damaged: {damage}", where=str(path), fix=again)
        return cls(run, state, key, Dataset.open(folder / "dataset"), folder / "features", fitted.n_items)

    def folder(self, name: str) -> Path:
        """Where the longer catalogue ``name`` lies."""
        return self.run.path / FOLDER / name

    def switch(self, folder: str) -> None:
        """Serve ``added/folder`` from now on; what was served before is deleted."""
        path = self.run.path
        write_json(path / POINTER, {"format": FORMAT, "fit": self.key, "folder": folder})
        for other in (path / FOLDER).iterdir():
            if other.name != folder:
                shutil.rmtree(other, ignore_errors=True)

    def items(self) -> ObservedItems:
        """Features of all items, memory-mapped."""
        return map_features(self.features, self.state["features"])


def map_features(folder: Path, names: list[str]) -> ObservedItems:
    """The features in a folder; a row of NaN is an item without the modality."""
    features, present = {}, {}
    for name in names:
        features[name] = read_array(path := child(folder, f"{name}.npy"), mapped=True)
        if features[name].ndim != 2 or features[name].dtype.kind != "f":
            raise RunError("is not a table of features", where=str(path), fix="Run the pipeline again with --verify.")
        present[name] = ~np.isnan(features[name]).any(axis=1)
    return ObservedItems(features, present)
