"""Sources of frames: real files, pipes, servers and processes, whole and broken."""

from __future__ import annotations

import gc
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary.errors import ConfigurationError, ImageError, MissingExtraError, OstiaryError
from ostiary.gate import places
from ostiary.gate.newest import newest
from ostiary.gate.sources import Frame, SourceError, frames
from ostiary.gate.video import Video
from ostiary.images import read_image

av = pytest.importorskip("av")

WIDTH, HEIGHT, RATE = 64, 48, 20
STEP = 6  # grey levels between a frame and the next: enough to read a frame's number off its pixels


def picture(number: int) -> np.ndarray:
    """Its number as a grey level, and a red corner at the top left."""
    pixels = np.full((HEIGHT, WIDTH, 3), STEP * number, np.uint8)
    pixels[:16, :16] = (250, 0, 0)
    return pixels


def write_video(path: Path, count: int, *, size: tuple[int, int] = (WIDTH, HEIGHT), **options: str) -> Path:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 5
        stream.bit_rate = 2_000_000
        for number in range(count):
            pixels = np.array(Image.fromarray(picture(number)).resize(size))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames, 2 seconds, index first."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", 40, movflags="faststart")


@pytest.fixture(scope="module")
def broadcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a transport stream, which can be joined and left anywhere."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.ts", 40)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test leaves a thread, a descriptor or a child behind."""
    gc.collect()
    threads, files = set(threading.enumerate()), descriptors()
    yield
    gc.collect()
    left = {thread for thread in threading.enumerate() if thread.name.startswith("ostiary")} - threads
    assert not left
    until = time.monotonic() + 20  # what is not of this test (a server of another one) opens and closes, too
    while (open_still := descriptors() - files) and time.monotonic() < until:
        time.sleep(0.05)
    assert not open_still


def descriptors() -> set[str]:
    """What this process has open: each descriptor's number and what it leads to."""
    found = set()
    for number in Path("/proc/self/fd").iterdir() if sys.platform == "linux" else []:
        with suppress(FileNotFoundError):  # closed since it was listed
            found.add(f"{number.name} {number.readlink()}")
    return found


def number_in(frame: Frame) -> int:
    return round(float(frame.pixels[24:, 24:].mean()) / STEP)


def read_until_error(source: object, **settings: object) -> tuple[list[Frame], SourceError]:
    found: list[Frame] = []
    with pytest.raises(SourceError) as caught:
        found.extend(frames(source, **settings))  # type: ignore[arg-type]
    return found, caught.value


class TestStill:
    def test_arrays_come_through_as_they_are(self) -> None:
        pictures = [picture(number) for number in range(3)]
        found = list(frames(iter(pictures)))
        assert all(frame.pixels is pixels for frame, pixels in zip(found, pictures, strict=True))
        assert [(frame.index, frame.dropped) for frame in found] == [(0, 0), (1, 0), (2, 0)]

    def test_an_iterator_is_asked_for_one_picture_at_a_time(self) -> None:
        asked: list[int] = []

        def camera() -> Iterator[np.ndarray]:
            for number in range(9):
                asked.append(number)
                yield picture(number)

        stream = frames(camera())
        next(stream)
        next(stream)
        assert asked == [0, 1]

    @pytest.mark.parametrize("bad", [picture(0).astype(np.float32), picture(0)[..., 0], picture(0)[:0]])
    def test_what_is_no_rgb_is_refused(self, bad: np.ndarray) -> None:
        with pytest.raises(ImageError, match="An image must"):
            list(frames([bad]))

    def test_a_picture_has_three_forms(self, pictures: Path) -> None:
        path = pictures / "astronaut.png"
        for source in (path, str(path), path.read_bytes(), read_image(path)):
            (frame,) = frames(source)
            assert np.array_equal(frame.pixels, read_image(path))

    def test_a_folder_in_the_order_of_names(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.PNG", "c.jpg"):
            Image.fromarray(picture(0)).save(tmp_path / name)
        (tmp_path / "notes.txt").write_text("no picture")
        assert [Path(frame.name).name for frame in frames(tmp_path)] == ["a.PNG", "b.png", "c.jpg"]

    def test_a_folder_without_pictures(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="holds no picture"):
            frames(tmp_path)

    @pytest.mark.parametrize("as_array", [True, False])
    def test_too_large(self, pictures: Path, as_array: bool) -> None:
        path = pictures / "astronaut.png"
        with pytest.raises(ImageError, match="512x512 pixels, more than the 1000 allowed"):
            list(frames([read_image(path) if as_array else path], max_pixels=1000))

    def test_a_frame_shows_no_picture_in_a_log(self) -> None:
        (frame,) = frames([picture(0)])
        assert "pixels" not in repr(frame)


class TestRecorded:
    def test_every_picture_once_with_its_time(self, clip: Path) -> None:
        found = list(frames(clip))
        assert [number_in(frame) for frame in found] == list(range(40))
        assert [frame.index for frame in found] == list(range(40))
        assert [frame.seconds for frame in found] == pytest.approx([n / RATE for n in range(40)])
        assert not any(frame.dropped for frame in found)

    def test_red_is_red(self, clip: Path) -> None:
        frame = next(frames(clip))
        assert frame.pixels.shape == (HEIGHT, WIDTH, 3)
        assert frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels[4, 4].astype(int) - (250, 0, 0)).max() < 25

    @pytest.mark.parametrize(
        ("matrix", "corner"),
        [
            ((1, 0, 0, 1), (0, 0)),
            ((0, 1, -1, 0), (0, -1)),  # as a telephone held upright writes it: a quarter clockwise
            ((-1, 0, 0, -1), (-1, -1)),
            ((0, -1, 1, 0), (-1, 0)),
        ],
    )
    def test_turned_upright(
        self, clip: Path, tmp_path: Path, matrix: tuple[int, ...], corner: tuple[int, int]
    ) -> None:
        content = bytearray(clip.read_bytes())
        a, b, c, d = (value << 16 for value in matrix)
        # Version 0 of the track header: 44 bytes after its name begins its matrix (ISO/IEC 14496-12, 8.3.2).
        struct.pack_into(">9i", content, content.find(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
        turned = tmp_path / "turned.mp4"
        turned.write_bytes(content)
        pixels = next(frames(turned)).pixels.astype(int)
        assert pixels.shape[:2] == ((HEIGHT, WIDTH) if matrix[0] else (WIDTH, HEIGHT))
        row, column = (8 if at == 0 else -8 for at in corner)
        assert pixels[row, column, 0] > 200
        assert (pixels[..., 0] > 125).sum() < 20 * 20  # and nowhere else

    @pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi"])
    def test_cut_short(self, clip: Path, tmp_path: Path, name: str) -> None:
        whole = clip if name.endswith("mp4") else write_video(tmp_path / f"whole{name[3:]}", 40)
        assert len(list(frames(whole))) == 40
        cut = tmp_path / name
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
        found, error = read_until_error(cut)
        assert 0 < len(found) < 35
        assert [number_in(frame) for frame in found] == list(range(len(found)))  # no torn picture among them
        assert "cut short" in str(error)

    def test_damaged_pictures_are_left_out_and_counted(self, broadcast: Path, tmp_path: Path) -> None:
        content = bytearray(broadcast.read_bytes())
        packets = len(content) // 188
        for packet in range(packets // 3, packets // 3 + 8):
            content[188 * packet + 8 : 188 * packet + 188] = bytes(180)
        damaged = tmp_path / "damaged.ts"
        damaged.write_bytes(content)
        found = list(frames(damaged))
        assert 20 < len(found) < 40
        assert sum(frame.dropped for frame in found) == found[-1].index + 1 - len(found)

    @pytest.mark.parametrize("content", [b"", b"no video at all" * 50])
    def test_no_video(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "film.mp4"
        path.write_bytes(content)
        _, error = read_until_error(path)
        assert "film.mp4 cannot be opened" in str(error)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"film\.mp4 cannot be opened \(No such file"):
            frames(tmp_path / "film.mp4")

    def test_too_large(self, clip: Path, tmp_path: Path) -> None:
        assert next(frames(clip, max_pixels=WIDTH * HEIGHT)).index == 0
        _, error = read_until_error(clip, max_pixels=WIDTH * HEIGHT - 1)
        assert "64x48 pixels, more than the 3071 allowed" in str(error)
        huge = write_video(tmp_path / "huge.mp4", 2, size=(640, 480))  # not even decoded to learn its size
        found, error = read_until_error(huge, max_pixels=1000)
        assert not found
        assert "more than the 1000 pixels allowed" in str(error)

    def test_in_real_time_a_slow_reader_misses_pictures_and_knows_it(self, tmp_path: Path) -> None:
        short = write_video(tmp_path / "short.mp4", 16)
        start = time.monotonic()
        found = []
        for frame in frames(short, real_time=True):
            found.append(frame)
            time.sleep(0.12)
        assert time.monotonic() - start > 15 / RATE
        assert len(found) < 12
        assert [number_in(frame) for frame in found] == [frame.index for frame in found]
        assert found[-1].index == 15  # the last picture waits, whoever is slow
        assert sum(frame.dropped for frame in found) == 16 - len(found)

    def test_left_in_the_middle(self, clip: Path) -> None:
        for real_time in (True, False):
            for frame in frames(clip, real_time=real_time):
                if frame.index >= 2:
                    break


@contextmanager
def writing(video: Path, pipe: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes a video into a pipe and then holds it open, silent."""
    script = 'exec 3> "$2"; cat "$1" >&3; exec sleep 60'
    writer = subprocess.Popen(["sh", "-c", script, "sh", str(video), str(pipe)])
    try:
        yield writer
    finally:
        writer.kill()
        writer.wait()


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "camera.pipe"
    os.mkfifo(path)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="named pipes and devices as Linux has them")
class TestLive:
    def test_a_writer_that_is_killed(self, pipe: Path, broadcast: Path) -> None:
        with writing(broadcast, pipe) as writer:
            stream = frames(pipe, timeout=20)
            next(stream)
            writer.kill()
            with pytest.raises(SourceError, match=r"camera\.pipe ended"):
                list(stream)

    def test_a_writer_that_hangs(self, pipe: Path, broadcast: Path) -> None:
        with writing(broadcast, pipe):
            _, error = read_until_error(pipe, timeout=0.6)
        assert "gave no picture for 0.6 s" in str(error)

    def test_nobody_writes(self, pipe: Path) -> None:
        start = time.monotonic()
        found, error = read_until_error(pipe, timeout=0.3)
        assert (found, "gave no picture for 0.3 s" in str(error)) == ([], True)
        assert time.monotonic() - start < 5

    def test_a_waiting_pipe_is_left_at_once(self, pipe: Path, broadcast: Path) -> None:
        with writing(broadcast, pipe):
            with closing(frames(pipe, timeout=30)) as stream:
                next(stream)
                start = time.monotonic()
            assert time.monotonic() - start < 5

    def test_a_camera_faster_than_its_reader(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(places._CAMERAS, "linux", ("lavfi", "testsrc=size=64x48:rate=50,realtime"))
        found = []
        for frame in frames(0):
            found.append(frame)
            time.sleep(0.1)
            if len(found) == 5:
                break
        assert all(frame.dropped >= 1 for frame in found[2:])
        between = found[-1].index - found[0].index
        assert between == sum(frame.dropped + 1 for frame in found[1:])
        # Each is about now: its number keeps up with the clock, however slow the reader is.
        assert found[-1].seconds - found[0].seconds == pytest.approx(between / 50, abs=0.2)

    def test_a_camera_that_is_pulled_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(
            places._CAMERAS, "linux", ("lavfi", "testsrc=size=64x48:rate=50:duration=0.4,realtime")
        )
        found, error = read_until_error(0)
        assert found
        assert "camera 0 ended: what sent its pictures is gone" in str(error)

    def test_a_camera_that_has_no_picture_yet(self, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As some of FFmpeg's devices answer; twice it comes late, the third time never."""
        place = places.find_place(clip)
        assert place is not None
        with Video(place, threading.Event(), timeout=0.1, max_pixels=10_000) as video:
            patient = Reluctant(video._container)
            monkeypatch.setattr(video, "_container", patient)
            with pytest.raises(SourceError, match=r"no picture for 0\.1 s"):
                list(video.decode())
        assert patient.given == 2

    def test_a_camera_is_not_read_in_step(self) -> None:
        with pytest.raises(ConfigurationError, match="waits for nobody"):
            frames(0, real_time=False)

    def test_no_such_camera(self) -> None:
        _, error = read_until_error(63)
        assert "camera 63 cannot be opened (No such file" in str(error)

    def test_a_device_that_is_no_camera(self) -> None:
        _, error = read_until_error("/dev/null")
        assert "/dev/null cannot be opened" in str(error)


class Reluctant:
    """A container that has nothing at first, again and again, and after two packets nothing for ever."""

    def __init__(self, container: object) -> None:
        self._container = container
        self.asked = self.given = 0

    def demux(self, stream: object) -> Iterator[object]:
        self.asked += 1
        if self.asked % 3 or self.given == 2:
            raise av.BlockingIOError(11, "Resource temporarily unavailable")
        self.given += 1
        yield next(self._container.demux(stream))  # type: ignore[attr-defined]
        raise av.BlockingIOError(11, "Resource temporarily unavailable")

    def __getattr__(self, name: str) -> object:
        return getattr(self._container, name)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serves the first ``share`` of a file, then hangs up or hangs; gives the address, with a password in it."""
    servers: list[ThreadingHTTPServer] = []
    release = threading.Event()

    def start(path: Path, share: float = 1.0, *, hang: bool = False, log: list[str] | None = None) -> str:
        content = path.read_bytes()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if log is not None:
                    log.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: int(share * len(content))])
                self.wfile.flush()
                if hang:
                    release.wait(30)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        return f"http://ada:secret@127.0.0.1:{server.server_port}/{path.name}?token=secret"

    yield start
    release.set()
    for server in servers:
        server.shutdown()
        server.server_close()


class TestNetwork:
    def test_a_recording_is_played_to_its_end(self, serve: Callable[..., str], tmp_path: Path) -> None:
        short = write_video(tmp_path / "short.mp4", 10, movflags="faststart")
        found = list(frames(serve(short), real_time=False))
        assert [number_in(frame) for frame in found] == list(range(10))
        at_its_pace = list(frames(serve(short)))
        assert at_its_pace[-1].index == 9
        assert at_its_pace[-1].seconds == pytest.approx(9 / RATE)

    @pytest.mark.parametrize("real_time", [None, False])
    def test_a_server_that_dies(self, serve: Callable[..., str], broadcast: Path, real_time: bool | None) -> None:
        found, error = read_until_error(serve(broadcast, 0.5), real_time=real_time)
        assert found
        assert "broke off" in str(error)
        assert "secret" not in str(error)

    @pytest.mark.parametrize("real_time", [None, False])
    def test_a_server_that_hangs(self, serve: Callable[..., str], broadcast: Path, real_time: bool | None) -> None:
        found, error = read_until_error(serve(broadcast, 0.5, hang=True), timeout=0.5, real_time=real_time)
        assert found
        assert "gave no picture for 0.5 s" in str(error)
        assert "secret" not in str(error)

    def test_nobody_there(self) -> None:
        _, error = read_until_error("rtsp://ada:secret@127.0.0.1:9/door", timeout=1)
        assert "rtsp://127.0.0.1:9/door cannot be opened" in str(error)
        assert "secret" not in repr(error)

    def test_a_file_leads_nowhere_else(self, serve: Callable[..., str], broadcast: Path, tmp_path: Path) -> None:
        asked: list[str] = []
        address = serve(broadcast, log=asked)
        playlist = tmp_path / "film.m3u8"
        playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n")
        read_until_error(playlist)
        assert asked == []


class TestRefused:
    def test_settings_that_make_no_sense(self, clip: Path) -> None:
        for settings in ({"timeout": 0}, {"timeout": float("nan")}, {"max_pixels": 0}):
            with pytest.raises(ConfigurationError, match="above 0"):
                frames(clip, **settings)  # type: ignore[arg-type]

    @pytest.mark.parametrize("address", ["concat://a|b", "file:///etc/hostname", "gopher://ada:secret@there/x"])
    def test_addresses_of_another_kind(self, address: str) -> None:
        with pytest.raises(ConfigurationError, match="no stream that can be opened") as caught:
            frames(address)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("source", [-1, True, 1.5, None])
    def test_what_is_no_source(self, source: object) -> None:
        with pytest.raises(ConfigurationError):
            frames(source)  # type: ignore[arg-type]

    def test_pictures_have_no_pace(self, pictures: Path) -> None:
        with pytest.raises(ConfigurationError, match="no pace"):
            frames(pictures / "astronaut.png", real_time=True)

    def test_without_pyav(self, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(MissingExtraError, match=r"ostiary\[camera\]"):
            next(frames(clip))


class TestNewest:
    def test_one_place_only(self) -> None:
        """A reader that was away finds the newest item, never a queue."""
        away, stop = threading.Event(), threading.Event()

        def read() -> Iterator[int]:
            yield 0
            away.wait(10)
            yield from range(1, 1000)

        items = newest(read, stop, timeout=10, late=TimeoutError, patience=10)
        assert next(items) == 0
        away.set()
        time.sleep(0.1)
        assert next(items) > 1
        items.close()
        assert stop.is_set()

    def test_the_last_item_comes_before_the_error(self) -> None:
        def read() -> Iterator[int]:
            yield 7
            raise SourceError("gone")

        items = newest(read, threading.Event(), timeout=10, late=TimeoutError, patience=10)
        assert next(items) == 7
        with pytest.raises(OstiaryError, match="gone"):
            next(items)

    def test_late(self) -> None:
        stop = threading.Event()

        def read() -> Iterator[int]:
            stop.wait(10)
            yield 1

        items = newest(read, stop, timeout=0.05, late=lambda: SourceError("late"), patience=10)
        with pytest.raises(SourceError, match="late"):
            next(items)
