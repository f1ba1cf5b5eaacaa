"""``reasonrec data synth``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from reasonrec_core.cli.console import note, out, plain, progress
from reasonrec_core.config_errors import validated
from reasonrec_datasets.synth import SynthConfig, make_catalogue


def _setting(name: str, text: str, kind: type = int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    default = SynthConfig.model_fields[name].default
    return click.option(f"--{name.replace('_', '-')}", type=kind, default=default, show_default=True, help=text)


@click.command(name="synth")
@click.option("--out", "folder", type=click.Path(path_type=Path), required=True, help="Folder for the catalogue.")
@_setting("users", "Customers.")
@_setting("items", "Products.")
@_setting("mean_length", "Choices per customer, on average.", float)
@_setting("image_weight", "How much customers go by what only the picture shows (the pattern).", float)
@_setting("text_weight", "How much they go by what only the text says (the theme).", float)
@_setting("season", "How strongly themes have seasons.", float)
@_setting("launched_later", "Share of the products that come to the shop during the year.", float)
@_setting("missing_images", "Share of the products without a picture.", float)
@_setting("image_size", "Width and height of the pictures in pixels.")
@_setting("seed", "Seed of every random choice.")
def synth_command(folder: Path, **settings: Any) -> None:
    """Make a synthetic catalogue: a shop whose customers' tastes are known.

    What customers like depends partly on what only the pictures show, partly on what only the texts say. The true
    probability of every choice is kept in truth.npz, so the best possible score is known.

    \b
    Examples:
      reasonrec data synth --out data/shop
      reasonrec data synth --out data/blind --image-weight 0
    """
    config = validated(SynthConfig, settings)
    with progress() as report:
        make_catalogue(folder, config, report)
    out.print(
        plain(f"{config.users:,} users, {config.items:,} items with pictures and text in {folder}"), soft_wrap=True
    )
    note(f"next: reasonrec data check {plain(str(folder))}")
