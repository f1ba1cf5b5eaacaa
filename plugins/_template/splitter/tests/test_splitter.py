from pathlib import Path

import pytest
from click.testing import CliRunner

from reasonrec_core.cli.main import cli
from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.errors import DataError
from reasonrec_core.testing import SplitterConformance, tiny_dataset


class TestTemplate(SplitterConformance):
    component = "template"


def test_a_pipeline_runs_on_it(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path)
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text('delegates = ["popularity"]\n[data]\npath = "dataset"\n[split]\nkind = "template"\nlast = 2\n')
    runner = CliRunner(env={"REASONREC_CACHE": str(tmp_path / "cache")})
    done = runner.invoke(cli, ["run", str(pipeline), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    with pytest.raises(DataError, match="Set a smaller last"):
        make_split(dataset, SplitConfig(kind="template", last=9))
