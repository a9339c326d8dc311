"""Other people's answer to one frame, each in a process of its own: who is this, is it the person enrolled?

``gate.py`` starts ``PYTHON gate_peers.py NAME DIR`` with the Python of an environment that holds the peer, and
speaks to it by pipes: a frame goes in as bytes, a line of JSON comes back with the CPU time of the whole process.
This file imports nothing of ostiary. Each peer is called as its own documentation calls it, on one thread, and
compares with a template that it made once before.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_threads] = "1"
os.environ["CUDA_VISIBLE_DEVICES"], os.environ["TF_CPP_MIN_LOG_LEVEL"] = "", "3"

import numpy as np  # noqa: E402

WIDTH, HEIGHT = 640, 480
YUNET, SFACE = "face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx"
"""Names of OpenCV's model zoo, under which deepface looks for them too."""

Judge = Callable[[Any], bool]
"""Says whether an RGB frame (H, W, 3) shows the enrolled person."""


def opencv(models: Path, enrolled: Any) -> Judge:
    """YuNet and SFace of the model zoo, the whole frame searched, as in OpenCV's own tutorial."""
    import cv2

    cv2.setNumThreads(1)
    finder = cv2.FaceDetectorYN.create(str(models / YUNET), "", (WIDTH, HEIGHT), 0.8, 0.3, 5000)
    namer = cv2.FaceRecognizerSF.create(str(models / SFACE), "")

    def feature(frame: Any) -> Any:
        picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        _, faces = finder.detect(picture)
        return namer.feature(namer.alignCrop(picture, faces[0])).copy()

    template = feature(enrolled)
    return lambda frame: namer.match(template, feature(frame), cv2.FaceRecognizerSF_FR_COSINE) >= 0.363


def deepface(models: Path, enrolled: Any) -> Judge:
    """``DeepFace.verify`` with YuNet and SFace, against an embedding that ``DeepFace.represent`` made."""
    home = Path(tempfile.mkdtemp())
    (home / ".deepface" / "weights").mkdir(parents=True)
    for name in (YUNET, SFACE):
        (home / ".deepface" / "weights" / name).symlink_to((models / name).resolve())
    os.environ["DEEPFACE_HOME"] = str(home)
    import cv2
    from deepface import DeepFace

    cv2.setNumThreads(1)
    chosen = {"model_name": "SFace", "detector_backend": "yunet"}
    template = DeepFace.represent(enrolled[..., ::-1], **chosen)[0]["embedding"]
    return lambda frame: bool(DeepFace.verify(template, frame[..., ::-1], **chosen, silent=True)["verified"])


def face_recognition(_: Path, enrolled: Any) -> Judge:
    """HOG and the 128 numbers of dlib's ResNet, as in the package's README."""
    import face_recognition as package

    def encoding(frame: Any) -> Any:
        return package.face_encodings(frame, package.face_locations(frame))[0]

    template = encoding(enrolled)
    return lambda frame: bool(package.compare_faces([template], encoding(frame))[0])


def uniface(_: Path, enrolled: Any) -> Judge:
    """RetinaFace and ArcFace, whose files the package downloads unless they are in its cache."""
    from uniface import ArcFace, RetinaFace, get_cache_dir

    if not any(Path(get_cache_dir()).glob("*.onnx")):
        raise FileNotFoundError("the package would download its models, and none are in its cache")
    finder, namer = RetinaFace(), ArcFace()

    def embedding(frame: Any) -> Any:
        picture = np.ascontiguousarray(frame[..., ::-1])
        return np.ravel(namer.get_normalized_embedding(picture, finder.detect(picture)[0].landmarks))

    template = embedding(enrolled)
    return lambda frame: bool(embedding(frame) @ template > 0.4)


PEERS: dict[str, tuple[str, Callable[[Path, Any], Judge]]] = {
    "opencv": ("OpenCV, YuNet + SFace", opencv),
    "uniface": ("uniface, RetinaFace + ArcFace", uniface),
    "deepface": ("deepface, YuNet + SFace", deepface),
    "face_recognition": ("face_recognition", face_recognition),
}


def main() -> None:
    name, models = sys.argv[1], Path(sys.argv[2])
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a package prints must not stand among the answers

    def answer(**values: object) -> None:
        print(json.dumps(values), file=answers, flush=True)

    def frame() -> Any | None:
        content = sys.stdin.buffer.read(WIDTH * HEIGHT * 3)
        return np.frombuffer(content, np.uint8).reshape(HEIGHT, WIDTH, 3).copy() if content else None

    try:
        judge = PEERS[name][1](models, frame())
    except BaseException as error:  # some packages leave by sys.exit
        answer(not_run=f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")
        return
    answer(ready=True)
    while (shown := frame()) is not None:
        begun = time.process_time()
        try:
            same: bool | None = bool(judge(shown))
        except Exception:  # no face was found
            same = None
        answer(ms=1000 * (time.process_time() - begun), same=same)


if __name__ == "__main__":
    main()
