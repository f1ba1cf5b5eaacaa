"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, ComponentSpec, hookimpl


@hookimpl
def reasonrec_data_sources() -> list[ComponentSpec]:
    """Our own layout and the public ones, in the order in which they are tried."""
    return [
        ComponentSpec(
            "tables",
            "reasonrec_datasets.layouts.tables:PlainTablesSource",
            "interactions.{csv,tsv,parquet,arrow} (.gz, .zip, in parts), with items.*, users.* and images/ beside it",
        ),
        ComponentSpec(
            "predefined",
            "reasonrec_datasets.layouts.presplit:PredefinedSource",
            "train.*, valid.* and test.* with a label or rating and perhaps a history per row; items.* beside them",
        ),
        ComponentSpec(
            "recbole",
            "reasonrec_datasets.layouts.recbole:RecBoleSource",
            "RecBole atomic files: NAME.inter (or NAME.train.inter and so on), NAME.item, NAME.user, typed headers",
        ),
        ComponentSpec(
            "movielens",
            "reasonrec_datasets.layouts.movielens:MovieLensSource",
            "MovieLens folders: u.data with u.item and u.user; ratings.dat with movies.dat and users.dat; ratings.csv",
        ),
        ComponentSpec(
            "sequences",
            "reasonrec_datasets.layouts.s3rec:SequencesSource",
            "sequences.txt: a user per line, 'user item item ...', oldest first (S3-Rec); items.* beside it",
        ),
        ComponentSpec(
            "amazon",
            "reasonrec_datasets.layouts.amazon:AmazonSource",
            "Amazon reviews: JSON lines (.json, .jsonl, .gz), with meta_* or items.* beside them",
        ),
    ]


@hookimpl
def reasonrec_splitters() -> list[ComponentSpec]:
    """The divisions beside the core's leave-one-out."""
    module = "reasonrec_datasets.splitters"
    parts = "parts that came with the data; labels: a click task"
    return [
        ComponentSpec("temporal", f"{module}:Temporal", "one moment for everybody; targets are all that came after it"),
        ComponentSpec("ratio", f"{module}:Ratio", "per user: the last shares of the sequence"),
        ComponentSpec("cold-item", f"{module}:ColdItem", "whole items are held out; only their content leads to them"),
        ComponentSpec("predefined", "reasonrec_datasets.layouts.presplit:Predefined", parts),
    ]


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """Verbs of the group ``data``."""
    verbs = {
        "import": "Read data with any data source and save a dataset.",
        "split": "Divide a dataset into training, validation and test.",
        "fetch": "Download a public data set, with its licence.",
        "synth": "Make a synthetic catalogue with known tastes.",
    }
    return [
        CommandSpec(f"data {verb}", f"reasonrec_datasets.{verb}_command:{verb}_command", summary)
        for verb, summary in verbs.items()
    ]
