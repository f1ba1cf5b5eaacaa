"""``reasonrec completion``: what a shell evaluates to complete the command line."""

from __future__ import annotations

import click

from reasonrec_core.cli.main import cli

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    Examples:
      bash:  echo 'eval "$(reasonrec completion bash)"' >> ~/.bashrc
      zsh:   echo 'eval "$(reasonrec completion zsh)"' >> ~/.zshrc
      fish:  reasonrec completion fish > ~/.config/fish/completions/reasonrec.fish
    """
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(cli, {}, "reasonrec", "_REASONREC_COMPLETE").source())
