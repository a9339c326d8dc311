"""One decision of the gate on a frame of 640x480 pixels: time by stage, and beside other people's systems.

    python benchmarks/gate.py --rounds 100
    python benchmarks/gate.py --peer-python VENV/bin/python --models DIR --out gate.json

All candidates take turns, frame by frame, in an order drawn anew each round. The clock is the CPU time of the
process, which works on one thread, so that a busy machine disturbs all alike; what is compared are ratios of
medians of one run. The gate finds the face, judges quality and liveness, matches with an enrolment that it takes
out of an encrypted vault, and decides; the peers find and match. Without ``--weights`` an untrained embedding
network stands in: its time is that of a trained one.

``DIR`` holds the two files of OpenCV's model zoo that gate_peers.py names. What does not install or wants to
download something is in the table with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from gate_peers import HEIGHT, PEERS, WIDTH
from machine import describe
from ostiary.faces.crops import aligned_crop, loose_crop
from ostiary.faces.detector import FaceDetector
from ostiary.faces.quality import QualityLimits, causes, measure
from ostiary.gate.gallery import Gallery
from ostiary.gate.gate import Gate
from ostiary.gate.liveness_stage import LivenessStage
from ostiary.gate.matching import EmbeddingMatcher, Shot
from ostiary.gate.outcomes import ALWAYS_REQUIRED, decide
from ostiary.gate.policy import Policy
from ostiary.gate.vault import Vault
from ostiary.images import read_image
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.timing import Samples, interleave, ratio

PORTRAITS = Path(__file__).resolve().parents[1] / "tests" / "data"
THOROUGH = Policy(lockout=None, thorough=True)
"""Every stage is run, whatever the others found: the dearest case, and the one of whoever passes."""


def scenes(count: int, seed: int) -> list[NDArray[np.uint8]]:
    """Frames (480, 640, 3) of the astronaut before a wall, a little to one side or the other, with noise."""
    chance = np.random.default_rng(seed)
    portrait = Image.fromarray(read_image(PORTRAITS / "astronaut.png"))
    made = []
    for _ in range(count):
        side = int(chance.integers(360, 440))
        room = portrait.resize((WIDTH, HEIGHT)).filter(ImageFilter.GaussianBlur(40))
        room.paste(portrait.resize((side, side)), (int(chance.integers(40, 200)), HEIGHT - side))
        noisy = np.asarray(room, np.float32) + chance.normal(0, 2, (HEIGHT, WIDTH, 1))
        made.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return made


def untrained(network: str, folder: Path) -> Path:
    """Weights of a network that nobody trained, with a threshold that nobody measured."""
    from ostiary.export.card import EmbeddingCard
    from ostiary.export.face import export_face
    from ostiary.export.face_subjects import PREPROCESS, registered
    from ostiary.runtime.embedding_record import MatchThreshold

    threshold = MatchThreshold(value=0.9, rate=0.0, n_mated=0, n_non_mated=0, data="none")
    card = EmbeddingCard(
        name=network, version="0", licence="none", data=[], training_commit="unknown", preprocess=PREPROCESS,
        network=network, threshold=threshold,
    )  # fmt: skip
    return export_face(registered()[network], folder / "untrained.onnx", card).path


def stages(
    frame: NDArray[np.uint8], vault: Vault, weights: Path, words: Sequence[str], alive: Path | None
) -> dict[str, Callable[[], object]]:
    """What a decision consists of, each part by itself, and the whole under each word."""
    detector, liveness, embedding = FaceDetector(), LivenessModel(alive, keep=len(words)), EmbeddingModel(weights)
    matcher = EmbeddingMatcher(weights)
    gallery = Gallery(vault, matcher, 0, time.time)
    face = detector.detect(frame)[0]
    loose = loose_crop(frame, face.box, liveness.metadata.preprocess)[None]
    aligned = aligned_crop(frame, face.landmarks, embedding.preprocess)[None]
    people, probe = gallery.one("ada"), matcher.probe(Shot(frame, face))
    limits, outcomes = QualityLimits(), dict.fromkeys(ALWAYS_REQUIRED, "passed")
    gates = {
        word: Gate(vault, liveness=LivenessStage(alive, configuration=word), matcher=matcher, policy=THOROUGH)
        for word in words
    }
    return {
        "whole decision, " + words[0]: lambda: gates[words[0]].verify(frame, "ada"),
        **{f"whole decision, {word}": lambda word=word: gates[word].verify(frame, "ada") for word in words[1:]},
        "find the face": lambda: detector.detect(frame),
        "quality": lambda: causes(measure(frame, face.box, face.landmarks), limits),
        "crop for liveness": lambda: loose_crop(frame, face.box, liveness.metadata.preprocess),
        **{f"liveness, {word}": lambda word=word: liveness.liveness(loose, word) for word in words},
        "crop for matching": lambda: aligned_crop(frame, face.landmarks, embedding.preprocess),
        "embedding": lambda: embedding.embed(aligned),
        "vault: open one person": lambda: gallery.one("ada"),
        "match": lambda: gallery.match(probe, people),  # type: ignore[arg-type]
        "decide": lambda: decide(outcomes, ALWAYS_REQUIRED),
    }  # type: ignore[dict-item]


class Peer:
    """A process that answers frames; ``reason`` says why it does not."""

    def __init__(self, name: str, python: Path, models: Path, enrolled: NDArray[np.uint8]) -> None:
        program = Path(__file__).with_name("gate_peers.py")
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen([str(python), str(program), name, str(models)], env=environment, **pipes)
        said = self._ask(enrolled)
        self.reason = None if said.get("ready") else said.get("not_run", "it ended without a word")
        self.times: list[float] = []
        self.same = 0

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def answer(self, frame: NDArray[np.uint8]) -> dict[str, Any]:
        said = self._ask(frame)
        if not said:
            self.reason = "it ended while it was asked"
        return said

    def _ask(self, frame: NDArray[np.uint8]) -> dict[str, Any]:
        try:
            self._process.stdin.write(frame.tobytes())
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            return {}
        return dict(json.loads(line)) if line else {}


def beside(
    gate: Callable[[NDArray[np.uint8]], object],
    peers: Mapping[str, Peer],
    frames: Sequence[NDArray[np.uint8]],
    rounds: int,
    warmup: int,
    seed: int,
) -> Iterator[tuple[str, Samples]]:
    """Times of the gate, called ``""``, and of each peer that answers."""
    chance, own = random.Random(seed), []
    turns: list[str] = ["", *(name for name, peer in peers.items() if peer.reason is None)]
    for number in range(-warmup, rounds):
        frame = frames[number % len(frames)]
        chance.shuffle(turns)
        for name in turns:
            if not name:
                begun = time.process_time()
                gate(frame)
                taken = 1000 * (time.process_time() - begun)
            elif peers[name].reason is None:
                said = peers[name].answer(frame)
                taken = said.get("ms", float("nan"))
                peers[name].same += bool(said.get("same")) and number >= 0
            if number >= 0:
                (peers[name].times if name else own).append(taken)
    yield "", Samples(tuple(own))
    yield from ((name, Samples(tuple(peer.times))) for name, peer in peers.items() if peer.reason is None)


def stage_table(samples: Mapping[str, Samples]) -> Iterator[str]:
    base = next(iter(samples.values()))
    yield "| part | CPU ms, median (quartiles) | of the whole decision |\n|---|---|---|"
    for name, times in samples.items():
        low, high = times.quartiles
        yield f"| {name} | {times.median:.3f} ({low:.3f} to {high:.3f}) | {ratio(times, base).value:.3f} |"


def peer_table(samples: Mapping[str, Samples], peers: Mapping[str, Peer], rounds: int, word: str) -> Iterator[str]:
    yield "| system | liveness | CPU ms, median | times the gate (quartiles) | said 'same' |"
    yield "|---|---|---|---|---|"
    yield f"| ostiary gate, {word} | yes | {samples[''].median:.2f} | 1 | |"
    for name, peer in peers.items():
        title = PEERS[name][0]
        if peer.reason is not None:
            yield f"| {title} | no | | not run: {peer.reason} | |"
            continue
        found = ratio(samples[name], samples[""])
        spread = f"{found.quartiles[0]:.2f} to {found.quartiles[1]:.2f}"
        share = f"{peer.same} of {rounds}"
        yield f"| {title} | no | {samples[name].median:.2f} | {found.value:.2f} ({spread}) | {share} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument(
        "--words", default="HHH,LLL", help="configurations; the first is the one compared with peers"
    )
    parser.add_argument("--liveness", type=Path, help="weights; default: the packaged ones")
    parser.add_argument("--weights", type=Path, help="of the embedding; default: an untrained --network")
    parser.add_argument("--network", default="seesaw_shuffle", help="of the registry, for an untrained embedding")
    parser.add_argument("--peer-python", type=Path, help="Python of an environment with the peers")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--models", type=Path, default=Path(), help="folder of YuNet and SFace")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    words, frames = arguments.words.split(","), scenes(8, arguments.seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        weights = arguments.weights or untrained(arguments.network, folder)
        vault = stack.enter_context(Vault.create(folder / "vault.db", bytes(range(32))))
        gate = Gate(
            vault,
            liveness=LivenessStage(arguments.liveness, configuration=words[0]),
            matcher=EmbeddingMatcher(weights),
            policy=THOROUGH,
        )
        report = gate.enrol("ada", frames[0], consent="benchmark", watched=True)
        if not report.enrolled:
            sys.exit(f"The frame cannot be enrolled: {report.sentence}")
        shown = gate.verify(frames[1], "ada")
        if shown.similarity is None or shown.liveness is None:
            sys.exit(f"The gate did not measure the frame: {shown.reason}.")
        name = arguments.weights.name if arguments.weights else f"{arguments.network}, untrained"
        alive = arguments.liveness.name if arguments.liveness else "as packaged"
        used = f"liveness: {alive}; embedding: {name}; {arguments.rounds} rounds."
        print(f"{describe()}\n\nFrames of {WIDTH}x{HEIGHT}; {used}\n")
        parts = interleave(
            stages(frames[0], vault, weights, words, arguments.liveness), rounds=arguments.rounds,
            warmup=arguments.warmup, seed=arguments.seed, clock=time.process_time,
        )  # fmt: skip
        print("\n".join(stage_table(parts)), flush=True)
        peers: dict[str, Peer] = {}
        if arguments.peer_python:
            for peer in arguments.peers.split(","):
                peers[peer] = Peer(peer, arguments.peer_python, arguments.models, frames[0])
                stack.callback(peers[peer].close)
        samples = dict(
            beside(
                lambda frame: gate.verify(frame, "ada"),
                peers,
                frames,
                arguments.rounds,
                arguments.warmup,
                arguments.seed,
            )
        )
        print("\n" + "\n".join(peer_table(samples, peers, arguments.rounds, words[0])))
    if arguments.out:
        record: dict[str, Any] = {
            "machine": describe(),
            "rounds": arguments.rounds,
            "liveness": alive,
            "embedding": name,
        }
        record["parts_ms"] = {part: times.median for part, times in parts.items()}
        record["systems_ms"] = {peer or "gate": times.median for peer, times in samples.items()}
        record["not_run"] = {peer: made.reason for peer, made in peers.items() if made.reason}
        arguments.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
