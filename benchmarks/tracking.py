"""What following a face saves over searching every frame, and how exact its landmarks are.

A portrait that comes with the checkout wanders over a grey room, larger and smaller, or a video of one's own is
read. Every frame is searched in full and by the tracker, in turn, in an order drawn anew; the times are CPU time
of one thread. Both are compared with a search at 1280 pixels: mean distance of the landmarks, over the width of
the box. A portrait that crosses the picture in fewer frames is lost more often.

python benchmarks/tracking.py [--frames 120] [--every 10] [--crossing 100] [--video FILE]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from machine import describe
from ostiary.faces.detector import Face, FaceDetector
from ostiary.gate.sources import frames
from ostiary.gate.tracking import FaceTracker
from ostiary.images import read_image

PORTRAIT = Path(__file__).resolve().parents[1] / "tests/data/astronaut.png"
SIZES = ((640, 480), (1280, 720), (1920, 1080))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=120, help="of each size")
    parser.add_argument("--every", type=int, default=10, help="frames from one full search to the next")
    parser.add_argument("--crossing", type=int, default=100, help="frames from one side to the other")
    parser.add_argument("--video", type=Path, help="read this instead of the wandering portrait")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(
        f"{describe()}, seed {arguments.seed}, a full search every {arguments.every} frames, a crossing in "
        f"{arguments.crossing}\n"
    )
    print(
        "| pictures | frames | full search ms | tracker ms, mean | ratio of means | window ms | in a window | new "
        "| landmarks off, full | tracker |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    if arguments.video:
        pictures = (frame.pixels for frame in frames(arguments.video) if frame.index < arguments.frames)
        print(row(arguments.video.name, pictures, arguments.every, arguments.seed))
        return
    for size in SIZES:
        wandering = wander(size, arguments.frames, arguments.crossing, arguments.seed)
        print(row(f"{size[0]}x{size[1]}", wandering, arguments.every, arguments.seed))


def wander(size: tuple[int, int], count: int, crossing: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """The portrait on a smooth way through a room, between a third and two thirds of its height."""
    portrait = Image.fromarray(read_image(PORTRAIT))
    width, height = size
    chance = np.random.default_rng(seed)
    texture = chance.integers(90, 140, (height // 8, width // 8), np.uint8)
    room = Image.fromarray(texture).resize(size).convert("RGB")
    phase = chance.uniform(0, 2 * np.pi, 3)
    for number in range(count):
        turns = np.pi * number / crossing / np.array([1.0, 1.4, 2.2])
        x, y, near = np.sin(turns + phase)
        side = round(height * (0.5 + 0.15 * near))
        image = room.copy()
        place = (round((width - side) * (0.5 + 0.45 * x)), round((height - side) * (0.5 + 0.45 * y)))
        image.paste(portrait.resize((side, side)), place)
        yield np.asarray(image)


def row(name: str, pictures: Iterator[NDArray[np.uint8]], every: int, seed: int) -> str:
    full, fine = FaceDetector(), FaceDetector(longest_side=1280)
    tracker = FaceTracker(every=every)
    order = random.Random(seed)
    spent: dict[str, list[float]] = {"full": [], "tracker": [], "window": []}
    off: dict[str, list[float]] = {"full": [], "tracker": []}
    new = 0
    for number, pixels in enumerate(pictures):
        if number == 0:  # the sessions are opened by what is not timed
            full.detect(pixels)
            FaceTracker(full, tracker._near, every=2).find(pixels)
            tracker.find(pixels)
            tracker.reset()
        exact = fine.detect(pixels)
        ways: list[str] = ["full", "tracker"]
        order.shuffle(ways)
        for way in ways:
            if way == "full":
                milliseconds, faces = timed(lambda: full.detect(pixels))  # noqa: B023 - called at once
            else:
                milliseconds, found = timed(lambda: tracker.find(pixels))  # noqa: B023
                faces = list(found.faces)
                new += found.new
                if found.searched == "window":
                    spent["window"].append(milliseconds)
            spent[way].append(milliseconds)
            if exact and faces:
                off[way].append(distance(faces[0], exact[0]))
    means = {way: float(np.mean(values)) if values else float("nan") for way, values in spent.items()}
    count = len(spent["full"])
    cells = [
        name, str(count), f"{means['full']:.2f}", f"{means['tracker']:.2f}",
        f"{means['full'] / means['tracker']:.2f}", f"{means['window']:.2f}",
        f"{100 * len(spent['window']) / count:.0f} %", str(new),
        *(f"{100 * np.mean(off[way]):.1f} %" for way in ("full", "tracker")),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def timed(action: Callable[[], object]) -> tuple[float, object]:
    start = time.thread_time()
    result = action()
    return 1e3 * (time.thread_time() - start), result


def distance(face: Face, exact: Face) -> float:
    return float(np.linalg.norm(face.landmarks - exact.landmarks, axis=1).mean() / exact.box.width)


if __name__ == "__main__":
    main()
