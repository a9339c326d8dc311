"""Read any picture that a user has, safely, as RGB uint8 (H, W, 3)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from ostiary.errors import ImageError


def read_image(source: str | Path | bytes, *, max_pixels: int = 50_000_000) -> NDArray[np.uint8]:
    """Read a picture as it is meant to be seen.

    The EXIF orientation is applied; transparent parts are shown on white; of an animation or a burst the
    first frame is taken; 16-bit grey is scaled to 8 bits; grey levels of 32 bits, whose range no format
    states, are taken for the narrowest of 0..1 (floating point only), 0..255 and 0..65535 that holds them,
    and else are stretched from the least to the greatest.

    Args:
        source: a path, or the bytes of a picture file.
        max_pixels: refuse larger pictures before they are decoded. Pillow's own limit
            (``PIL.Image.MAX_IMAGE_PIXELS``) holds as well.

    Returns:
        RGB (H, W, 3), at least one pixel, writable.

    Raises:
        ImageError: no such file, not a picture, damaged, cut short, or too large.

    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), "The picture", max_pixels)
    name = os.fspath(source)
    try:
        if Path(source).is_dir():
            raise ImageError(f"{name} is a folder; name a picture in it.")
        with Path(source).open("rb") as file:
            return _read(file, name, max_pixels)
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist; check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name} cannot be opened ({reason}); check the path and its permissions.") from None


def check_image(image: NDArray[np.uint8]) -> None:
    """Raise ``ImageError`` unless ``image`` is what this package calls an image: RGB uint8 (H, W, 3)."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"An image must be an RGB uint8 array of shape (H, W, 3); got {found}.")
    if not image.size:
        raise ImageError(f"An image must have at least one pixel; got shape {image.shape}.")


_EXTERNAL_FORMATS = {"EPS", "WMF"}
"""Formats that Pillow hands to outside programs (Ghostscript, GDI): never for a stranger's file."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""


def _read(file: IO[bytes], name: str, max_pixels: int) -> NDArray[np.uint8]:
    if not file.read(1):
        raise ImageError(f"{name} is empty (0 bytes); copy or fetch it again.")
    try:
        with Image.open(file) as picture:
            _check_header(picture, name, max_pixels)
            picture.load()
            return np.array(_to_rgb(_turn_upright(picture)))
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(
            f"{name} is not a picture in a format that can be read; save it as JPEG, PNG or WebP."
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels)
        raise ImageError(f"{name} has more than the {limit} pixels allowed; make it smaller first.") from None
    except Exception:  # decoders raise OSError, SyntaxError, struct.error and more for a damaged file
        raise ImageError(f"{name} is damaged or cut short; copy or fetch it again.") from None


def _check_header(picture: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse, before anything is decoded, what is too large or would start another program."""
    if picture.format in _EXTERNAL_FORMATS:
        raise ImageError(f"{name} is a vector drawing ({picture.format}); save it as PNG or JPEG first.")
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageError(
            f"{name} has {width}x{height} pixels, more than the {max_pixels} allowed; make it smaller first."
        )


def _turn_upright(picture: Image.Image) -> Image.Image:
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # the pixels are good even if the camera's notes are not
        return picture
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_to_8_bits(picture))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        seen = Image.new("RGB", picture.size, "white")
        seen.paste(picture, mask=picture.getchannel("A"))
        return seen
    return picture.convert("RGB")


def _to_8_bits(picture: Image.Image) -> NDArray[np.uint8]:
    """Deep grey levels (H, W) as 0..255."""
    levels = np.nan_to_num(np.asarray(picture).astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = _grey_range(picture.mode, float(levels.min()), float(levels.max()))
    scaled = (levels - low) * (255 / max(high - low, float(np.finfo(np.float32).tiny)))
    eight: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return eight


def _grey_range(mode: str, least: float, greatest: float) -> tuple[float, float]:
    """The levels that mean black and white, given those that occur."""
    if mode.startswith("I;16"):
        return 0.0, 65535.0
    for top in (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0):
        if least >= 0 and greatest <= top:
            return 0.0, top
    return least, greatest
