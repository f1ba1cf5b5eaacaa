"""What encoders read: texts and pictures, each under a key that is the hash of its content."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from reasonrec_core.components import ItemInput
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.images import ImageRefused, open_image, resolve_inside

Keys = npt.NDArray[np.bytes_]
"""S32[n]: hexadecimal content hashes; empty where there is nothing to encode."""

MAX_BYTES = 256 * 2**20
"""Larger image files are refused unread."""
SHORT_SIDE = 1024
"""Pictures are halved (box filter) while their short side stays above this, so that a batch fits in memory."""
READERS = 4


@dataclass(frozen=True, slots=True)
class RefusedImage:
    """An image that the data names and that was not used.

    Attributes:
        item: dense item index.
        path: as the data gives it, relative to the image folder.
        reason: why, in a few words that can be counted.
    """

    item: int
    path: str
    reason: str


@dataclass(frozen=True)
class TextInputs:
    """Texts by item, None where an item has none."""

    texts: Sequence[str | None]
    missing = "text"

    @cached_property
    def keys(self) -> Keys:
        """S32[n_items]."""
        return np.array([b"" if t is None else _digest(t.encode("utf-8", "replace")) for t in self.texts], dtype="S32")

    def load(self, item: int) -> str:
        """The text of one item."""
        return self.texts[item] or ""

    def size(self, item: int) -> int:
        """Characters."""
        return len(self.texts[item] or "")


class ImageInputs:
    """Pictures by item; paths come from the data and are not trusted."""

    missing = "an image"

    def __init__(self, catalog: Catalog) -> None:
        self.paths = catalog.image_paths
        self.root = catalog.image_root
        self.refused: list[RefusedImage] = []
        with ThreadPoolExecutor(READERS) as pool:
            found = list(pool.map(self._key, range(len(self.paths))))
        for item, (path, key) in enumerate(zip(self.paths, found, strict=True)):
            if isinstance(key, ImageRefused):
                self.refused.append(RefusedImage(item, path or "", key.reason))
        self.keys: Keys = np.array([k if isinstance(k, bytes) else b"" for k in found], dtype="S32")

    def _key(self, item: int) -> bytes | ImageRefused:
        path = self.paths[item]
        if path is None:
            return b""
        try:
            file = resolve_inside(self._folder(item, path), path)
            if file.stat().st_size > MAX_BYTES:
                return ImageRefused(f"a file of more than {MAX_BYTES // 2**20} MiB", where=path)
            with file.open("rb") as stream:
                return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest().encode()
        except ImageRefused as refusal:
            return refusal
        except OSError as error:
            return ImageRefused(f"cannot be read ({error.strerror or 'error'})", where=path)

    def _folder(self, item: int, path: str | None) -> Path:
        root = self.root(item)
        if root is None:
            raise ImageRefused("the catalogue has no image folder", where=path)
        return root

    def load(self, item: int) -> Image.Image:
        """RGB; very large pictures come halved until their short side is below twice `SHORT_SIDE`."""
        path = self.paths[item]
        if path is None:
            raise ImageRefused("the catalogue names no image", where=path)
        image = open_image(self._folder(item, path), path)
        factor = min(image.size) // SHORT_SIDE
        return image.reduce(2 ** (factor.bit_length() - 1)) if factor >= 2 else image

    def size(self, item: int) -> int:
        """All pictures take about as long."""
        return 1


@dataclass(frozen=True)
class ItemInputs:
    """Picture and text by item; an item has something to encode if it has one of them.

    A picture that cannot be opened leaves the text; an item without a text is then refused.
    """

    images: ImageInputs
    texts: TextInputs
    missing = "text or an image"

    @cached_property
    def keys(self) -> Keys:
        """S32[n_items]."""
        pairs = zip(self.images.keys, self.texts.keys, strict=True)
        return np.array([_digest(i + b"," + t) if i or t else b"" for i, t in pairs], dtype="S32")

    def load(self, item: int) -> ItemInput:
        """What one item has."""
        text, image = self.texts.texts[item], None
        if self.images.keys[item]:
            try:
                image = self.images.load(item)
            except ImageRefused:
                if text is None:
                    raise
        return ItemInput(image, text)

    def size(self, item: int) -> int:
        """Characters; a picture counts as much as a long text."""
        return self.texts.size(item) + 4000 * bool(self.images.keys[item])


def load_batches(
    load: Callable[[int], Any], items: Sequence[int], size: int, *, threads: int = 2, ahead: int = 2
) -> Iterator[tuple[Sequence[int], list[Any]]]:
    """Batches of loaded inputs, in order, read by ``threads`` while the encoder is at work on earlier ones.

    An input that was refused stands in its place as the `ImageRefused`.
    """
    starts = iter(range(0, len(items), size))
    queue: deque[tuple[Sequence[int], list[Future[Any]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                while len(queue) <= ahead and (start := next(starts, None)) is not None:
                    batch = items[start : start + size]
                    queue.append((batch, [pool.submit(_load, load, item) for item in batch]))
                if not queue:
                    return
                batch, futures = queue.popleft()
                yield batch, [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _load(load: Callable[[int], Any], item: int) -> Any:
    try:
        return load(item)
    except ImageRefused as refusal:
        return refusal


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()
