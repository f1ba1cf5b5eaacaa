"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_encoders() -> list[ComponentSpec]:
    """The encoder that reads vectors."""
    return [
        ComponentSpec(
            "precomputed",
            "reasonrec_precomputed.encoder:Precomputed",
            "Item vectors made elsewhere: .npy, .npz or Parquet, with item ids beside them (MMRec's folders too)",
        )
    ]
