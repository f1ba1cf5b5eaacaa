"""What tuning gives: adapters, projector, head and decision; loaded and used without any code of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_torch.storage import load_module, save_module
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from reasonrec_core.errors import DataError, WeightsError
from reasonrec_core.io import read_json, whole_file, write_json
from reasonrec_core.types import Float32, Observation
from reasonrec_cot.answers.early_exit import EarlyExit
from reasonrec_cot.answers.item_head import HeadAnswers, RecHead, item_table
from reasonrec_cot.answers.score_fusion import FusionSet
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.items.click_counts import ClickCounts
from reasonrec_cot.items.features import ItemFeatures
from reasonrec_cot.items.soft_tokens import Projector, SoftItems

COLLABORATIVE = "collaborative"
"""Name of the feature that is made from the training part's transitions."""
FORM = "tuned.json"
FORMAT = 2
"""Of `FORM`: raised where what older versions wrote is not read."""
ADAPTER, COUNTS, EXITS = "adapter", "counts.safetensors", "exits.safetensors"


@dataclass(frozen=True)
class Adapter:
    """Low-rank adapters in peft's own format, which other tools read."""

    config: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]

    def write(self, folder: Path) -> None:
        """Into a new folder."""
        folder.mkdir(exist_ok=True)
        write_json(folder / "adapter_config.json", self.config)
        with whole_file(folder / "adapter_model.safetensors") as aside:
            save_file({name: value.contiguous() for name, value in self.tensors.items()}, aside)

    @classmethod
    def read(cls, folder: Path) -> Adapter:
        """What `write`, or peft, wrote."""
        try:
            return cls(read_json(folder / "adapter_config.json"), load_file(folder / "adapter_model.safetensors"))
        except (OSError, SafetensorError) as error:
            raise DataError(f"the adapters cannot be read ({error})", where=str(folder), fix="Tune again.") from error


@dataclass
class FineTuned:
    """All that was learned beside the language model's own weights.

    Attributes:
        projector: features to soft tokens; None where items are text alone.
        head: scores the catalogue from a hidden state.
        collaborative: float32[n_learned, d], NaN for items without interactions; None where there is none.
        decision: how the head's and delegates' scores are weighed; None: the head decides.
        modalities: names of the features that are used, `COLLABORATIVE` among them.
        adapter: of the language model; already added to its weights.
        report: what training says about itself, JSON values.
        counts: of labelled rows, where clicks were learned from those.
        exit: heads that may answer yes or no early, where they were learned.
    """

    projector: Projector | None
    head: RecHead
    collaborative: Float32 | None
    modalities: tuple[str, ...]
    decision: FusionSet | None = None
    adapter: Adapter | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    counts: ClickCounts | None = None
    exit: EarlyExit | None = None

    @property
    def weighing(self) -> tuple[FusionSet | None, ClickCounts | None, EarlyExit | None]:
        """What an engine answers with besides the head."""
        return self.decision, self.counts, self.exit

    def features(self, observation: Observation, n_items: int) -> ItemFeatures:
        """The features of a catalogue's items, also of those that came after the fit."""
        return with_collaborative(observation, self.modalities, self.collaborative, n_items)

    def soft(self, observation: Observation, n_items: int) -> SoftItems | None:
        """Soft tokens of a catalogue's items."""
        return None if self.projector is None else SoftItems(self.projector.eval(), self.features(observation, n_items))

    def answers(self, observation: Observation, n_items: int) -> HeadAnswers:
        """The head over a catalogue of ``n_items``."""
        return HeadAnswers(self.head, item_table(self.head, content_of(self.features(observation, n_items)), n_items))

    def save(self, folder: Path) -> None:
        """Write all of it into a folder."""
        form = {
            "format": FORMAT,
            "modalities": self.modalities,
            "widths": {name: layer[1].in_features for name, layer in self.head.content.items()},  # type: ignore[index]
            "width": self.head.query[1].in_features,
            "dim": self.head.dim,
            "learned": self.head.learned.num_embeddings if self.head.learned is not None else 0,
            "per_item": self.projector.per_item if self.projector is not None else 0,
            "hidden": self.projector.leave.in_features if self.projector is not None else 0,
            "soft learned": self.projector.n_learned if self.projector is not None else 0,
            "adapted": self.adapter is not None,
            "decision": self.decision.to_dict() if self.decision is not None else None,
            "report": self.report,
            "counted": self.counts is not None,
            "exit": self.exit.to_dict() if self.exit is not None else None,
        }
        if self.exit is not None:
            save_module(self.exit.heads, folder / EXITS)
        if self.counts is not None:
            self.counts.save(folder / COUNTS)
        save_module(self.head, folder / "head.safetensors")
        if self.projector is not None:
            save_module(self.projector, folder / "projector.safetensors")
        if self.collaborative is not None:
            with whole_file(folder / "collaborative.safetensors") as aside:
                save_file({"vectors": torch.from_numpy(np.ascontiguousarray(self.collaborative))}, aside)
        if self.adapter is not None:
            self.adapter.write(folder / ADAPTER)
        write_json(folder / FORM, form)

    @classmethod
    def load(cls, folder: Path, backbone: Backbone) -> FineTuned:
        """Read what `save` wrote, and put the adapters into ``backbone``'s weights: they cost nothing afterwards.

        Raises:
            DataError: a file is missing, damaged or of another format.
            WeightsError: the adapters are not for this model.
        """
        form = read_json(folder / FORM)
        if form.get("format") != FORMAT:
            raise DataError(
                f"was tuned by another version (format {form.get('format', 1)}, not {FORMAT})",
                where=str(folder),
                fix="Tune again.",
            )
        if form["width"] != backbone.width:
            raise WeightsError(
                f"was tuned for states of width {form['width']}, but the model's have {backbone.width}",
                where=str(folder),
            )
        head = RecHead(form["width"], form["widths"], form["learned"], form["dim"])
        load_module(head, folder / "head.safetensors")
        projector = None
        if form["per_item"]:
            nothing = {name: np.zeros((0, width), np.float32) for name, width in form["widths"].items()}
            features = ItemFeatures(nothing, {name: np.zeros(0, np.bool_) for name in nothing})
            sizes = form["per_item"], form["hidden"]
            projector = Projector(features, form["width"], *sizes, n_learned=form["soft learned"])
            load_module(projector, folder / "projector.safetensors")
        collaborative = None
        if COLLABORATIVE in form["modalities"]:
            collaborative = load_file(folder / "collaborative.safetensors")["vectors"].numpy()
        adapter = Adapter.read(folder / ADAPTER) if form["adapted"] else None
        if adapter is not None:
            merge_adapters(backbone, folder / ADAPTER)
        decision = FusionSet.from_dict(form["decision"]) if form["decision"] else None
        counts = ClickCounts.load(folder / COUNTS) if form.get("counted") else None
        exit = EarlyExit.from_dict(form["exit"]) if form.get("exit") else None
        if exit is not None:
            load_module(exit.heads, folder / EXITS)
        names = tuple(form["modalities"])
        self = cls(projector, head, collaborative, names, decision, adapter, form["report"], counts, exit)
        return self.to(backbone.device)

    def to(self, device: torch.device) -> FineTuned:
        """On another device, ready to answer."""
        self.head.to(device).eval()
        if self.projector is not None:
            self.projector.to(device).eval()
        if self.exit is not None:
            self.exit.heads.to(device).eval()
        return self


def merge_adapters(backbone: Backbone, folder: Path) -> None:
    """Add saved adapters to the model's weights, in place."""
    from peft import PeftModel  # takes seconds to import, and most policies have no adapters

    try:
        tuned = PeftModel.from_pretrained(backbone.model, str(folder), is_trainable=False)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"the adapters cannot be loaded ({reason})", where=str(folder), fix="Tune again.") from error
    tuned.merge_and_unload()
    backbone.forget()


def with_collaborative(
    observation: Observation, modalities: tuple[str, ...], vectors: Float32 | None, n_items: int
) -> ItemFeatures:
    """Observed features, and collaborative vectors as one of them; items that came later have none of those."""
    seen = ItemFeatures.of(observation, [name for name in modalities if name != COLLABORATIVE])
    if vectors is None:
        return seen
    size = max(n_items, len(vectors))
    whole = np.full((size, vectors.shape[1]), np.nan, np.float32)
    whole[: len(vectors)] = vectors
    there = np.asarray(np.isfinite(whole).all(axis=1), np.bool_)
    return ItemFeatures({**seen.values, COLLABORATIVE: whole}, {**seen.present, COLLABORATIVE: there})


def content_of(features: ItemFeatures) -> dict[str, Float32]:
    """Per modality float32[n_items, d] with NaN rows for what is missing, as the head's table takes them."""
    found = {}
    for name, values in features.values.items():
        if features.present[name].all():
            found[name] = values
        else:
            found[name] = np.where(features.present[name][:, None], values, np.float32(np.nan))
    return found
