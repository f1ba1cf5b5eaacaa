"""Fitting when heads answer early: on validation rows, with what it saves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Cases, Float32, Float64, QueryBatch
from reasonrec_cot.answers.early_exit import EarlyExit
from reasonrec_cot.answers.exit_rule import ExitRule, check_risk, choose_threshold
from reasonrec_cot.backbone.layerwise import check_layerwise
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser, Prompt
from reasonrec_cot.exit_config import ExitConfig
from reasonrec_cot.tuning.fusion import fit_click_fusion
from reasonrec_cot.tuning.module import TunableModel
from reasonrec_cot.tuning.validation import ValidationReader

TIMED = 256
"""Rows that are answered both ways to say what is saved."""


@dataclass(frozen=True)
class ExitFit:
    """What came of it.

    Attributes:
        exit: heads, rule and decision.
        report: how often which layers answer, the bound on what that costs, seconds; JSON values.
    """

    exit: EarlyExit
    report: dict[str, Any]


def check_exits(config: ExitConfig, backbone: Backbone, rows: int | None) -> None:
    """Refuse, before anything is trained, what cannot be done.

    Args:
        config: where heads stand.
        backbone: the model.
        rows: validation rows that the threshold will be chosen on; None where none will be chosen.

    Raises:
        ConfigError: the model has no such layers, cannot be read layer by layer or splits yes or no; too few rows.
    """
    config.place(backbone.layers)
    tokeniser = DialogueTokeniser(backbone.tokenizer)
    if any(len(tokeniser.text(word)) != 1 for word in ("yes", "no")):
        what = 'early exit needs "yes" and "no" to be one token each, which they are not in this model\'s tokenizer'
        raise ConfigError(what, where="exit", fix="Take the table exit out, or use another model.")
    check_layerwise(backbone)
    if rows is not None:
        check_risk(rows, config.risk)


def ask_heads(module: TunableModel, answering: ValidationReader, queries: QueryBatch) -> Float64:
    """float64[N, heads + 1]: log odds of a click by every head and by the whole model, for each candidate there is."""
    assert module.exits is not None
    module.eval()
    prompts = answering.prompts(queries)
    return EarlyExit(module.exits).ask_all(module.backbone, prompts, module.soft, answering.words)


def fit_exit(
    module: TunableModel,
    answering: ValidationReader,
    rows: Cases,
    every: Float64,
    beside: Mapping[str, Float32],
    data: FitData,
    config: ExitConfig,
) -> ExitFit:
    """Choose the threshold on labelled rows, and fit how early answers are weighed with what else is known.

    Args:
        module: tuned.
        answering: reads requests.
        rows: labelled, none of which the heads learned from.
        every: `ask_heads` of these rows.
        beside: what is known beside the answers, see `fit_click_fusion`.
        data: of the fit.
        config: the risk.

    Raises:
        ConfigError: there are too few rows for the risk.
    """
    assert module.exits is not None
    assert rows.labels is not None
    assert rows.queries.candidates is not None
    clicked = np.asarray(rows.labels[rows.queries.candidates >= 0] > 0, np.bool_)
    heads, whole = every[:, :-1], every[:, -1]
    threshold, bound = choose_threshold(heads, whole, clicked, config.risk, config.consecutive)
    rule = ExitRule(module.exits.layers, threshold, config.consecutive)
    stops = rule.stop(heads)
    given = every[np.arange(len(every)), stops]
    fitted = fit_click_fusion(given.astype(np.float32), rows, beside, data)
    found = EarlyExit(module.exits, rule, fitted.decision)
    depths = np.array([*rule.layers, module.backbone.layers])
    counted = np.bincount(stops, minlength=len(depths)) / max(len(stops), 1)
    report = {
        "rows": len(every),
        "risk": config.risk,
        "bound": bound,
        "threshold": threshold if np.isfinite(threshold) else None,
        "answered after": {str(depth): float(share) for depth, share in zip(depths, counted, strict=True)},
        "share of layers": float(depths[stops].mean() / module.backbone.layers) if len(stops) else 1.0,
        "AUC by layer": {str(depth): _auc(clicked, every[:, n]) for n, depth in enumerate(depths)},
        "AUC": _auc(clicked, given),
        "clicks": fitted.report,
        **_compare_speed(found, module, answering.prompts(rows.queries)[:TIMED], answering.words),
    }
    return ExitFit(found, report)


def _auc(clicked: np.ndarray[Any, np.dtype[np.bool_]], odds: Float64 | Float32) -> float | None:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(clicked, odds)) if clicked.any() and not clicked.all() else None


def _compare_speed(
    found: EarlyExit, module: TunableModel, prompts: Sequence[Prompt], words: tuple[int, int]
) -> dict[str, Any]:
    """Milliseconds of the processor per row, read by all layers and as the rule says; beginnings known to both."""
    backbone, spent = module.backbone, {"whole": 0.0, "early": 0.0}
    groups = backbone.groups([len(prompt) for prompt in prompts])
    for number, group in enumerate([*groups[:1], *groups]):  # what is read first warms up, and is not counted
        asked = [prompts[row] for row in group]
        for name in spent:
            started = time.process_time()
            if name == "whole":
                backbone.read(asked, module.soft)
            else:
                found.answer(backbone, asked, module.soft, words)
            spent[name] += (time.process_time() - started) * bool(number)
    return {"milliseconds": {name: 1000 * seconds / max(len(prompts), 1) for name, seconds in spent.items()}}
