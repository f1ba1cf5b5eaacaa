from collections import Counter
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
    rows = [line.split("\t") for line in result.output.splitlines()]
    counts = Counter(dataset.interactions.items.tolist())
    assert [int(count) for count, _, _ in rows] == [count for _, count in counts.most_common(3)]
    assert all(int(count) == counts[dataset.catalog.index[item]] for count, item, _ in rows)


def test_what_it_cannot_read_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["template", str(tmp_path / "nothing")])
    assert "no such file or folder" in str(result.exception)
