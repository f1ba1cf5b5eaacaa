"""Pictures that come with data are untrusted: each kind of trouble is refused by name, sound ones open as RGB."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from reasonrec_core.data.images import ImageRefused, open_image
from reasonrec_core.errors import DataError


def picture(width: int = 24, height: int = 16) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


def reason(root: Path, name: str, **options: int) -> str:
    with pytest.raises(ImageRefused) as caught:
        open_image(root, name, **options)
    assert isinstance(caught.value, DataError)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp"])
def test_allowed_formats_open_as_rgb(tmp_path: Path, kind: str) -> None:
    picture().save(tmp_path / f"a.{kind}")
    opened = open_image(tmp_path, f"a.{kind}")
    assert (opened.mode, opened.size) == ("RGB", (24, 16))


def test_png_keeps_its_pixels(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path, "a.png")), np.asarray(picture()))


def test_transparency_is_laid_on_white_and_16_bits_are_scaled(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert open_image(tmp_path, "clear.png").getpixel((3, 3)) == (255, 255, 255)
    Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert open_image(tmp_path, "deep.png").getpixel((3, 3)) == (128, 128, 128)


def test_exif_orientation_turns_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save(tmp_path / "a.jpg", exif=exif)
    assert open_image(tmp_path, "a.jpg").size == (16, 24)


def test_outside_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    picture().save(tmp_path / "secret.png")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    for name in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "a/../../secret.png"):
        assert reason(root, name) == "outside the image folder"


def test_a_link_inside_the_folder_is_fine(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    assert open_image(tmp_path, "b.png").size == (24, 16)


def test_missing_folder_pipe_and_odd_names(tmp_path: Path) -> None:
    assert reason(tmp_path, "none.png") == "no such file"
    assert reason(tmp_path, ".") == "not a file"
    os.mkfifo(tmp_path / "pipe.png")  # reading it would block for ever
    assert reason(tmp_path, "pipe.png") == "not a file"
    assert reason(tmp_path, "a\0b.png") == "not a usable path"
    assert reason(tmp_path, "x" * 5000) == "not a usable path"


def test_wrong_type(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<svg onload='alert(1)'/>")
    picture().save(tmp_path / "b.jpg", format="TIFF")
    (tmp_path / "empty.png").touch()
    for name in ("a.jpg", "b.jpg", "empty.png"):
        assert reason(tmp_path, name).startswith("not an image")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp"])
def test_truncated(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    picture(200, 200).save(buffer, format=kind)
    (tmp_path / "a").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    assert reason(tmp_path, "a") in {"truncated or damaged", "not an image of type JPEG, PNG, WEBP, GIF, BMP"}


def bomb(path: Path, side: int) -> None:
    """A PNG that claims side x side pixels in a few hundred bytes."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    with path.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")):
            stream.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


@pytest.mark.parametrize("side", [8_000, 10_000, 60_000])
def test_bombs_are_refused_before_decoding(tmp_path: Path, side: int) -> None:
    bomb(tmp_path / "bomb.png", side)
    assert reason(tmp_path, "bomb.png") == "too many pixels"


def test_absurd_shape_and_own_limit(tmp_path: Path) -> None:
    Image.new("RGB", (500, 2)).save(tmp_path / "line.png")
    assert reason(tmp_path, "line.png").startswith("longer than")
    picture().save(tmp_path / "a.png")
    assert reason(tmp_path, "a.png", max_pixels=100) == "too many pixels"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_opens_or_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["jpeg", "png", "webp", "gif", "bmp"]))
    buffer = io.BytesIO()
    picture().save(buffer, format=kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(content)
    with contextlib.suppress(ImageRefused):
        assert open_image(tmp_path, "a").mode == "RGB"
