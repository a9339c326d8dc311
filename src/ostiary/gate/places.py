"""Where moving pictures come from: a camera's number, a device, a file, a named pipe or an address.

What is opened for one place never leads to another: a playlist from the network opens no file here, and a file no
connection.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
import threading
import time
from pathlib import Path

from ostiary.errors import ConfigurationError, SourceError
from ostiary.gate.video import Place

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Suffixes of files that hold one picture; every other file is taken for a video."""

SCHEMES = ("http", "https", "rtmp", "rtmps", "rtsp", "rtsps", "srt", "tcp", "udp")
"""How the address of a stream may begin."""


def find_place(source: object) -> Place | None:
    """The place that a camera's number, a path or an address means; None for what does not move.

    Raises:
        ConfigurationError: cameras have no numbers on this platform, or the address is of an unknown kind.
        SourceError: there is no such file or device.

    """
    if isinstance(source, int) and not isinstance(source, bool):
        return _camera(source)
    if not isinstance(source, (str, Path)):
        return None
    name = os.fspath(source)
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+)://", name)
    return _stream(name, scheme.group(1).lower()) if scheme else _path(name)


_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}
"""The device of FFmpeg for cameras, by platform, and what it calls number n."""

_NETWORK = {"protocol_whitelist": "http,https,httpproxy,tcp,udp,tls,crypto,rtp,rtsp,rtsps,rtmp,rtmps,srt"}
_LOCAL = {"protocol_whitelist": "file,crypto"}

_PIPE_PAUSE = 0.05
"""Seconds after which a pipe that waits looks whether it is to stop."""


def _camera(number: int) -> Place:
    if sys.platform not in _CAMERAS or number < 0:
        raise ConfigurationError(
            f"Camera {number} cannot be opened by its number here; give an iterator of its pictures instead."
        )
    device, pattern = _CAMERAS[sys.platform]
    return Place(f"camera {number}", pattern.format(number), live=True, device=device)


def _stream(address: str, scheme: str) -> Place:
    shown = re.sub(r"//[^/?#]*@", "//", address).partition("?")[0]
    if scheme not in SCHEMES:
        raise ConfigurationError(f"{shown} is no stream that can be opened; it must begin with one of {SCHEMES}.")
    # Over UDP, which is FFmpeg's first choice, lost packets become torn pictures.
    transport = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}
    return Place(shown, address, live=True, options={**_NETWORK, **transport})


def _path(name: str) -> Place | None:
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{name} cannot be opened ({reason}); check the path or the camera's cable.") from None
    if stat.S_ISCHR(mode):
        device = _CAMERAS.get(sys.platform, ("v4l2",))[0]
        return Place(name, name, live=True, device=device)
    if stat.S_ISFIFO(mode):
        return Place(name, lambda seconds, stop: _Pipe(name, seconds, stop), live=True, options=_LOCAL)
    if stat.S_ISDIR(mode) or Path(name).suffix.lower() in PICTURES:
        return None
    return Place(name, name, live=False, options=_LOCAL)


class _Pipe:
    """A named pipe to read from that can be given up; FFmpeg would wait for its writer for ever."""

    def __init__(self, path: str, seconds: float, stop: threading.Event) -> None:
        self.name = path
        self._seconds = seconds
        self._stop = stop
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes as soon as there are some, none at the end; TimeoutError when given up."""
        until = time.monotonic() + self._seconds
        while not self._stop.is_set() and time.monotonic() < until:
            if select.select([self._descriptor], [], [], _PIPE_PAUSE)[0]:
                return os.read(self._descriptor, size)
        raise TimeoutError(self.name)

    def close(self) -> None:
        """Give the descriptor back; once."""
        os.close(self._descriptor)
