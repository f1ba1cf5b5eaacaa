"""The command line's entry: the root group, exit codes, and what an error looks like.

Exit codes: 0 done; 1 a defect of ours; 2 a cause in the user's input or surroundings; 3 a run that fails a check of
``[report.checks]``; 130 interrupted, 143 terminated.
Nothing on the path of ``reasonrec --help`` imports numpy, pydantic or rich: commands are names until called.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from reasonrec_core import __version__
from reasonrec_core.cli import FIRST, VERBS
from reasonrec_core.cli.options import common_options, plain, set_up_logging, terminal, with_common_options
from reasonrec_core.errors import PluginError, ReasonRecError, did_you_mean

COMPLETE = "_REASONREC_COMPLETE"
"""The variable through which a shell asks for completions."""
LONGEST = 2000


class LazyGroup(click.Group):
    """A group whose commands are names until one is called, so that ``--help`` imports none of them.

    Plugins add to it: a `CommandSpec` called "data fetch" becomes the verb ``fetch`` of the group ``data``.

    Args:
        commands_table: ``{name: ("package.module:attribute", "one line for --help")}``.
        group: its name as plugins write it before their verb's; "" for the root.
    """

    def __init__(
        self, *args: Any, commands_table: Mapping[str, tuple[str, str]] | None = None, group: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.commands_table = dict(commands_table or {})
        self.prefix = group
        self._owners: dict[str, str] = {}

    def table(self) -> Mapping[str, tuple[str, str]]:
        """The group's own commands and, looked for now, the plugins'; the verbs that everybody needs come first."""
        from reasonrec_core.plugins import discovered, installed

        completing = COMPLETE in os.environ
        if discovered().faults and not completing:
            set_up_logging()
        added: dict[str, tuple[str, str]] = {}
        found = discovered() if completing else installed()
        offers = [(command.spec.name, command) for command in found.commands]
        offers += [(command.qualified, command) for command in found.rival_commands if command not in found.commands]
        for path, command in offers:
            group, _, name = path.rpartition(" ")
            if group == self.prefix and name not in self.commands_table:
                added[name] = (command.spec.target, command.spec.summary)
                self._owners[name] = command.distribution
        every = {**self.commands_table, **added}
        return {name: every[name] for name in (*(name for name in FIRST if name in every), *every)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The table's order."""
        return [*self.table()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.commands:
            entry = self.commands_table.get(cmd_name) or self.table().get(cmd_name)
            if entry is None:
                return None
            self.commands[cmd_name] = self.load(cmd_name, entry[0])
        return self.commands[cmd_name]

    def load(self, name: str, target: str) -> click.Command:
        """Import the command behind ``package.module:attribute``; if a plugin's cannot be imported, say whose it is."""
        from importlib import import_module

        owner = self._owners.get(name)
        at = f"command {f'{self.prefix} {name}'.lstrip()!r}" + (f" of {owner}" if owner else "")
        module, _, attribute = target.partition(":")
        try:
            command = getattr(import_module(module), attribute, None)
        except (Exception, SystemExit) as error:
            if owner is None:
                raise
            raise PluginError(f"cannot be imported ({type(error).__name__}: {error})", where=at) from error
        if not isinstance(command, click.Command):
            raise PluginError(f"{target} is not a click command", where=at)
        return with_common_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is a usage error that names the nearest."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command {name!r}. {self._hint(name) or did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def _hint(self, name: str) -> str:
        from reasonrec_core.plugins import official

        rivals = [known for known in self._owners if known.endswith(f":{name}")]
        if rivals:
            return f"{len(rivals)} distributions offer it: write {' or '.join(rivals)}."
        owner = official(f"command {self.prefix} {name}" if self.prefix else f"command {name}")
        return f"It comes with {owner}: pip install {owner}." if owner else ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table's help lines; nothing is imported."""
        rows = [(name, line) for name, (_, line) in self.table().items()]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Names and help lines from the table, without importing the commands."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(n, help=line) for n, (_, line) in self.table().items() if n.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


class Root(LazyGroup):
    """The verbs of the core, then those of plugins."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse a command line from a fresh start."""
        terminal.reset()
        return super().make_context(*args, **kwargs)


@click.group(
    cls=Root,
    commands_table=VERBS,
    params=common_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with your data: reasonrec quickstart PATH",
)
@click.version_option(__version__, "-V", "--version", message="reasonrec %(version)s")
def cli() -> None:
    """Recommenders that observe, deliberate, know how sure they are, and act within a budget."""
    set_up_logging()


data_group = LazyGroup(
    name="data",
    group="data",
    commands_table={},
    no_args_is_help=True,
    help="""Import, describe, split, check, download or generate data.

    \b
    Examples:
      reasonrec data fetch ml-100k --out data/ml-100k
      reasonrec data import data/ml-100k --out sets/ml-100k
      reasonrec data describe sets/ml-100k
    """,
)
trace_group = LazyGroup(
    name="trace",
    group="trace",
    commands_table={},
    no_args_is_help=True,
    help="""Read the decisions of a run, summarise them, or replay them with another budget or router.

    \b
    Examples:
      reasonrec trace show runs/movielens --route replace
      reasonrec trace stats runs/movielens
      reasonrec trace replay runs/movielens --share 0.5
    """,
)


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def _heed_termination() -> None:
    """Let the stop of a service manager or a cluster tidy up like Ctrl-C."""
    import signal

    def stop(signum: int, frame: object) -> NoReturn:
        raise _Terminated

    signal.signal(signal.SIGTERM, stop)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    if COMPLETE in os.environ:
        _complete()
    sys.exit(_exit_code(list(sys.argv[1:] if args is None else args)))


def _complete() -> None:
    """Answer the shell; a message would end up in the user's line, so there is none."""
    try:
        cli.main(prog_name="reasonrec", complete_var=COMPLETE)
    except ReasonRecError:
        sys.exit(1)


def _exit_code(args: list[str]) -> int:
    _hush_libraries()
    try:
        with cli.make_context("reasonrec", args) as context:
            _heed_termination()
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        _say(f"error: {error.format_message()}")
        if isinstance(error, click.UsageError) and error.ctx is not None:
            _say(f"{error.ctx.get_usage()}\nFor help: {error.ctx.command_path} -h")
        return 2
    except (KeyboardInterrupt, click.Abort) as error:
        _say("interrupted: no half-written files are left. Run the same command again to continue.")
        return 143 if isinstance(error, _Terminated) else 130
    except BrokenPipeError:
        # Whoever read our output has gone; keep the interpreter from complaining when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ReasonRecError, OSError, MemoryError) as error:
        _traceback()
        _say(f"error: {_in_words(error)}")
        return 2
    except Exception as error:  # noqa: BLE001 - the last line of defence: a message instead of a traceback
        _traceback()
        hint = "" if terminal.debug else " (--debug shows where)"
        text = " ".join(f"{type(error).__name__}: {error}".split())
        _say(f"internal error: {text}. This is a bug in reasonrec: please report it{hint}.")
        return 1
    return 0


def _hush_libraries() -> None:
    """Bars and warnings of libraries are theirs, not ours, unless these variables or ``python -W`` say otherwise."""
    for each in ("TQDM_DISABLE=1", "HF_HUB_DISABLE_PROGRESS_BARS=1", "TRANSFORMERS_VERBOSITY=error"):
        os.environ.setdefault(*each.split("="))
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _in_words(error: BaseException) -> str:
    if isinstance(error, ReasonRecError):
        return error.message
    if isinstance(error, MemoryError):
        return f"not enough memory. {error}".rstrip()
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    return str(error)


def _traceback() -> None:
    if terminal.debug:
        import traceback

        traceback.print_exc()


def _say(message: str) -> None:
    """Print a message; of one that quotes what nobody reads (a name of 100,000 letters) both ends."""
    click.echo(plain(message if len(message) <= LONGEST else f"{message[:1200]} ... {message[-600:]}"), err=True)
