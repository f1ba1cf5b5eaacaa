"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, ComponentSpec, hookimpl


@hookimpl
def reasonrec_data_sources() -> list[ComponentSpec]:
    """The public layouts, in the order in which they are tried."""
    return [
        ComponentSpec(
            "predefined",
            "reasonrec_datasets.presplit:PredefinedSource",
            "train.*, valid.* and test.* with a label or rating and perhaps a history per row; items.* beside them",
        ),
        ComponentSpec(
            "recbole",
            "reasonrec_datasets.recbole:RecBoleSource",
            "RecBole atomic files: NAME.inter (or NAME.train.inter and so on), NAME.item, NAME.user, typed headers",
        ),
        ComponentSpec(
            "movielens",
            "reasonrec_datasets.movielens:MovieLensSource",
            "MovieLens folders: u.data with u.item and u.user; ratings.dat with movies.dat and users.dat; ratings.csv",
        ),
        ComponentSpec(
            "sequences",
            "reasonrec_datasets.s3rec:SequencesSource",
            "sequences.txt: a user per line, 'user item item ...', oldest first (S3-Rec); items.* beside it",
        ),
        ComponentSpec(
            "amazon",
            "reasonrec_datasets.amazon:AmazonSource",
            "Amazon reviews: JSON lines (.json, .jsonl, .gz), with meta_* or items.* beside them",
        ),
    ]


@hookimpl
def reasonrec_splitters() -> list[ComponentSpec]:
    """The division that came with the data."""
    summary = "parts that came with the data; labels: a click task"
    return [ComponentSpec("predefined", "reasonrec_datasets.presplit:Predefined", summary)]


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """Verbs of the group ``data``."""
    module = "reasonrec_datasets"
    return [
        CommandSpec(
            "data fetch", f"{module}.fetch_command:fetch_command", "Download a public data set, with its licence."
        ),
        CommandSpec(
            "data synth", f"{module}.synth_command:synth_command", "Make a synthetic catalogue with known tastes."
        ),
    ]
