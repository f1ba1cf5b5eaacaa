"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The click models, and what weighs several of them."""
    blend = "Click probability by several click delegates of the pipeline, weighed on validation"
    return [
        ComponentSpec("click-blend", "reasonrec_fields.blend:ClickBlend", blend, ("ctr",)),
        *_networks(),
    ]


def _networks() -> list[ComponentSpec]:
    return [
        ComponentSpec(name, f"reasonrec_fields.delegates:{model}", summary, ("ctr",))
        for name, model, summary in (
            ("xdeepfm", "XDeepFM", "Click probability by a compressed interaction network over fields"),
            ("dcnv2", "DCNv2", "Click probability by cross layers over fields"),
        )
    ]
