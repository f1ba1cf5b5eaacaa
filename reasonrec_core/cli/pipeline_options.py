"""What the verbs that take a pipeline file share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from reasonrec_core.config import PipelineConfig

F = TypeVar("F", bound=Callable[..., Any])


def pipeline_options(command: F) -> F:
    """PIPELINE, ``--set`` and ``--out``."""
    out = click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The run folder; runs/NAME where NAME is the pipeline's name, if not given.",
    )
    override = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a setting, e.g. --set router.share=0.5. Repeatable.",
    )
    pipeline = click.argument("pipeline", type=click.Path(path_type=Path), metavar="PIPELINE")
    return pipeline(override(out(command)))


refit_option = click.option(
    "--refit",
    multiple=True,
    is_flag=False,
    flag_value="*",
    metavar="[STAGE]",
    help="Do this again though nothing that it depends on has changed: the label of a component, or the name of a "
    "folder in RUN/stages; everything without a value. Repeatable.",
)


def load_pipeline(pipeline: Path, overrides: tuple[str, ...], out: Path | None) -> tuple[PipelineConfig, Path]:
    """The checked settings and the run folder."""
    from reasonrec_core.config import load_config

    config = load_config(pipeline, overrides)
    return config, out or Path("runs") / config.name
