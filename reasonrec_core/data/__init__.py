"""The way of the data: tables -> `RawTables` -> `Dataset` -> `Split`. What plugins may use is named here.

A name is imported when it is first asked for, so that ``import reasonrec_core.data`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_core.components import DataSource as DataSource
    from reasonrec_core.components import Splitter as Splitter
    from reasonrec_core.components import SplitterSettings as SplitterSettings
    from reasonrec_core.data.cases import Division as Division
    from reasonrec_core.data.cases import make_row_cases as make_row_cases
    from reasonrec_core.data.cases import make_user_cases as make_user_cases
    from reasonrec_core.data.catalog import Catalog as Catalog
    from reasonrec_core.data.catalog import normalise_text as normalise_text
    from reasonrec_core.data.column_matching import ColumnMatcher as ColumnMatcher
    from reasonrec_core.data.csv_reader import DelimitedFile as DelimitedFile
    from reasonrec_core.data.csv_reader import Dialect as Dialect
    from reasonrec_core.data.dataset import Dataset as Dataset
    from reasonrec_core.data.images import ImageRefused as ImageRefused
    from reasonrec_core.data.images import open_image as open_image
    from reasonrec_core.data.negative_sampling import draw_candidates as draw_candidates
    from reasonrec_core.data.negative_sampling import draw_click_split as draw_click_split
    from reasonrec_core.data.negative_sampling import draw_direct_split as draw_direct_split
    from reasonrec_core.data.raw_tables import RawTables as RawTables
    from reasonrec_core.data.raw_tables import RowPlace as RowPlace
    from reasonrec_core.data.raw_tables import SourceTable as SourceTable
    from reasonrec_core.data.reviews import ReviewCases as ReviewCases
    from reasonrec_core.data.reviews import find_visible_reviews as find_visible_reviews
    from reasonrec_core.data.reviews import make_review_cases as make_review_cases
    from reasonrec_core.data.sources import find_source as find_source
    from reasonrec_core.data.sources import import_path as import_path
    from reasonrec_core.data.sources import open_or_import as open_or_import
    from reasonrec_core.data.split import LEFT_OUT as LEFT_OUT
    from reasonrec_core.data.split import TEST as TEST
    from reasonrec_core.data.split import TRAIN as TRAIN
    from reasonrec_core.data.split import VALID as VALID
    from reasonrec_core.data.split import Split as Split
    from reasonrec_core.data.split import SplitConfig as SplitConfig
    from reasonrec_core.data.split import make_split as make_split
    from reasonrec_core.data.split import make_splitter as make_splitter
    from reasonrec_core.data.split import open_split as open_split
    from reasonrec_core.data.split import save_split as save_split
    from reasonrec_core.data.tables import NewItems as NewItems
    from reasonrec_core.data.tables import find_table as find_table
    from reasonrec_core.data.tables import make_raw_tables as make_raw_tables
    from reasonrec_core.data.tables import read_beside as read_beside
    from reasonrec_core.data.tables import read_fields as read_fields
    from reasonrec_core.data.tables import read_log as read_log
    from reasonrec_core.data.tables import read_new_items as read_new_items

_NAMES = {
    "components": "DataSource Splitter SplitterSettings",
    "data.catalog": "Catalog normalise_text",
    "data.cases": "Division make_row_cases make_user_cases",
    "data.column_matching": "ColumnMatcher",
    "data.csv_reader": "DelimitedFile Dialect",
    "data.dataset": "Dataset",
    "data.images": "ImageRefused open_image",
    "data.negative_sampling": "draw_candidates draw_click_split draw_direct_split",
    "data.raw_tables": "RawTables RowPlace SourceTable",
    "data.reviews": "ReviewCases find_visible_reviews make_review_cases",
    "data.sources": "find_source import_path open_or_import",
    "data.split": "LEFT_OUT TEST TRAIN VALID Split SplitConfig make_split make_splitter open_split save_split",
    "data.tables": "NewItems find_table make_raw_tables read_beside read_fields read_log read_new_items",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"reasonrec_core.{_MODULE_OF[name]}"), name)
