"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The click models."""
    return [
        ComponentSpec(name, f"reasonrec_fields.delegates:{model}", summary, ("ctr",))
        for name, model, summary in (
            ("xdeepfm", "XDeepFM", "Click probability by a compressed interaction network over fields"),
            ("dcnv2", "DCNv2", "Click probability by cross layers over fields"),
        )
    ]
