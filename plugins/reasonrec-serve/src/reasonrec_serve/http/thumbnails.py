"""Pictures of items, made small: by id only, in a few widths, kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from http import HTTPStatus
from io import BytesIO

from PIL import Image

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.images import ImageRefused, open_image
from reasonrec_serve.http.problems import Refused

WIDTHS = (64, 128, 256, 512, 1024)
"""What a wanted width is rounded up to, so that nobody can have a thousand versions made."""
KEPT = 64 * 2**20
"""Bytes of pictures that are kept in memory."""
QUALITY = 85


class Thumbnails:
    """Reads a picture once for each width.

    Args:
        catalog: the items; where their pictures lie is the data's word, so paths that leave its folder are refused.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._size, self._lock = 0, threading.Lock()

    def get(self, item_id: str, width: int) -> bytes:
        """A JPEG that is at most as wide and as high as ``width`` rounded up to one of `WIDTHS`.

        Raises:
            Refused: no such item, or it has no picture that can be shown.
        """
        item = self.catalog.index.get(item_id)
        path, root = (None, None) if item is None else (self.catalog.image_paths[item], self.catalog.image_root(item))
        if item is None or path is None or root is None:
            what = "there is no such item" if item is None else "the item has no picture"
            raise Refused(HTTPStatus.NOT_FOUND, what, where="item", fix="GET /v1/items says which items have one.")
        key = (item, next((w for w in WIDTHS if w >= width), WIDTHS[-1]))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        try:
            made = _shrink(open_image(root, path), key[1])
        except ImageRefused as error:
            raise Refused(HTTPStatus.NOT_FOUND, f"the picture cannot be shown: {error.reason}", where="item") from error
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._size += len(made)
            while self._size > KEPT:
                self._size -= len(self._kept.popitem(last=False)[1])
        return made


def _shrink(image: Image.Image, width: int) -> bytes:
    image.thumbnail((width, width), Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()
