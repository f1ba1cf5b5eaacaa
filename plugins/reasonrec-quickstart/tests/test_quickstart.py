"""From data to a served run, as a stranger does it."""

from __future__ import annotations

import csv
import random
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reasonrec_datasets.synth import make_catalogue
from reasonrec_datasets.synth.config import SynthConfig
from reasonrec_quickstart import choices as choosing
from reasonrec_quickstart.choices import MOST_TEXTS, choose_pipeline
from reasonrec_quickstart.encoders import EncoderState
from reasonrec_quickstart.examine import ExaminedData, examine_data
from reasonrec_quickstart.pipeline_file import is_ours
from reasonrec_quickstart.quickstart_command import name_run
from reasonrec_serve import Recommender

from reasonrec_core.cli.main import main
from reasonrec_core.config import load_config
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.registry import Registry
from reasonrec_core.types import no_progress

AS_IT_IS: dict[str, Any] = {"format": "auto", "columns": {}, "options": {}}


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a cache of the test's own; no encoder has weights, so nothing is downloaded."""
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choosing, "find_encoder", lambda modality, registry: WITHOUT)
    return tmp_path


WITHOUT = EncoderState("text", missing="no encoder for them is installed", install="pip install it")


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["quickstart", *arguments])
    return int(ended.value.code or 0)


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def rows(users: int = 60, seed: int = 0) -> list[tuple[str, str, int]]:
    """A log in which what follows can be told from what was."""
    rng = random.Random(seed)
    found = []
    for user in range(users):
        start = rng.randrange(12)
        found += [(f"u{user}", f"i{(start + step) % 12}", 1_700_000_000 + 60 * step + user) for step in range(6)]
    return found


def examine(path: Path, **source: Any) -> ExaminedData:
    return examine_data(path, {**AS_IT_IS, **source}, no_progress)


def choose(examined: ExaminedData, **more: Any) -> choosing.Choices:
    return choose_pipeline(examined, "shop", {"path": "x"}, Registry.discover(), **more)


def table(choices: choosing.Choices) -> dict[str, Any]:
    return {key: value for part in choices.parts for key, value in part.table.items()}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "my shop" / "interactions.csv", ("user_id", "item_id", "timestamp"), rows())


def test_one_command_leads_from_a_file_to_answers(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(log.parent)) == 0
    said = capsys.readouterr()
    run, file = Path("runs/my-shop"), Path("runs/my-shop.toml")
    assert "360 interactions of 60 users with 12 items" in said.out
    assert "significantly better than best-sellers" in said.out
    assert "Final models fitted: profile, popularity, transitions" in said.out
    assert "reasonrec recommend runs/my-shop --user u" in said.out
    assert Recommender.open(run).recommend(history=["i3", "i4"], k=2).models == "final"
    text = file.read_text()
    assert tomllib.loads(text)["policy"] == "profile"
    assert load_config(file).data.path == str(Path("runs/../my shop"))
    for part in text.split("\n\n"):
        assert part.startswith(("# ", 'name = "my-shop"', "[data]"))
    assert call(str(log.parent)) == 0, "the same again is a run that is there already"
    assert "Final models already there" in capsys.readouterr().out


def test_a_dry_run_writes_the_file_and_no_more_and_never_over_what_somebody_edited(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path("out/first.toml")
    arguments = (str(log), "--dry-run", "--out", "out/first")
    assert call(*arguments) == 0
    assert [path.name for path in Path("out").iterdir()] == ["first.toml"]
    assert "reasonrec run out/first.toml --out out/first" in capsys.readouterr().out
    assert is_ours(file)
    assert call(*arguments) == 0
    file.write_text(file.read_text().replace("profile", "chain"))
    edited = file.read_bytes()
    assert call(*arguments) == 2
    assert "was edited, or not written by quickstart" in capsys.readouterr().err
    assert file.read_bytes() == edited


def test_columns_of_other_names_stay_named_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "sales.csv", ("who", "what", "at"), rows())
    assert call(str(path), "--dry-run") == 2
    error = capsys.readouterr().err
    assert error.count("error:") == 1
    assert "--column" in error
    names = [
        f"--column={ours}={theirs}" for ours, theirs in (("user_id", "who"), ("item_id", "what"), ("timestamp", "at"))
    ]
    assert call(str(path), "--dry-run", *names) == 0
    assert load_config(Path("runs/sales.toml")).data.columns == {"user_id": "who", "item_id": "what", "timestamp": "at"}


def test_a_log_without_times_is_loudly_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "log.csv", ("user_id", "item_id"), [row[:2] for row in rows()])
    assert call(str(path), "--dry-run") == 0
    assert "warning: NO TIMES WERE FOUND" in capsys.readouterr().err
    assert "# WARNING NO TIMES WERE FOUND" in Path("runs/log.toml").read_text()


def test_a_layout_whose_order_is_that_of_time_is_no_warning(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    lines = [f"{user} " + " ".join(str((user + step) % 9) for step in range(5)) for user in range(20)]
    (tmp_path / "s3" / "sequences.txt").write_text("\n".join(lines) + "\n")
    found = choose(examine(tmp_path / "s3"))
    assert not [each for each in found.warnings if "TIMES" in each]
    assert [each for each in found.hints if "in which order" in each]


def test_texts_and_pictures_are_looked_at_where_something_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_catalogue(tmp_path / "shop", SynthConfig(users=40, items=30, image_size=32))
    examined = examine(tmp_path / "shop")
    without = choose(examined)
    assert "observe" not in table(without)
    assert [hint for hint in without.hints if "no encoder for them is installed: pip install it" in hint][1:]
    monkeypatch.setattr(
        choosing, "find_encoder", lambda modality, registry: EncoderState(f"reads-{modality}", "weights")
    )
    assert table(choose(examined))["observe"] == {
        "text": {"encoder": "reads-text"},
        "image": {"encoder": "reads-image"},
    }
    many = replace(examined, facts={**examined.facts, "items": MOST_TEXTS + 1})
    assert "observe" not in table(choose(many))
    assert set(table(choose(many, best=True))["observe"]) == {"text", "image"}


def test_sizes_choose_the_policy(log: Path) -> None:
    examined = examine(log)
    assert table(choose(examined))["policy"] == "profile"
    large = replace(examined, facts={**examined.facts, "interactions": 10_000_000})
    assert "policy" not in table(choose(large))
    assert "router" not in table(choose(large))
    assert table(choose(large, best=True))["policy"] == "chain"


def test_reasons_are_tested_where_something_is_installed_that_does(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examined, names = examine(log), Registry.names
    assert table(choose(examined))["evaluate"]["faithfulness"] == 100
    monkeypatch.setattr(Registry, "names", lambda self, kind: [n for n in names(self, kind) if n != "faithfulness"])
    without = choose(examined)
    assert table(without)["evaluate"] == {"faithfulness": 0, "latency_sample": 100}
    assert table(choose(examined, best=True))["evaluate"] == {"faithfulness": 0}
    assert [hint for hint in without.hints if "reasonrec[explain]" in hint]


def test_best_without_the_policy_says_what_to_install(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examined = examine(log)
    monkeypatch.setattr(Registry, "names", lambda self, kind: ["popularity"])
    with pytest.raises(ConfigError, match=r"reasonrec\[chain\]"):
        choose(examined, best=True)


def test_labels_with_parts_are_clicks_and_without_parts_positives(tmp_path: Path) -> None:
    labelled = [(*row, number % 2) for number, row in enumerate(rows())]
    header = ("user_id", "item_id", "timestamp", "label")
    for name, some in (("train", labelled[::2]), ("valid", labelled[1::4]), ("test", labelled[3::4])):
        write(tmp_path / "clicks" / f"{name}.csv", header, some)
    made = [(*row[:3], int(number % 6 > 0)) for number, row in enumerate(labelled)]
    examined = examine(tmp_path / "clicks")
    assert examined.labels
    found = table(choose(examined))
    assert found["delegates"] == ["lightgbm-ctr"]
    assert found["evaluate"] == {"tasks": ["ctr"]}
    assert "router" not in found
    one = examine(write(tmp_path / "one.csv", header, made))
    assert not one.labels
    assert table(choose(one))["split"] == {"kind": "leave-one-out", "min_value": 1.0}


def test_what_the_data_is_called_ends_no_comment(tmp_path: Path) -> None:
    path = write(tmp_path / 'odd "name"\n[x]' / "interactions.csv", ("user_id", "item_id", "timestamp"), rows())
    assert call(str(path.parent), "--dry-run", "--out", "runs/odd") == 0
    assert set(tomllib.loads(Path("runs/odd.toml").read_text())) >= {"name", "policy", "data", "router"}
    assert "x" not in tomllib.loads(Path("runs/odd.toml").read_text())


@pytest.mark.parametrize(
    ("path", "name"),
    [("my shop", "my-shop"), ("sales.csv.gz", "sales"), ("a/interactions.csv", "a"), ("...", "data"), ("été", "t")],
)
def test_a_run_is_called_after_its_data(tmp_path: Path, path: str, name: str) -> None:
    target = tmp_path / path
    target.parent.mkdir(exist_ok=True)
    target.touch()
    assert name_run(target) == name


def test_data_that_cannot_be_divided_is_one_clear_message(tmp_path: Path) -> None:
    path = write(tmp_path / "short.csv", ("user_id", "item_id", "timestamp"), [(f"u{n}", f"i{n}", n) for n in range(9)])
    with pytest.raises(DataError, match="no user has 3 interactions"):
        examine(path)
