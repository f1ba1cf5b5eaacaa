"""LightGBM, set up to give the same trees every time, saved as its own text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from pydantic import Field

from reasonrec_core.components import Settings
from reasonrec_core.errors import DataError
from reasonrec_core.io import whole_file
from reasonrec_core.types import Float32

FeatureTable = npt.NDArray[np.float32]


class BoostingConfig(Settings):
    """Settings that both delegates share."""

    learning_rate: float = Field(default=0.02, gt=0, le=1, description="Learning rate (shrinkage of each tree).")
    leaves: int = Field(default=15, ge=2, description="Leaves per tree.")
    min_leaf: int = Field(default=100, ge=1, description="Least number of rows per leaf.")
    l2: float = Field(default=10.0, ge=0, description="L2 penalty on leaf values.")
    feature_share: float = Field(default=0.4, gt=0, le=1, description="Share of the features that each tree sees.")
    row_share: float = Field(default=0.7, gt=0, le=1, description="Share of the rows that each tree sees.")
    extra_trees: bool = Field(
        default=False, description="Try only one random threshold per feature, against overfitting."
    )
    rounds: int = Field(default=1500, ge=1, description="Most trees; validation stops earlier.")
    patience: int = Field(
        default=100, ge=1, description="Training stops after this many trees without improvement on validation."
    )
    unguided_rounds: int = Field(
        default=200, ge=1, description="Number of trees if there is no validation to stop training."
    )
    bags: int = Field(
        default=5, ge=1, le=100, description="Number of models with different seeds whose answers are averaged."
    )
    threads: int = Field(default=2, ge=1, description="Threads for fitting. The result is the same.")

    def parameters(self, seed: int) -> dict[str, Any]:
        """LightGBM's parameters."""
        return {
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_leaf,
            "lambda_l2": self.l2,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "extra_trees": self.extra_trees,
            "num_threads": self.threads,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


def train_models(
    config: BoostingConfig,
    task: dict[str, Any],
    learn: lightgbm.Dataset,
    check: lightgbm.Dataset | None,
    *,
    seed: int,
    progress: Callable[[int, int], None],
    figure: Callable[..., Any] | None = None,
    chosen: Sequence[lightgbm.Booster] = (),
) -> list[lightgbm.Booster]:
    """``config.bags`` models, each stopped by ``check`` where there is one.

    Args:
        config: of the trees.
        task: objective, metric and what belongs to them.
        learn: training rows.
        check: validation rows, built with ``reference=learn``.
        seed: of the first model; the others count up from it.
        progress: called as ``progress(done, total)`` in trees.
        figure: of the validation rows, where ``task`` names no metric of LightGBM's.
        chosen: models of an earlier training, each of which says how many trees its successor gets.
    """
    rounds = config.rounds if check is not None else min(config.rounds, config.unguided_rounds)
    models = []
    for bag in range(config.bags):

        def report(state: Any, bag: int = bag) -> None:
            if state.iteration % 20 == 0:
                progress(bag * rounds + state.iteration, config.bags * rounds)

        callbacks: list[Any] = [report]
        if check is not None:
            callbacks.append(lightgbm.early_stopping(config.patience, first_metric_only=True, verbose=False))
        model = lightgbm.train(
            {**config.parameters(seed + bag), **task},
            learn,
            num_boost_round=_count_rounds(chosen[bag]) if chosen else rounds,
            valid_sets=[check] if check is not None else None,
            callbacks=callbacks,
            feval=figure,
        )
        models.append(model)
    progress(config.bags * rounds, config.bags * rounds)
    return models


def _count_rounds(model: lightgbm.Booster) -> int:
    """How many rounds a model answers with: up to the best one where it was just trained, all where it was loaded."""
    return int(model.best_iteration) if model.best_iteration > 0 else int(model.current_iteration())


def predict_mean(models: Sequence[lightgbm.Booster], table: FeatureTable) -> Float32:
    """float32[N]: the mean of the models' raw scores (log-odds for clicks)."""
    if not len(table):
        return np.zeros(0, dtype=np.float32)
    raw = [model.predict(table, raw_score=True, num_threads=1) for model in models]
    mean: Float32 = np.mean(raw, axis=0).astype(np.float32)
    return mean


def save_models(folder: Path, models: Sequence[lightgbm.Booster]) -> None:
    """Write each model as LightGBM's text, cut at its best tree."""
    for number, model in enumerate(models):
        with whole_file(folder / f"model-{number}.txt") as aside:
            aside.write_text(model.model_to_string(num_iteration=model.best_iteration or None), encoding="utf-8")


def load_models(folder: Path) -> list[lightgbm.Booster]:
    """Read what `save_models` wrote."""
    paths = sorted(folder.glob("model-*.txt"), key=lambda p: int(p.stem.split("-")[1]))
    if not paths:
        raise DataError("contains no model", where=str(folder), fix="Fit the delegate again.")
    try:
        return [lightgbm.Booster(model_str=path.read_text(encoding="utf-8")) for path in paths]
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise DataError(
            f"is not a LightGBM model ({error})", where=str(folder), fix="Fit the delegate again."
        ) from error
