"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_splitters() -> list[ComponentSpec]:
    """The splitter `template`."""
    return [ComponentSpec("template", "reasonrec_template.splitter:Template", "per user: the last few interactions")]
