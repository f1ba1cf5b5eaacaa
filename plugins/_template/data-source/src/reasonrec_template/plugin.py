"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_data_sources() -> list[ComponentSpec]:
    """The data source `template`."""
    summary = "SQLite databases with a table of interactions and perhaps one of items"
    return [ComponentSpec("template", "reasonrec_template.source:Template", summary)]
