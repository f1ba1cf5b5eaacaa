"""The kit for data sources: tables read, matched with our columns, checked and indexed; and what is built with it.

What other packages may use is named here, imported when it is first asked for; besides, there are
`reasonrec_datasets.options` (of verbs that take raw data or divide it), `reasonrec_datasets.synth` (the synthetic shop)
and `reasonrec_datasets.testing` (the conformance suite of sources of tables).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonrec_datasets.importing.column_matching import ColumnMatcher as ColumnMatcher
    from reasonrec_datasets.importing.column_parsing import Place as Place
    from reasonrec_datasets.importing.column_parsing import parse_numbers as parse_numbers
    from reasonrec_datasets.importing.id_parsing import find_mangled_ids as find_mangled_ids
    from reasonrec_datasets.importing.id_parsing import parse_ids as parse_ids
    from reasonrec_datasets.importing.index import build_dataset as build_dataset
    from reasonrec_datasets.importing.index import extend_items as extend_items
    from reasonrec_datasets.importing.number_parsing import convert_numbers as convert_numbers
    from reasonrec_datasets.importing.raw_tables import PARTS as PARTS
    from reasonrec_datasets.importing.raw_tables import RawTables as RawTables
    from reasonrec_datasets.importing.source_tables import OpenTable as OpenTable
    from reasonrec_datasets.importing.source_tables import RowPlace as RowPlace
    from reasonrec_datasets.importing.source_tables import SourceTable as SourceTable
    from reasonrec_datasets.importing.source_tables import make_raw_tables as make_raw_tables
    from reasonrec_datasets.importing.source_tables import read_fields as read_fields
    from reasonrec_datasets.importing.source_tables import read_log as read_log
    from reasonrec_datasets.importing.table_source import TableSettings as TableSettings
    from reasonrec_datasets.importing.table_source import TableSource as TableSource
    from reasonrec_datasets.importing.table_source import import_path as import_path
    from reasonrec_datasets.importing.time_checks import find_implausible_times as find_implausible_times
    from reasonrec_datasets.importing.time_checks import show_time as show_time
    from reasonrec_datasets.layouts.csv_reader import DelimitedFile as DelimitedFile
    from reasonrec_datasets.layouts.csv_reader import Dialect as Dialect
    from reasonrec_datasets.layouts.tables import find_table as find_table
    from reasonrec_datasets.layouts.tables import list_files as list_files
    from reasonrec_datasets.layouts.tables import open_table as open_table
    from reasonrec_datasets.layouts.tables import read_beside as read_beside
    from reasonrec_datasets.layouts.tables import read_fields_file as read_fields_file
    from reasonrec_datasets.new_items import NewItems as NewItems
    from reasonrec_datasets.new_items import read_new_items as read_new_items
    from reasonrec_datasets.run_items import ImportedItems as ImportedItems
    from reasonrec_datasets.run_items import add_items as add_items

_MODULES = {
    "ColumnMatcher": "importing.column_matching",
    "DelimitedFile": "layouts.csv_reader",
    "Dialect": "layouts.csv_reader",
    "ImportedItems": "run_items",
    "NewItems": "new_items",
    "OpenTable": "importing.source_tables",
    "PARTS": "importing.raw_tables",
    "Place": "importing.column_parsing",
    "RawTables": "importing.raw_tables",
    "RowPlace": "importing.source_tables",
    "SourceTable": "importing.source_tables",
    "TableSettings": "importing.table_source",
    "TableSource": "importing.table_source",
    "add_items": "run_items",
    "build_dataset": "importing.index",
    "convert_numbers": "importing.number_parsing",
    "extend_items": "importing.index",
    "find_table": "layouts.tables",
    "import_path": "importing.table_source",
    "find_implausible_times": "importing.time_checks",
    "find_mangled_ids": "importing.id_parsing",
    "show_time": "importing.time_checks",
    "list_files": "layouts.tables",
    "make_raw_tables": "importing.source_tables",
    "open_table": "layouts.tables",
    "parse_ids": "importing.id_parsing",
    "parse_numbers": "importing.column_parsing",
    "read_beside": "layouts.tables",
    "read_fields": "importing.source_tables",
    "read_fields_file": "layouts.tables",
    "read_log": "importing.source_tables",
    "read_new_items": "new_items",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
