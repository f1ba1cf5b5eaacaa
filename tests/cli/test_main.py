"""What users of a command line expect: exit codes, one message per error, pipes, colour, completion, interruption."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from installed import environment, install, install_module, python, reasonrec

from reasonrec_core.cli import VERBS
from reasonrec_core.cli.main import main

COMMAND = """
@hookimpl
def reasonrec_commands():
    return [CommandSpec("act", "reasonrec_act_impl:act", "Do something.")]
"""
IMPLEMENTATION = r"""
import os, sys, time, logging
import click
from pathlib import Path
from reasonrec_core.errors import DataError
from reasonrec_core.cli import console
from reasonrec_core.io import whole_file

@click.command()
@click.argument("what")
@click.option("--out", type=click.Path(path_type=Path))
def act(what, out):
    if what == "print":
        console.out.print("[red]result[/red]", style="red")
        console.note("a note")
    elif what == "log":
        for level in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger("reasonrec.deep"), level)("at %s", level)
    elif what == "progress":
        with console.progress() as progress:
            for done in range(1, 101):
                progress(done, 100, "fitting [x]")
                time.sleep(0.002)
    elif what == "bad data":
        raise DataError("no column 'item_id'", where="log.csv:1", fix="Map it with --item.")
    elif what == "hostile data":
        raise DataError("item '\x1b]0;owned\x07\x1b[31m' is unknown")
    elif what == "defect":
        raise TypeError("something\n  of ours")
    elif what == "memory":
        raise MemoryError("Unable to allocate 3 TiB")
    elif what == "missing file":
        open("/no/such/file")
    elif what == "exit 3":
        click.get_current_context().exit(3)
    elif what == "returns":
        return 7
    elif what == "flood":
        for _ in range(200000):
            click.echo("line")
    elif what == "wait":
        with whole_file(out) as aside:
            aside.write_text("half")
            print("ready", flush=True)
            time.sleep(60)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    install_module(folder, "reasonrec-act", COMMAND)
    folder.joinpath("reasonrec_act_impl.py").write_text(IMPLEMENTATION)
    return folder


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_the_way_to_help_imports_neither_numpy_nor_pydantic(words: list[str]) -> None:
    code = f"""
    import sys
    from reasonrec_core.cli.main import main
    try:
        main({words!r})
    except SystemExit:
        pass
    heavy = ("numpy", "pydantic", "rich", "pyarrow", "scipy", "sklearn", "torch", "importlib.metadata", "logging")
    print("imported:", *[name for name in heavy if name in sys.modules])
    """
    assert python(None, code).stdout.splitlines()[-1] == "imported:"


def test_listing_plugins_imports_no_numerical_library() -> None:
    code = """
    import sys
    from reasonrec_core.cli.main import main
    try:
        main(["plugins", "--json"])
    except SystemExit:
        pass
    print("imported:", *[name for name in ("numpy", "pydantic", "pyarrow", "scipy", "torch") if name in sys.modules])
    """
    assert python(None, code).stdout.splitlines()[-1] == "imported:"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    done = reasonrec(None, verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout
    assert f"reasonrec {verb}" in done.stdout
    assert "--quiet" in done.stdout
    assert "--verbose" in done.stdout


def test_help_names_every_verb_and_the_plugins_commands(site: Path) -> None:
    text = reasonrec(site, "--help").stdout
    for verb, (_, line) in VERBS.items():
        assert verb in text
        assert line.split()[0] in text
    assert "Do something." in text


def test_version() -> None:
    done = reasonrec(None, "--version")
    assert done.stdout == "reasonrec 0.2.0\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["evalute"], "No such command 'evalute'. Did you mean 'evaluate'?"),
        (["recommend"], "It comes with reasonrec-serve: pip install reasonrec-serve."),
        (["plugins", "nwe"], "No such command 'nwe'. Did you mean 'new'?"),
        (["acts"], "No such command 'acts'. Did you mean 'act'?"),
        (["qqqqqq"], "Known: act, data"),
        (["run", "--jsn", "x.toml"], "No such option"),
        (["run"], "Missing argument 'PIPELINE'"),
    ],
)
def test_a_wrong_word_is_a_usage_error_with_a_hint(site: Path, words: list[str], hint: str) -> None:
    done = reasonrec(site, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("bad data", 2, "error: log.csv:1: no column 'item_id'. Map it with --item.\n"),
        ("hostile data", 2, "error: item '\ufffd]0;owned\ufffd\ufffd[31m' is unknown\n"),
        ("missing file", 2, "error: /no/such/file: No such file or directory\n"),
        ("memory", 2, "error: not enough memory. Unable to allocate 3 TiB\n"),
        ("exit 3", 3, ""),
        ("returns", 0, ""),
    ],
)
def test_exit_codes_and_messages(site: Path, what: str, code: int, message: str) -> None:
    done = reasonrec(site, "act", what)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", message)


def test_a_defect_of_ours_is_exit_code_1_and_one_line(site: Path) -> None:
    done = reasonrec(site, "act", "defect")
    assert done.returncode == 1
    assert done.stderr.startswith("internal error: TypeError: something of ours.")
    assert "--debug" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--debug", "act", "defect"], ["act", "defect", "--debug"]])
def test_debug_shows_the_traceback(site: Path, words: list[str]) -> None:
    assert "Traceback (most recent call last)" in reasonrec(site, *words).stderr
    assert "Traceback" in reasonrec(site, "act", "bad data", REASONREC_DEBUG="1").stderr


def test_text_is_not_markup_and_a_pipe_gets_no_colour(site: Path) -> None:
    done = reasonrec(site, "act", "print")
    assert (done.stdout, done.stderr) == ("[red]result[/red]\n", "a note\n")


@pytest.mark.parametrize("words", [["-q", "act", "print"], ["act", "print", "--quiet"]])
def test_quiet_leaves_results_only(site: Path, words: list[str]) -> None:
    done = reasonrec(site, *words)
    assert (done.stdout, done.stderr) == ("[red]result[/red]\n", "")


@pytest.mark.parametrize(
    ("flag", "levels"),
    [
        ([], ["warning", "error"]),
        (["-q"], ["error"]),
        (["-v"], ["info", "warning", "error"]),
        (["-vv"], ["debug", "info", "warning", "error"]),
    ],
)
def test_verbosity_chooses_what_is_logged(site: Path, flag: list[str], levels: list[str]) -> None:
    for words in ([*flag, "act", "log"], ["act", "log", *flag]):
        done = reasonrec(site, *words)
        assert done.stderr.splitlines() == [f"{level}: at {level}" for level in levels]


def on_a_terminal(site: Path, *words: str, **more: str) -> str:
    """What the command writes when stdout and stderr are a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reasonrec_core", *words],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment(site, TERM="xterm-256color", **more),
    )
    os.close(follower)
    written = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        written += piece
    process.wait(30)
    os.close(leader)
    return written.decode()


def test_colour_only_on_a_terminal_and_never_with_no_color(site: Path) -> None:
    assert "\x1b[31m" in on_a_terminal(site, "act", "print")
    assert "\x1b[31m" not in on_a_terminal(site, "act", "print", NO_COLOR="1")


def test_progress_bars_are_drawn_on_a_terminal_and_vanish_in_pipes(site: Path) -> None:
    drawn = on_a_terminal(site, "act", "progress")
    assert "fitting [x]" in drawn
    assert "fitting [x] 0:00" in drawn
    done = reasonrec(site, "act", "progress")
    assert (done.stdout, done.stderr) == ("", "")
    assert "fitting" not in on_a_terminal(site, "-q", "act", "progress")


def test_a_reader_that_leaves_is_no_error(site: Path) -> None:
    command = f"{sys.executable} -m reasonrec_core act flood | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment(site))
    assert (done.stdout, done.stderr) == ("line\n", "")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_nothing_half_written(site: Path, tmp_path: Path, sent: int, code: int) -> None:
    out = tmp_path / "result"
    process = subprocess.Popen(
        [sys.executable, "-m", "reasonrec_core", "act", "wait", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(site),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Run the same command again" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = reasonrec(None, "completion", shell, real="reasonrec-doctor")
    assert done.returncode == 0
    assert "_REASONREC_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("reasonrec ev", "ev", {"evaluate"}),
        ("reasonrec a", "a", {"act"}),
        ("reasonrec plugins ", "", {"info", "list", "new"}),
        ("reasonrec plugins new --o", "--o", {"--out"}),
        ("reasonrec plugins new de", "de", {"delegate"}),
    ],
)
def test_completion_completes(site: Path, line: str, word: str, expected: set[str]) -> None:
    done = reasonrec(
        site,
        real="reasonrec-doctor",
        _REASONREC_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(line.split()) - (1 if word else 0)),
    )
    assert {row.partition(",")[2] for row in done.stdout.splitlines()} == expected
    assert done.stderr == ""


def test_completion_keeps_silent_about_broken_plugins(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-broken", "raise RuntimeError")
    done = reasonrec(tmp_path, _REASONREC_COMPLETE="bash_complete", COMP_WORDS="reasonrec r", COMP_CWORD="1")
    assert "plain,run" in done.stdout
    assert done.stderr == ""


def test_a_broken_plugin_is_one_warning_line_in_the_help(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-broken", "raise RuntimeError")
    done = reasonrec(tmp_path, "--help")
    assert done.returncode == 0
    assert done.stderr == (
        "warning: plugin 'main' of reasonrec-broken 0.1.0 is ignored: cannot be imported: RuntimeError\n"
    )
    done = reasonrec(tmp_path, "--help", REASONREC_STRICT_PLUGINS="1")
    assert done.returncode == 2
    assert done.stderr.startswith("error: plugin 'main' of reasonrec-broken")


def test_a_plugins_command_is_imported_when_it_is_called(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-act", COMMAND)
    tmp_path.joinpath("reasonrec_act_impl.py").write_text("import no_such_library")
    assert "Do something." in reasonrec(tmp_path, "--help").stdout
    done = reasonrec(tmp_path, "act", "print")
    assert done.returncode == 2
    assert done.stderr.startswith("error: command 'act' of reasonrec-act")
    assert "no_such_library" in done.stderr


def test_a_plugin_cannot_take_a_verb_of_the_core(tmp_path: Path) -> None:
    install(tmp_path, "reasonrec-evil", {"reasonrec_evil.py": _evil()}, {"main": "reasonrec_evil"})
    done = reasonrec(tmp_path, "--help")
    assert "Evil." not in next(line for line in done.stdout.splitlines() if line.split()[:1] == ["run"])
    assert "reasonrec-core offers the same name" in done.stderr
    rows = json.loads(reasonrec(tmp_path, "-q", "plugins", "--json", real="reasonrec-doctor").stdout)
    assert any(row["name"] == "run" and row["status"].startswith("conflict") for row in rows)


def _evil() -> str:
    return (
        "from reasonrec_core.hookspecs import CommandSpec, hookimpl\n\n@hookimpl\ndef reasonrec_commands():\n"
        '    return [CommandSpec("run", "reasonrec_evil:run", "Evil.")]\n'
    )


def test_a_group_lists_a_command_once_even_after_it_was_used() -> None:
    import click

    from reasonrec_core.cli.main import data_group

    context = click.Context(data_group)
    assert data_group.get_command(context, "describe") is not None
    assert data_group.list_commands(context).count("describe") == 1


def test_a_plugin_adds_a_verb_to_a_group(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-act", COMMAND.replace('"act"', '"data act"'))
    tmp_path.joinpath("reasonrec_act_impl.py").write_text(IMPLEMENTATION)
    assert "Do something." in reasonrec(tmp_path, "data", "--help").stdout
    assert "Do something." not in reasonrec(tmp_path, "--help").stdout
    assert reasonrec(tmp_path, "data", "act", "exit 3").returncode == 3
    done = reasonrec(tmp_path, "data", "atc")
    assert "No such command 'atc'. Did you mean 'act'?" in done.stderr
    tmp_path.joinpath("reasonrec_act_impl.py").write_text("import no_such_library")
    done = reasonrec(tmp_path, "data", "act", "print")
    assert done.stderr.startswith("error: command 'data act' of reasonrec-act: cannot be imported")


def test_a_verb_of_a_group_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    install_module(tmp_path, "reasonrec-act", COMMAND.replace('"act"', '"dat act"'))
    done = reasonrec(tmp_path, "--help")
    assert "there is no group 'dat'. Did you mean 'data'?" in done.stderr


def test_of_an_endless_message_both_ends_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "x" * 300_000 + ".toml"])
    said = capsys.readouterr().err
    assert len(said) < 3000
    assert said.startswith("error: xxx")
    assert " ... " in said
