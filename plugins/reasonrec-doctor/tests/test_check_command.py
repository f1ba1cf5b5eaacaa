"""``reasonrec data check`` as a user calls it: output and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from reasonrec_datasets.synth import SynthConfig, make_catalogue

from reasonrec_core.cli.main import main
from reasonrec_core.cli.options import terminal

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(terminal, "verbosity", 0)

    def call(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["data", *map(str, args)])
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "shop"
    make_catalogue(folder, SynthConfig(users=120, items=60, image_size=48), lambda *_: None)
    return folder


def test_missing_path(run: Run, tmp_path: Path) -> None:
    code, _, err = run("check", tmp_path / "nowhere")
    assert code == 2
    assert "nowhere" in err


def test_help_has_examples(run: Run) -> None:
    code, out, _ = run("check", "--help")
    assert code == 0
    assert "reasonrec data check" in out


def test_check_of_sound_data_is_safe(shop: Path, run: Run) -> None:
    code, out, _ = run("check", shop)
    assert code == 0
    assert out.rstrip().endswith("safe")
    assert "clean" in out


def test_check_of_leaky_data_is_not(run: Run, tmp_path: Path) -> None:
    rows = ["user_id,item_id,timestamp,label,history", "a,x,1,1,", "a,y,2,1,x", "a,w,3,1,x y", "a,z,4,1,x y z"]
    for part, lines in (("train", rows[:3]), ("valid", [rows[0], rows[3]]), ("test", [rows[0], rows[4]])):
        (tmp_path / f"{part}.csv").write_text("\n".join(lines) + "\n")
    code, out, _ = run("check", tmp_path, "--json")
    facts = json.loads(out)
    assert (code, facts["safe"]) == (1, False)
    error = next(f for f in facts["findings"] if f["severity"] == "error")
    assert error["check"] == "target-in-history"
    assert (error["count"], error["total"]) == (1, 4)
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert "NOT SAFE" in out


def test_check_selects(shop: Path, run: Run) -> None:
    code, out, _ = run("check", shop, "--only", "time-ties", "--kind", "ratio", "--json")
    facts = json.loads(out)
    assert (code, facts["checks"]) == (0, ["time-ties"])
    assert facts["protocol"].startswith("per-user ratio")
    _, out, _ = run("check", shop, "--no-images", "--json")
    assert "unreadable-images" not in json.loads(out)["checks"]


def test_hostile_text_does_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    log = "".join(f"a,i{i},{i}\n" for i in range(4))
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\n" + log)
    (tmp_path / "items.csv").write_text("item_id,title\n" + "".join(f"i{i},\x1b[2J[red]boo\n" for i in range(4)))
    _, out, _ = run("check", tmp_path)
    assert "\x1b[2J" not in out
    assert "[red]boo" in out
