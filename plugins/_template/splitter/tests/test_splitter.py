from pathlib import Path

from click.testing import CliRunner

from reasonrec_core.cli.main import cli
from reasonrec_core.testing import SplitterConformance, tiny_dataset


class TestTemplate(SplitterConformance):
    component = "template"


def test_a_pipeline_runs_on_it(tmp_path: Path) -> None:
    tiny_dataset(tmp_path)
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text('delegates = ["popularity"]\n[data]\npath = "dataset"\n[split]\nkind = "template"\nlast = 2\n')
    runner = CliRunner(env={"REASONREC_CACHE": str(tmp_path / "cache")})
    done = runner.invoke(cli, ["run", str(pipeline), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    done = runner.invoke(
        cli, ["data", "split", str(tmp_path / "dataset"), "--kind", "template", "--split-option", "last=9"]
    )
    assert "Set a smaller last" in str(done.exception)
