"""Item pictures as small data URIs, so that the report is one file that needs no other."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from reasonrec_core.data.images import ImageRefused, open_image

BOX = (160, 224)
"""Width and height in pixels that a thumbnail fits into: more than its size on the page, for fine screens."""
QUALITY = 72
BUDGET = 2_400_000
"""Bytes that all pictures of a report may take as text."""


@dataclass(frozen=True)
class Picture:
    """A thumbnail: the name by which the page refers to it, its size in pixels, and itself as a data URI."""

    name: str
    width: int
    height: int
    uri: str


class Pictures:
    """Thumbnails of a folder of images, each made once and held once. What cannot be shown is counted, not hidden.

    Args:
        root: the images folder, None where the data has no images.
        budget: bytes that the data URIs may take together.
    """

    def __init__(self, root: Path | None, budget: int = BUDGET) -> None:
        self.root, self.left = root, budget
        self.refused: dict[str, str] = {}
        self.left_out = 0
        self._made: dict[str, Picture | None] = {}

    def __call__(self, relative: str | None) -> Picture | None:
        """The thumbnail, None where there is no picture, no room for it, or it was refused."""
        if relative is None or self.root is None:
            return None
        if relative not in self._made:
            made = self._make(self.root, relative)
            if made is not None and len(made.uri) > self.left:
                self.left_out, made = self.left_out + 1, None
            self.left -= len(made.uri) if made else 0
            self._made[relative] = made
        return self._made[relative]

    @property
    def used(self) -> tuple[Picture, ...]:
        """All that were given, in the order of their first use."""
        return tuple(each for each in self._made.values() if each is not None)

    def _make(self, root: Path, relative: str) -> Picture | None:
        try:
            image = open_image(root, relative)
        except ImageRefused as error:
            self.refused[relative] = error.reason
            return None
        image.thumbnail(BOX, Image.Resampling.LANCZOS)
        sink = io.BytesIO()
        image.save(sink, "WEBP", quality=QUALITY, method=4)
        uri = f"data:image/webp;base64,{base64.b64encode(sink.getvalue()).decode('ascii')}"
        return Picture(f"picture-{len(self._made)}", *image.size, uri)
