"""A moving picture, opened and decoded by PyAV: a file, a camera, a network stream or a pipe.

Whatever breaks off on the way (a cable, a server, a file that was cut short) becomes a ``SourceError``, so that
the end of the pictures never passes for the end of a recording. What the decoder could not restore wholly is left
out: a picture with holes is nothing to judge a face by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import MissingExtraError, SourceError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer


@dataclass(frozen=True, slots=True)
class Place:
    """Where moving pictures come from.

    ``name`` is what messages call it and holds no password. ``target`` is what PyAV opens, a path or an address,
    or makes a file to read from, given the seconds after which it has to give up and the event that ends it. A
    ``live`` place has no end: its pictures stop only because something is broken.
    """

    name: str
    target: str | Callable[[float, threading.Event], Any] = field(repr=False)
    live: bool
    device: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as the decoder gave it: its number, its time in the recording, and what ``Video.rgb`` shows.

    ``seconds`` count from the first picture; ``index`` counts those left out, too.
    """

    index: int
    seconds: float
    picture: av.VideoFrame = field(repr=False)


class Video:
    """Moving pictures of one place, opened. Use it as a context: it closes what it opened.

    Args:
        place: what to open.
        stop: ends the pictures when it is set, from any thread.
        timeout: seconds without anything, when opening or reading, after which the place counts as stalled.
        max_pixels: larger pictures are refused before they are decoded.
        options: of FFmpeg's demuxer or device, beside those of the place.

    Raises:
        SourceError: it cannot be opened, holds no video, or its pictures are too large.
        MissingExtraError: PyAV is not installed.

    """

    def __init__(
        self,
        place: Place,
        stop: threading.Event,
        *,
        timeout: float,
        max_pixels: int,
        options: Mapping[str, str] | None = None,
    ) -> None:
        try:
            import av
            from av.video.reformatter import VideoReformatter
        except ImportError:
            raise MissingExtraError("PyAV", "camera") from None
        # One for all pictures: to make one costs more than to use it, and each holds some megabytes.
        self._reformatter = VideoReformatter()
        self._place = place
        self._stop = stop
        self._timeout = timeout
        self._max_pixels = max_pixels
        self._errors = (av.FFmpegError, OSError)
        target = place.target
        self._file = target if isinstance(target, str) else self._attempt(lambda: target(timeout, stop))
        settings = {**place.options, **(options or {}), "max_pixels": _decoder_limit(max_pixels)}
        try:
            self._container: InputContainer = self._attempt(
                lambda: av.open(self._file, "r", format=place.device, options=settings, timeout=timeout)
            )
        except SourceError:
            self._close_file()
            raise
        try:
            self._stream = self._video_stream()
        except SourceError:
            self.close()
            raise

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the camera, the connection or the file."""
        self._container.close()
        self._close_file()

    @property
    def length(self) -> float | None:
        """Seconds that the recording says it lasts; None if it does not say, as what is live never does."""
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration) * float(stream.time_base)
        if "DURATION" in stream.metadata:  # how Matroska tells it for one stream of several
            return _seconds(stream.metadata["DURATION"])
        if container.duration is not None and len(container.streams) == 1:
            return container.duration / 1e6
        return None

    def rgb(self, decoded: Decoded) -> NDArray[np.uint8]:
        """RGB (H, W, 3), turned upright as the recording asks for; for one thread, and also after the end."""
        picture = self._reformatter.reformat(decoded.picture, format="rgb24")
        pixels = np.asarray(picture.to_ndarray(), np.uint8)
        # In degrees anticlockwise, as rot90 counts its quarters.
        quarters = round(decoded.picture.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels

    def decode(self) -> Iterator[Decoded]:
        """The pictures in order, until the recording's end or until it is stopped.

        Raises:
            SourceError: the place stalled or broke off; it is live and ended; the recording was cut short or
                holds no picture that can be decoded.

        """
        rate = float(self._stream.average_rate or 25)
        count, first, end = 0, None, 0.0
        for packet in self._packets():
            try:
                pictures = packet.decode()
            except self._errors:
                count += 1
                continue
            for picture in pictures:
                count += 1
                stamp = (count - 1) / rate if picture.time is None else picture.time
                first = stamp if first is None else first
                end = max(end, stamp - first + 1 / rate)
                if not picture.is_corrupt:
                    self._check_size(picture.width, picture.height)
                    yield Decoded(count - 1, stamp - first, picture)
        if not self._stop.is_set():
            self._check_end(None if first is None else end)

    def _packets(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        since = time.monotonic()
        while not self._stop.is_set():
            try:
                packet = next(packets)
            except StopIteration:
                return
            except BlockingIOError:  # a camera that has no picture yet
                if time.monotonic() - since > self._timeout:
                    raise stalled(self._place.name, self._timeout) from None
                self._stop.wait(_CAMERA_PAUSE)
                packets = self._container.demux(self._stream)
                continue
            except self._errors as error:
                raise self._broken(error, "broke off") from None
            since = time.monotonic()
            yield packet

    def _video_stream(self) -> Any:
        if not self._container.streams.video:
            raise SourceError(f"{self._place.name} holds no video; name a video file, a camera or a stream.")
        stream = self._container.streams.video[0]
        codec = stream.codec_context
        if codec is None:
            raise SourceError(
                f"{self._place.name} is in a format that PyAV cannot decode; convert it to H.264 first."
            )
        if not codec.width and not self._place.live:  # what is live may tell its size later
            raise SourceError(
                f"{self._place.name} has pictures of an unknown size, or of more than the {self._max_pixels} "
                "pixels allowed; make them smaller first."
            )
        self._check_size(codec.width, codec.height)
        # The size may change on the way, and then the decoder itself has to refuse it.
        codec.options = {"max_pixels": _decoder_limit(self._max_pixels)}
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise SourceError(
                f"{self._place.name} has pictures of {width}x{height} pixels, more than the {self._max_pixels} "
                "allowed; make them smaller first."
            )

    def _check_end(self, end: float | None) -> None:
        name, length = self._place.name, self.length
        if self._place.live and length is None:
            raise SourceError(f"{name} ended: what sent its pictures is gone; connect or start it again.")
        if end is None:
            raise SourceError(f"{name} holds no picture that can be decoded; copy or record it again.")
        if length is not None and end + _END_TOLERANCE < length:
            raise SourceError(
                f"{name} is cut short: it says that it lasts {length:.1f} s, and its pictures end after "
                f"{end:.1f} s; copy it again."
            )

    def _attempt(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except self._errors as error:
            raise self._broken(error, "cannot be opened") from None
        except ValueError as error:  # a device that this build of FFmpeg does not know
            raise SourceError(f"{self._place.name} cannot be opened ({error}).") from None

    def _broken(self, error: Exception, what: str) -> SourceError:
        import av

        if isinstance(
            error, (TimeoutError, av.error.ExitError)
        ):  # PyAV ends a read that takes too long by the latter
            return stalled(self._place.name, self._timeout)
        # Never the error itself: its text holds the whole address, with the password.
        reason = getattr(error, "strerror", None) or type(error).__name__
        return SourceError(f"{self._place.name} {what} ({reason}); check that it is there, whole and reachable.")

    def _close_file(self) -> None:
        if hasattr(self._file, "close"):
            self._file.close()


def stalled(name: str, timeout: float) -> SourceError:
    """What to raise where no picture came for so many seconds."""
    return SourceError(f"{name} gave no picture for {timeout:g} s; check the camera, its cable and the network.")


_CAMERA_PAUSE = 0.002
"""Seconds between two questions to a camera for its next picture."""

_END_TOLERANCE = 0.5
"""A recording may end so many seconds before it says: pictures of unequal length, and those left out."""


def _decoder_limit(max_pixels: int) -> str:
    """FFmpeg's own limit, which keeps a huge picture from memory; it counts padding, so the exact one is ours."""
    return str(2 * max_pixels + 65536)


def _seconds(text: str) -> float | None:
    """Seconds of ``HH:MM:SS.fraction``, None for anything else."""
    try:
        hours, minutes, seconds = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None
