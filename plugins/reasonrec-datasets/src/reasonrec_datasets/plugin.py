"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, ComponentSpec, hookimpl

SOURCES = {
    "tables": (
        "tables:PlainTablesSource",
        "interactions.{csv,tsv,parquet,arrow} (.gz, .zip, in parts), with items.*, users.* and images/ beside it",
    ),
    "predefined": (
        "presplit:PredefinedSource",
        "train.*, valid.* and test.* with a label or rating and perhaps a history per row; items.* beside them",
    ),
    "recbole": (
        "recbole:RecBoleSource",
        "RecBole atomic files: NAME.inter (or NAME.train.inter and so on), NAME.item, NAME.user, typed headers",
    ),
    "mmrec": (
        "mmrec:MMRecSource",
        "MMRec's NAME.inter with x_label (its parts); precomputed reads image_feat.npy and text_feat.npy beside it",
    ),
    "lightgcn": (
        "lightgcn:LightGCNSource",
        "LightGCN's train.txt and test.txt: 'user item item ...' per line, in numbers; item_list.txt",
    ),
    "check-ins": (
        "checkins:CheckInsSource",
        "Gowalla, Brightkite, Foursquare: check-ins without a header; places get their coordinates and category",
    ),
    "movielens": (
        "movielens:MovieLensSource",
        "MovieLens folders: u.data with u.item and u.user; ratings.dat with movies.dat and users.dat; ratings.csv",
    ),
    "sequences": (
        "s3rec:SequencesSource",
        "sequences.txt: a user per line, 'user item item ...', oldest first (S3-Rec); items.* beside it",
    ),
    "amazon": (
        "amazon:AmazonSource",
        "Amazon reviews: JSON lines (.json, .jsonl, .gz), with meta_* or items.* beside them",
    ),
    "huggingface": (
        "huggingface:HuggingFaceSource",
        "Hugging Face datasets: folders of save_to_disk, and Parquet shards (data/train-00000-of-00001.parquet)",
    ),
    "rees46": (
        "shop_events:Rees46Source",
        "REES46's event_time, event_type, product_id, ... by month; brand, price, category of the events",
    ),
    "retailrocket": (
        "shop_events:RetailRocketSource",
        "RetailRocket's events.csv, with categories out of item_properties_part*.csv and category_tree.csv",
    ),
    "mind": (
        "mind:MindSource",
        "MIND's behaviors.tsv, news.tsv, or the folders of its parts: impressions, clicks as labels, histories",
    ),
    "netflix": (
        "netflix:NetflixSource",
        "the Netflix Prize: combined_data_*.txt or mv_*.txt, and movie_titles.csv",
    ),
    "goodbooks": (
        "goodbooks:GoodbooksSource",
        "goodbooks-10k: ratings.csv in the order of time, books.csv, the tags given most",
    ),
    "kuairec": (
        "kuairec:KuaiRecSource",
        "KuaiRec: big_matrix.csv (or small, or both), item_categories.csv, captions, user_features.csv",
    ),
    "archive": (
        "archives:ArchiveSource",
        "a .zip, .tar or .tar.gz of several files: what it unpacks to is read as a folder",
    ),
    "folder": (
        "guessed:FolderSource",
        "a folder of tables under any names: log, items and users are recognised by their columns and ids",
    ),
}
"""Data sources by name: what reads them, and what is there."""


@hookimpl
def reasonrec_data_sources() -> list[ComponentSpec]:
    """Our own layout and the public ones; each says when it is asked (``order``)."""
    return [
        ComponentSpec(name, f"reasonrec_datasets.layouts.{target}", summary)
        for name, (target, summary) in SOURCES.items()
    ]


@hookimpl
def reasonrec_splitters() -> list[ComponentSpec]:
    """The divisions beside the core's leave-one-out."""
    module = "reasonrec_datasets.splitters"
    parts = "parts that came with the data; labels: a click task"
    return [
        ComponentSpec(
            "temporal", f"{module}:Temporal", "one cut in time for all users; targets are everything after it"
        ),
        ComponentSpec("ratio", f"{module}:Ratio", "per user: the last part of the sequence"),
        ComponentSpec("random", f"{module}:Random", "per user: at random, regardless of time"),
        ComponentSpec(
            "cold-item", f"{module}:ColdItem", "whole items are held out; only their content can lead to them"
        ),
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
