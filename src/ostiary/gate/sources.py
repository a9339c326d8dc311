"""Pictures for the gate, one after another, wherever they come from.

::

    for frame in frames(0):  # the first camera; a path, an address, an iterator do as well
        print(liveness.check(frame.pixels).reason)

What is live never queues: a slow reader gets the newest picture and is told how many it missed. What is recorded
is read in step, every picture once. A source that breaks off raises ``SourceError``; it never just ends, so that
a camera pulled out is a refusal with a reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, ImageError, SourceError
from ostiary.gate.newest import newest
from ostiary.gate.places import PICTURES, find_place
from ostiary.gate.video import Decoded, Place, Video, stalled
from ostiary.images import check_image, read_image

__all__ = ["Frame", "Picture", "Source", "SourceError", "frames"]

Picture = NDArray[np.uint8] | str | Path | bytes
"""RGB uint8 (H, W, 3), a picture's file, or the bytes of one."""

Source = int | Picture | Iterable[Picture]
"""A camera's number; a file, folder, device, pipe or address; one picture; or any iterable of pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    ``pixels`` is RGB uint8 (H, W, 3). ``index`` counts the pictures that the source gave, from 0, and ``dropped``
    those since the frame before that nobody will see: overtaken by a newer one, or damaged. ``seconds`` is the
    time in a recording, and else since the source was opened. ``name`` is that of a picture's file.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    index: int
    seconds: float
    dropped: int
    name: str = ""


def frames(
    source: Source,
    *,
    real_time: bool | None = None,
    timeout: float = 5.0,
    max_pixels: int = 50_000_000,
    options: Mapping[str, str] | None = None,
) -> Generator[Frame, None, None]:
    """The pictures of a source; it is opened when the first one is asked for.

    Threads, files and connections end with the generator: at its end, at an error, at its ``close()``, and when
    a loop over it is left. Where a network stalls, that takes up to ``timeout``.

    Args:
        source: a camera (0, 1, ... or ``/dev/video0``), a network stream (``rtsp://``, ``http://`` and others), a
            video, a picture, a folder of pictures, a named pipe with a video in it, RGB uint8 (H, W, 3), or an
            iterable of such arrays or pictures.
        real_time: keep only the newest picture, and play a recording at its own pace. False reads every picture
            in step, which no camera allows. None for what fits: cameras, streams and pipes in real time, all else
            in step.
        timeout: seconds without a picture after which a source counts as stalled.
        max_pixels: larger pictures are refused.
        options: of FFmpeg, by name: ``{"video_size": "1280x720"}`` for a camera, ``{"rtsp_transport": "udp"}``.

    Raises:
        ConfigurationError: an impossible setting, or an address or a camera that nothing here can open.
        SourceError: it cannot be opened, stalled, broke off, was cut short, or has too large pictures.
        ImageError: a picture cannot be read, is none, or is too large.
        MissingExtraError: PyAV is needed and not installed.

    """
    if not timeout > 0 or max_pixels < 1:
        raise ConfigurationError(
            f"A timeout of {timeout} s and pictures of {max_pixels} pixels cannot be; both must be above 0."
        )
    place = find_place(source)
    if place is None:
        if real_time:
            raise ConfigurationError("Single pictures have no pace of their own; leave real_time out.")
        return _still(_each(source), max_pixels)
    in_step = not (place.live if real_time is None else real_time)
    if in_step and place.device is not None:
        raise ConfigurationError(f"{place.name} waits for nobody and cannot be read in step; leave real_time out.")
    return _moving(place, in_step, timeout, max_pixels, options)


def _moving(
    place: Place, in_step: bool, timeout: float, max_pixels: int, options: Mapping[str, str] | None
) -> Generator[Frame, None, None]:
    stop = threading.Event()
    video = Video(place, stop, timeout=timeout, max_pixels=max_pixels, options=options)
    recorded = not place.live or video.length is not None

    def read() -> Generator[tuple[float, Decoded], None, None]:
        with video:
            yield from _timed(video.decode(), recorded=recorded, stop=None if in_step else stop)

    if in_step:
        pictures = read()
    else:
        # A recording may show one picture for long; that its place stalls is noticed where it is read.
        longest = None if recorded else timeout
        pictures = newest(
            read, stop, timeout=longest, late=lambda: stalled(place.name, timeout), patience=timeout + 1
        )
    with closing(pictures):
        last = -1
        for seconds, picture in pictures:
            yield Frame(video.rgb(picture), picture.index, seconds, picture.index - last - 1)
            last = picture.index


def _timed(
    pictures: Iterator[Decoded], *, recorded: bool, stop: threading.Event | None
) -> Iterator[tuple[float, Decoded]]:
    """Each picture with its time; with ``stop``, those of a recording are held back until they are due."""
    start = time.monotonic()
    for picture in pictures:
        since = time.monotonic() - start
        if recorded and stop is not None:
            stop.wait(max(0.0, picture.seconds - since))
        yield picture.seconds if recorded else since, picture


def _still(pictures: Iterable[Picture], max_pixels: int) -> Generator[Frame, None, None]:
    start = time.monotonic()
    for index, picture in enumerate(pictures):
        name = "" if isinstance(picture, (np.ndarray, bytes)) else str(picture)
        pixels = picture if isinstance(picture, np.ndarray) else read_image(picture, max_pixels=max_pixels)
        check_image(pixels)
        if pixels.shape[0] * pixels.shape[1] > max_pixels:
            raise ImageError(
                f"Picture {index} has {pixels.shape[1]}x{pixels.shape[0]} pixels, more than the {max_pixels} "
                "allowed; make it smaller first."
            )
        yield Frame(pixels, index, time.monotonic() - start, 0, name)


def _each(source: Source) -> Iterable[Picture]:
    if isinstance(source, bytes) or (isinstance(source, np.ndarray) and source.ndim == 3):
        return [source]
    if isinstance(source, (str, Path)):
        return _folder(Path(source)) if Path(source).is_dir() else [source]
    if isinstance(source, Iterable):
        return source
    raise ConfigurationError(
        f"A {type(source).__name__} is no source of pictures; give a camera's number, a path, an address or an "
        "iterator of RGB arrays."
    )


def _folder(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())
    if not found:
        raise SourceError(f"{folder} holds no picture ({', '.join(PICTURES)}); name another folder.")
    return found
