"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_encoders() -> list[ComponentSpec]:
    """CLIP as it comes, and CLIP made from two towers and tuned on the user's items."""
    return [
        ComponentSpec(
            "clip",
            "reasonrec_clip.encoder:ClipEncoder",
            "Item images or text through any pretrained CLIP of open_clip",
        ),
        ComponentSpec(
            "clip-catalogue",
            "reasonrec_clip.catalogue:CatalogueClip",
            "Brings image and text encoders into one space, using your own items",
        ),
    ]
