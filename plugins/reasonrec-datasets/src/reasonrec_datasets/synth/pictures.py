"""Product pictures: a patterned thing of its category's outline, on a light ground with a soft shadow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from reasonrec_datasets.synth.patterns import paint
from reasonrec_datasets.synth.vocabulary import CATEGORIES, PALETTES

Colour = tuple[int, int, int]
COLOURS: Mapping[str, tuple[Colour, Colour, Colour]] = {
    "coral": ((255, 214, 196), (233, 84, 62), (158, 30, 30)),
    "azure": ((205, 226, 246), (38, 98, 178), (14, 40, 96)),
    "emerald": ((219, 233, 206), (52, 122, 62), (20, 62, 34)),
    "mustard": ((253, 240, 190), (226, 170, 26), (142, 92, 8)),
    "violet": ((231, 217, 246), (122, 66, 172), (66, 24, 110)),
    "charcoal": ((240, 240, 240), (52, 52, 56), (128, 128, 132)),
    "rose": ((253, 222, 233), (230, 92, 148), (160, 28, 92)),
    "teal": ((206, 242, 238), (24, 158, 152), (6, 88, 92)),
}
"""Ground, second colour and accent of each palette."""
assert tuple(COLOURS) == PALETTES


def draw_item(category: str, pattern: str, palette: str, *, size: int, rng: np.random.Generator) -> Image.Image:
    """RGB picture, ``size`` pixels wide and high."""
    large = 2 * size  # drawn at twice the size, so that edges come out smooth
    ground, second, accent = (_shifted(colour, rng) for colour in COLOURS[palette])
    colours = np.array([ground, second, accent], np.uint8)
    cloth = Image.fromarray(colours[paint(pattern, large, rng)])
    outline, extra = OUTLINES[category](large, second)
    cloth = ImageChops.multiply(cloth, _shade(large))
    scene = Image.new("RGB", (large, large), _backdrop(second))
    shape = ImageChops.lighter(outline, extra.getchannel("A"))
    scene.paste(_backdrop(second, 0.55), (0, large // 40), shape.filter(ImageFilter.BoxBlur(large / 60)))
    scene.paste(extra.convert("RGB"), (0, 0), extra.getchannel("A"))
    scene.paste(cloth, (0, 0), outline)
    return scene.resize((size, size), Image.Resampling.BOX)


def _shifted(colour: Colour, rng: np.random.Generator) -> Colour:
    """A slightly different tone: no two items are the same."""
    r, g, b = (int(np.clip(c + d, 0, 255)) for c, d in zip(colour, rng.integers(-10, 11, 3), strict=True))
    return r, g, b


def _backdrop(colour: Colour, light: float = 0.72) -> Colour:
    """A studio wall in a pale tone of the product's colour."""
    r, g, b = (int(255 * light + c * (1 - light)) for c in colour)
    return r, g, b


@cache
def _shade(size: int) -> Image.Image:
    """Light from the upper left, as a picture to multiply with."""
    axis = np.linspace(0, 1, size, dtype=np.float32)
    light = 255 - 34 * (0.6 * axis[None, :] + 0.4 * axis[:, None])
    return Image.fromarray(light.astype(np.uint8)).convert("RGB")


def _blank(size: int) -> tuple[Image.Image, Image.Image]:
    """A mask for the patterned part, a layer for the plain parts."""
    return Image.new("L", (size, size), 0), Image.new("RGBA", (size, size), (0, 0, 0, 0))


def _box(size: int, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
    return left * size, top * size, right * size, bottom * size


def _points(size: int, *points: tuple[float, float]) -> list[tuple[float, float]]:
    return [(x * size, y * size) for x, y in points]


Outline = tuple[Image.Image, Image.Image]


def cushion(size: int, colour: Colour) -> Outline:
    """A square with bulging sides."""
    mask, extra = _blank(size)
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.32
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.32
    ImageDraw.Draw(mask).polygon(_points(size, *zip(0.5 + 0.43 * x, 0.5 + 0.41 * y, strict=True)), fill=255)
    return mask, extra


def plate(size: int, colour: Colour) -> Outline:
    """A disc in a white rim."""
    mask, extra = _blank(size)
    ImageDraw.Draw(extra).ellipse(_box(size, 0.04, 0.04, 0.96, 0.96), fill=(252, 252, 250, 255))
    ImageDraw.Draw(mask).ellipse(_box(size, 0.1, 0.1, 0.9, 0.9), fill=255)
    return mask, extra


def poster(size: int, colour: Colour) -> Outline:
    """An upright sheet with a white mat in a dark frame."""
    mask, extra = _blank(size)
    draw = ImageDraw.Draw(extra)
    draw.rectangle(_box(size, 0.12, 0.03, 0.88, 0.97), fill=(60, 52, 46, 255))
    draw.rectangle(_box(size, 0.14, 0.05, 0.86, 0.95), fill=(253, 252, 249, 255))
    ImageDraw.Draw(mask).rectangle(_box(size, 0.18, 0.09, 0.82, 0.91), fill=255)
    return mask, extra


def tote_bag(size: int, colour: Colour) -> Outline:
    """A cloth bag with two handles."""
    mask, extra = _blank(size)
    ImageDraw.Draw(extra).arc(_box(size, 0.32, 0.02, 0.68, 0.5), 180, 360, fill=(*colour, 255), width=size // 24)
    ImageDraw.Draw(mask).polygon(_points(size, (0.14, 0.25), (0.86, 0.25), (0.91, 0.96), (0.09, 0.96)), fill=255)
    return mask, extra


def mug(size: int, colour: Colour) -> Outline:
    """A cup with a handle at the right."""
    mask, extra = _blank(size)
    ImageDraw.Draw(extra).ellipse(_box(size, 0.62, 0.3, 0.97, 0.72), outline=(*colour, 255), width=size // 16)
    ImageDraw.Draw(mask).rounded_rectangle(_box(size, 0.08, 0.12, 0.8, 0.92), radius=size * 0.08, fill=255)
    return mask, extra


def vase(size: int, colour: Colour) -> Outline:
    """A belly between a foot and a neck."""
    mask, extra = _blank(size)
    high = np.linspace(0, 1, 80)
    half = 0.16 + 0.3 * np.sin(np.pi * np.clip(high * 1.18 - 0.18, 0, 1)) ** 0.8 + 0.08 * np.exp(-high * 22)
    left = list(zip(0.5 - half, 0.04 + 0.92 * high, strict=True))
    right = list(zip(0.5 + half[::-1], 0.96 - 0.92 * high, strict=True))
    ImageDraw.Draw(mask).polygon(_points(size, *left, *right), fill=255)
    return mask, extra


def lampshade(size: int, colour: Colour) -> Outline:
    """A shade on a stand."""
    mask, extra = _blank(size)
    draw = ImageDraw.Draw(extra)
    draw.rectangle(_box(size, 0.475, 0.7, 0.525, 0.95), fill=(96, 84, 72, 255))
    draw.rounded_rectangle(_box(size, 0.34, 0.92, 0.66, 0.97), radius=size * 0.02, fill=(96, 84, 72, 255))
    ImageDraw.Draw(mask).polygon(_points(size, (0.24, 0.05), (0.76, 0.05), (0.95, 0.76), (0.05, 0.76)), fill=255)
    return mask, extra


def notebook(size: int, colour: Colour) -> Outline:
    """A cover with a plain spine."""
    mask, extra = _blank(size)
    draw = ImageDraw.Draw(extra)
    draw.rectangle(_box(size, 0.16, 0.07, 0.89, 0.95), fill=(250, 248, 242, 255))
    draw.rectangle(_box(size, 0.11, 0.05, 0.2, 0.93), fill=(*colour, 255))
    ImageDraw.Draw(mask).rectangle(_box(size, 0.2, 0.05, 0.86, 0.93), fill=255)
    return mask, extra


OUTLINES: Mapping[str, Callable[[int, Colour], Outline]] = dict(
    zip(CATEGORIES, (cushion, plate, poster, tote_bag, mug, vase, lampshade, notebook), strict=True)
)
