from pathlib import Path

from click.testing import CliRunner

from reasonrec_core.cli.main import cli
from reasonrec_core.testing import tiny_dataset


def test_it_is_in_the_help_and_runs(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path)
    runner = CliRunner()
    assert "template" in runner.invoke(cli, ["--help"]).output
    result = runner.invoke(cli, ["template", str(dataset.folder), "-k", "3"])
    assert result.exit_code == 0, result.output
    counts = [int(line.split("\t")[0]) for line in result.output.splitlines()]
    assert len(counts) == 3
    assert counts == sorted(counts, reverse=True)


def test_it_reads_raw_data(tmp_path: Path) -> None:
    tmp_path.joinpath("interactions.csv").write_text("user_id,item_id\na,x\nb,x\nb,y\n")
    result = CliRunner().invoke(cli, ["template", str(tmp_path)], env={"REASONREC_CACHE": str(tmp_path / "cache")})
    assert [line.split("\t")[:2] for line in result.output.splitlines()] == [["2", "x"], ["1", "y"]]
