"""Item pictures as small data URIs, so that the report is one file that needs no other."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from reasonrec_core.data.images import ImageRefused, open_image

BOX = (120, 168)
"""Width and height in pixels that a thumbnail fits into: twice its size on the page, for fine screens."""
QUALITY = 72
BUDGET = 2_400_000
"""Bytes that all pictures of a report may take as text."""


class Pictures:
    """Thumbnails of a folder of images. Each is made once; what cannot be shown is counted, not hidden.

    Args:
        root: the images folder, None where the data has no images.
        budget: bytes that the data URIs may take together, each time that one is used.
    """

    def __init__(self, root: Path | None, budget: int = BUDGET) -> None:
        self.root, self.left = root, budget
        self.refused: dict[str, str] = {}
        self.left_out = 0
        self._made: dict[str, str | None] = {}

    def __call__(self, relative: str | None) -> str | None:
        """The thumbnail as a data URI, None where there is no picture, no room for it, or it was refused."""
        if relative is None or self.root is None:
            return None
        if relative not in self._made:
            self._made[relative] = self._make(self.root, relative)
        uri = self._made[relative]
        if uri is None:
            return None
        if len(uri) > self.left:
            self.left_out += 1
            return None
        self.left -= len(uri)
        return uri

    def _make(self, root: Path, relative: str) -> str | None:
        try:
            image = open_image(root, relative)
        except ImageRefused as error:
            self.refused[relative] = error.reason
            return None
        image.thumbnail(BOX, Image.Resampling.LANCZOS)
        sink = io.BytesIO()
        image.save(sink, "WEBP", quality=QUALITY, method=4)
        return f"data:image/webp;base64,{base64.b64encode(sink.getvalue()).decode('ascii')}"
