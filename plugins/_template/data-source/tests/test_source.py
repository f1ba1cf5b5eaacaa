import sqlite3
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner
from reasonrec_datasets import RawTables, build_dataset, import_path
from reasonrec_datasets.testing import DataSourceConformance, tiny_tables

from reasonrec_core.cli.main import cli


def write(folder: Path, tables: RawTables) -> Path:
    """The tables as a SQLite database."""
    path = folder / "shop.db"
    with closing(sqlite3.connect(path)) as database:
        for name, table in (("interactions", tables.interactions), ("items", tables.items)):
            marks = ", ".join("?" * table.num_columns)
            database.execute(f"CREATE TABLE {name} ({', '.join(table.column_names)})")
            database.executemany(
                f"INSERT INTO {name} VALUES ({marks})", map(tuple, map(dict.values, table.to_pylist()))
            )
        database.commit()
    return path


class TestTemplate(DataSourceConformance):
    component = "template"
    names = ("title", "brand")
    write = staticmethod(write)


def test_it_is_imported_and_a_pipeline_runs_on_it(tmp_path: Path) -> None:
    path = write(tmp_path, tiny_tables(tmp_path))
    dataset = build_dataset(import_path(path), tmp_path / "set")
    assert (dataset.n_users, dataset.n_items) == (48, 40)
    runner = CliRunner(env={"REASONREC_CACHE": str(tmp_path / "cache")})
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text('delegates = ["popularity"]\n[data]\npath = "shop.db"\noptions = {items = "items"}\n')
    done = runner.invoke(cli, ["run", str(pipeline), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "run" / "metrics.json").is_file()
