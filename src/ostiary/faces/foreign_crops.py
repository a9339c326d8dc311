"""How others cut a face with its surroundings: the crops of published networks, as their own code makes them.

A network sees what it was trained on, or it errs: a crop that is a little wider, or padded in another way, moves
the answers of a liveness network by more than an attack does. ``Preprocess.surroundings`` names the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess


def proportional_crop(image: NDArray[np.uint8], box: Box, preprocess: Preprocess) -> NDArray[np.uint8]:
    """The box enlarged in its own proportions, shifted inside the picture, and squeezed into the square.

    As in minivision-ai/Silent-Face-Anti-Spoofing: enlarged by ``scale``, or by as much as the picture allows, cut
    at whole pixels, and resized by plain bilinear sampling, without antialiasing.

    Args:
        image: RGB (H, W, 3).
        box: of the face, finite and not empty.
        preprocess: gives the scale and the output's size.

    Returns:
        RGB (size, size, 3).

    """
    height, width = image.shape[:2]
    scale = min((height - 1) / box.height, (width - 1) / box.width, preprocess.scale)
    w, h = box.width * scale, box.height * scale
    left = min(max(box.x + box.width / 2 - w / 2, 0), width - 1 - w)
    top = min(max(box.y + box.height / 2 - h / 2, 0), height - 1 - h)
    window = (int(left), int(top), int(left + w) + 1, int(top + h) + 1)
    size = (preprocess.size, preprocess.size)
    extent = (0, 0, window[2] - window[0], window[3] - window[1])
    cut = Image.fromarray(image).crop(window)
    return np.array(cut.transform(size, Image.Transform.EXTENT, extent, Image.Resampling.BILINEAR))


def mirrored_crop(image: NDArray[np.uint8], box: Box, preprocess: Preprocess) -> NDArray[np.uint8]:
    """A square of ``scale`` times the longer side; what lies outside the picture mirrors it.

    As in facenox/face-antispoof-onnx: the edge itself is not repeated; Lanczos where the square is enlarged, means
    of areas where it shrinks. Arguments as :func:`proportional_crop`.
    """
    side = max(1, round(preprocess.scale * max(box.width, box.height)))
    left, top = round(box.x + box.width / 2 - side / 2), round(box.y + box.height / 2 - side / 2)
    rows = _mirrored(np.arange(top, top + side), image.shape[0])
    columns = _mirrored(np.arange(left, left + side), image.shape[1])
    square = Image.fromarray(np.ascontiguousarray(image[rows][:, columns]))
    how = Image.Resampling.LANCZOS if side < preprocess.size else Image.Resampling.BOX
    return np.array(square.resize((preprocess.size, preprocess.size), how))


SURROUNDINGS: Mapping[str, Callable[[NDArray[np.uint8], Box, Preprocess], NDArray[np.uint8]]] = {
    "proportional": proportional_crop,
    "mirrored": mirrored_crop,
}
"""The crop of each word of ``Preprocess.surroundings``, without our own."""


def _mirrored(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    if length == 1:
        return np.zeros_like(places)
    places = np.abs(places) % (2 * (length - 1))
    return np.where(places < length, places, 2 * (length - 1) - places)
