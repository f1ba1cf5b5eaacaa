"""The command line's entry: the root group, exit codes, and what an error looks like.

Exit codes: 0 done; 1 a defect of ours; 2 a cause in the user's input or surroundings; 130 interrupted,
143 terminated.
Nothing on the path of ``reasonrec --help`` imports numpy, pydantic or rich: commands are names until called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from reasonrec_core import __version__
from reasonrec_core.cli.lazy import LazyGroup
from reasonrec_core.cli.options import common_options, set_up_logging, terminal
from reasonrec_core.cli.text import plain
from reasonrec_core.errors import PluginError, ReasonRecError
from reasonrec_core.verbs import VERBS

COMPLETE = "_REASONREC_COMPLETE"
"""The variable through which a shell asks for completions."""


class Root(LazyGroup):
    """The verbs of the core, then those of plugins."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse a command line from a fresh start."""
        terminal.reset()
        return super().make_context(*args, **kwargs)

    def table(self) -> Mapping[str, tuple[str, str]]:
        """The core's verbs and, looked for now, the plugins'."""
        from reasonrec_core.plugins import discovered, installed

        completing = COMPLETE in os.environ
        if discovered().faults and not completing:
            set_up_logging()
        found = discovered() if completing else installed()
        self._owners = {command.spec.name: command.distribution for command in found.commands}
        others = {c.spec.name: (c.spec.target, c.spec.summary) for c in found.commands if c.spec.name not in VERBS}
        return {**VERBS, **others}

    def load(self, name: str, target: str) -> click.Command:
        """Import a verb; if a plugin's cannot be imported, say whose it is."""
        if name in VERBS:
            return super().load(name, target)
        owner = self._owners[name]
        try:
            return super().load(name, target)
        except PluginError as error:
            raise PluginError(error.what, where=f"command {name!r} of {owner}") from error
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"cannot be imported ({type(error).__name__}: {error})", where=f"command {name!r} of {owner}"
            ) from error


@click.group(
    cls=Root,
    commands_table=VERBS,
    params=common_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: reasonrec data fetch ml-100k; then: reasonrec run PIPELINE.toml",
)
@click.version_option(__version__, "-V", "--version", message="reasonrec %(version)s")
def cli() -> None:
    """Recommenders that observe, deliberate, know how sure they are, and act within a budget."""
    set_up_logging()


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
    try:
        with cli.make_context("reasonrec", args) as context:
            _heed_termination()
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort) as error:
        _say("interrupted: nothing half-written is left. Run the same command again to go on where it stopped.")
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
        _say(f"internal error: {text}. This is a defect of reasonrec: please report it{hint}.")
        return 1
    return 0


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
    click.echo(plain(message), err=True)
