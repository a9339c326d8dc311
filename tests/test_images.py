from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary.errors import ImageError
from ostiary.images import check_image, read_image


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises many pixels and holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (5, 9, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def smooth() -> Image.Image:
    """A picture that lossy formats keep to a few grey levels."""
    rows, columns = np.mgrid[0:32, 0:48]
    return Image.fromarray(np.stack([rows * 8, columns * 5, 255 - rows * 4], axis=-1).astype(np.uint8))


class TestFormats:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA"])
    def test_a_lossless_file_comes_back_to_the_bit(self, rgb: np.ndarray, kind: str) -> None:
        image = read_image(encoded(Image.fromarray(rgb), kind))
        assert image.dtype == np.uint8
        assert np.array_equal(image, rgb)

    def test_path_string_and_bytes_give_the_same(self, rgb: np.ndarray, tmp_path: Path) -> None:
        path = tmp_path / "ä b.png"
        path.write_bytes(encoded(Image.fromarray(rgb), "PNG"))
        for source in (path, str(path), path.read_bytes()):
            assert np.array_equal(read_image(source), rgb)

    def test_the_array_may_be_written_to(self, rgb: np.ndarray) -> None:
        assert read_image(encoded(Image.fromarray(rgb), "PNG")).flags.writeable

    @pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1)])
    def test_one_pixel_and_thin_pictures_are_pictures(self, shape: tuple[int, int]) -> None:
        assert read_image(encoded(Image.new("RGB", shape[::-1]), "PNG")).shape == (*shape, 3)

    @pytest.mark.parametrize("mode", ["L", "1"])
    def test_grey_becomes_three_equal_channels(self, mode: str) -> None:
        grey = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert(mode)
        image = read_image(encoded(grey, "PNG"))
        assert np.array_equal(image, np.array([[[0] * 3, [255] * 3], [[255] * 3, [0] * 3]]))

    def test_palette(self, smooth: Image.Image) -> None:
        palette = smooth.quantize(16)
        assert np.array_equal(read_image(encoded(palette, "PNG")), np.asarray(palette.convert("RGB")))

    @pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
    def test_cmyk_is_not_shown_inverted(self, smooth: Image.Image, kind: str) -> None:
        image = read_image(encoded(smooth.convert("CMYK"), kind))
        assert np.abs(image.astype(int) - np.asarray(smooth)).mean() < 4

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
    def test_an_animation_gives_its_first_frame(self, kind: str) -> None:
        frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        assert np.abs(read_image(data).astype(int) - [255, 0, 0]).max() <= 2

    def test_a_burst_gives_its_first_picture(self, smooth: Image.Image) -> None:
        data = encoded(smooth, "MPO", save_all=True, append_images=[Image.new("RGB", smooth.size)])
        assert np.abs(read_image(data).astype(int) - np.asarray(smooth)).mean() < 4


class TestTransparency:
    def test_transparent_parts_are_white_and_opaque_ones_stay(self) -> None:
        rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
        image = read_image(encoded(Image.fromarray(rgba), "PNG"))
        assert image.tolist() == [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]

    def test_grey_with_alpha(self) -> None:
        grey = Image.merge("LA", [Image.new("L", (2, 2), 40), Image.new("L", (2, 2), 0)])
        assert (read_image(encoded(grey, "PNG")) == 255).all()

    @pytest.mark.parametrize("mode", ["P", "L", "RGB"])
    def test_a_transparent_colour(self, mode: str) -> None:
        picture = Image.new("RGB", (2, 1), "black")
        picture.putpixel((1, 0), (255, 0, 0))
        picture = picture.convert("L") if mode == "L" else picture
        picture = picture.quantize(2) if mode == "P" else picture
        black = picture.getpixel((0, 0))
        image = read_image(encoded(picture, "PNG", transparency=black))
        assert image[0, 0].tolist() == [255, 255, 255]
        assert image[0, 1].tolist() == ([76] * 3 if mode == "L" else [255, 0, 0])


class TestDeepGrey:
    def test_sixteen_bits_are_scaled_not_clipped(self) -> None:
        levels = np.array([[0, 257, 32896, 65535]], np.uint16)
        image = read_image(encoded(Image.fromarray(levels), "PNG"))
        assert image[0, :, 0].tolist() == [0, 1, 128, 255]

    def test_a_dark_sixteen_bit_picture_stays_dark(self) -> None:
        assert read_image(encoded(Image.fromarray(np.full((2, 2), 200, np.uint16)), "PNG")).max() == 1

    def test_big_endian_sixteen_bits(self) -> None:
        swapped = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 257, 65535))
        assert read_image(encoded(swapped, "TIFF"))[0, :, 1].tolist() == [1, 255]

    @pytest.mark.parametrize(
        ("levels", "seen"),
        [
            (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
            (np.array([[0, 25700, 65535]], np.int32), [0, 100, 255]),
            (np.array([[0, 500_000, 1_000_000]], np.int32), [0, 128, 255]),
            (np.array([[-10, 0, 10]], np.int32), [0, 128, 255]),
            (np.array([[0, 0.4, 1]], np.float32), [0, 102, 255]),
            (np.array([[0, 100.2, 255]], np.float32), [0, 100, 255]),
            (np.array([[-1, 0, 1]], np.float32), [0, 128, 255]),
            (np.array([[np.nan, np.inf, 1]], np.float32), [0, 0, 255]),
            (np.zeros((1, 3), np.float32), [0, 0, 0]),
        ],
    )
    def test_thirty_two_bits_fill_the_grey_scale(self, levels: np.ndarray, seen: list[int]) -> None:
        assert read_image(encoded(Image.fromarray(levels), "TIFF"))[0, :, 2].tolist() == seen


class TestOrientation:
    TURNED = {  # noqa: RUF012
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.swapaxes(0, 1),
        6: lambda image: np.rot90(image),
        7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
        8: lambda image: np.rot90(image, -1),
    }
    """How a camera that writes this orientation stored the upright picture."""

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_all_eight_come_out_upright(self, rgb: np.ndarray, orientation: int, kind: str) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = Image.fromarray(np.ascontiguousarray(self.TURNED[orientation](rgb)))
        assert np.array_equal(read_image(encoded(stored, kind, exif=exif)), rgb)

    @pytest.mark.parametrize("orientation", range(2, 9))
    def test_jpeg(self, smooth: Image.Image, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = Image.fromarray(np.ascontiguousarray(self.TURNED[orientation](np.asarray(smooth))))
        image = read_image(encoded(stored, "JPEG", exif=exif))
        assert np.abs(image.astype(int) - np.asarray(smooth)).mean() < 4

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    @pytest.mark.parametrize("notes", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b""])
    def test_damaged_notes_do_not_cost_the_picture(self, smooth: Image.Image, notes: bytes) -> None:
        assert read_image(encoded(smooth, "JPEG", exif=notes)).shape == (32, 48, 3)

    def test_an_unknown_orientation_is_left_alone(self, rgb: np.ndarray) -> None:
        exif = Image.Exif()
        exif[0x0112] = 99
        assert np.array_equal(read_image(encoded(Image.fromarray(rgb), "PNG", exif=exif)), rgb)


class TestRefusals:
    def test_bad_files_are_named_in_one_sentence(self, smooth: Image.Image, tmp_path: Path) -> None:
        jpeg = encoded(smooth.resize((300, 200)), "JPEG")
        bad = {
            "empty.jpg": (b"", "is empty"),
            "text.jpg": (b"Dear reader, this is no picture.\n" * 40, "not a picture"),
            "cut.jpg": (jpeg[: len(jpeg) // 2], "damaged or cut short"),
            "cut.png": (encoded(smooth, "PNG")[:-40], "damaged or cut short"),
            "cut.gif": (encoded(smooth, "GIF")[:-200], "damaged or cut short"),
            "huge.png": (png_header(20_000, 20_000), "50000000"),
            "drawing.eps": (encoded(smooth, "EPS"), "vector drawing"),
        }
        for name, (data, reason) in bad.items():
            path = tmp_path / name
            path.write_bytes(data)
            with pytest.raises(ImageError, match=reason) as caught:
                read_image(path)
            message = str(caught.value)
            assert message.startswith(str(path))
            assert message.endswith(".")
            assert "\n" not in message
            with pytest.raises(ImageError, match=f"^The picture .*{reason}"):
                read_image(data)

    def test_missing_folder_and_impossible_names(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"nobody\.jpg does not exist"):
            read_image(tmp_path / "nobody.jpg")
        with pytest.raises(ImageError, match="is a folder"):
            read_image(tmp_path)
        with pytest.raises(ImageError, match="cannot be opened"):
            read_image(str(tmp_path / "a\0b.jpg"))
        with pytest.raises(ImageError, match="cannot be opened"):
            read_image(tmp_path / ("x" * 5000))

    @pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such permissions on this system")
    def test_a_file_without_permission(self, tmp_path: Path) -> None:
        path = tmp_path / "private.png"
        path.write_bytes(b"x")
        path.chmod(0)
        was = os.geteuid()
        try:
            if was == 0:
                os.seteuid(65534)  # root may read everything: be nobody for a moment
            with pytest.raises(ImageError, match="cannot be opened"):
                read_image(path)
        finally:
            os.seteuid(was)

    @pytest.mark.filterwarnings("ignore")  # Pillow warns of a truncated TIFF directory and goes on
    def test_every_cut_of_a_file_is_an_image_error_or_a_picture(self, smooth: Image.Image) -> None:
        for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
            data = encoded(smooth, kind)
            for length in range(0, len(data), max(1, len(data) // 25)):
                with contextlib.suppress(ImageError):
                    read_image(data[:length])

    def test_the_limit_counts_pixels_and_is_exact(self) -> None:
        data = encoded(Image.new("RGB", (40, 25)), "PNG")
        assert read_image(data, max_pixels=1000).shape == (25, 40, 3)
        with pytest.raises(ImageError, match="40x25 pixels"):
            read_image(data, max_pixels=999)

    @pytest.mark.parametrize("side", [8_000, 10_000, 20_000, 60_000])
    def test_a_bomb_is_refused_from_its_header(self, side: int) -> None:
        with pytest.raises(ImageError, match="pixels"):
            read_image(png_header(side, side))

    def test_pillow_is_left_as_it_was(self, rgb: np.ndarray) -> None:
        before = Image.MAX_IMAGE_PIXELS
        read_image(encoded(Image.fromarray(rgb), "PNG"))
        with pytest.raises(ImageError):
            read_image(png_header(20_000, 20_000), max_pixels=10**9)
        assert before == Image.MAX_IMAGE_PIXELS


class TestCheckImage:
    def test_accepts_rgb(self, rgb: np.ndarray) -> None:
        check_image(rgb)

    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((4, 4, 3), np.float32),
            np.zeros((0, 4, 3), np.uint8),
            "picture.jpg",
        ],
    )
    def test_refuses_all_else(self, image: np.ndarray) -> None:
        with pytest.raises(ImageError, match="An image must"):
            check_image(image)
