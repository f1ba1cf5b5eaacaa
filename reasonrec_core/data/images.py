"""Item pictures, opened safely: paths and files that come with data are untrusted."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from reasonrec_core.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_ASPECT = 40
"""Longest side over shortest side beyond which a file is taken for a banner, a spacer or an attack."""

_BROKEN = (
    OSError,
    SyntaxError,  # Pillow's word for a malformed PNG
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders were seen to raise on damaged files."""


class ImageRefused(DataError):
    """A picture that was not opened; ``reason`` says why in a few words, fit for counting."""

    @property
    def reason(self) -> str:
        """Why, without the path."""
        return self.what


def open_image(root: Path, relative: str, *, max_pixels: int = 50_000_000) -> Image.Image:
    """Open the picture ``relative`` (as the data names it) inside the folder ``root``.

    Args:
        root: folder that may be read; a path or symbolic link that leaves it is refused.
        relative: path relative to ``root``.
        max_pixels: larger pictures are refused before they are decoded.

    Returns:
        The first frame as RGB, turned as its EXIF data says, transparency laid on white.

    Raises:
        ImageRefused: no such file, outside the folder, not an allowed format, truncated, too large, absurd shape.
    """
    path = resolve_inside(root, relative)
    try:
        with path.open("rb") as stream, _open(stream, relative) as image:
            _check_shape(image, max_pixels, relative)
            image.load()
            return _as_rgb(image)
    except ImageRefused:
        raise
    except PermissionError as error:
        raise ImageRefused("cannot be read (no permission)", where=relative) from error
    except _BROKEN as error:
        raise ImageRefused("truncated or damaged", where=relative) from error


def resolve_inside(root: Path, relative: str) -> Path:
    """The regular file ``relative`` names inside ``root``, links resolved, or `ImageRefused`."""
    try:
        base = root.resolve()
        path = (base / relative).resolve()
        if not path.is_relative_to(base):
            raise ImageRefused("outside the image folder", where=relative)
        if not path.is_file():
            raise ImageRefused("no such file" if not path.exists() else "not a file", where=relative)
    except (OSError, ValueError, RuntimeError) as error:  # NUL bytes, names too long, loops of links
        raise ImageRefused("not a usable path", where=relative) from error
    return path


def _open(stream: object, relative: str) -> Image.Image:
    try:
        # Pillow only warns between its soft and hard limit; ours is checked right after, so the warning says nothing.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(stream, formats=FORMATS)  # type: ignore[arg-type]
    except Image.DecompressionBombError as error:
        raise ImageRefused("too many pixels", where=relative) from error
    except UnidentifiedImageError as error:
        raise ImageRefused(f"not an image of type {', '.join(FORMATS)}", where=relative) from error


def _check_shape(image: Image.Image, max_pixels: int, relative: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageRefused("no pixels", where=relative)
    if width * height > max_pixels:
        raise ImageRefused("too many pixels", where=relative)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageRefused(f"longer than {MAX_ASPECT} times its width", where=relative)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits per pixel; Pillow would clip instead of scaling
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return _turned(image).convert("RGB")


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        # Damaged EXIF data is common and the picture is sound, so it is used as it lies.
        return image
