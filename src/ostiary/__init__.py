"""Ostiary keeps a door: is the face at the camera alive, and is it the right one?

::

    from ostiary import Liveness

    check = Liveness(budget_ms=20).check("photo.jpg")
    for face in check.faces:
        print(face.liveness, face.accepted, face.reason)

Names are loaded when they are first used, so that ``import ostiary`` costs next to nothing and needs
neither torch nor onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ostiary.embedder import Comparison, Embedder
    from ostiary.errors import OstiaryError
    from ostiary.gate.decision import Decision
    from ostiary.gate.gate import Gate
    from ostiary.images import read_image
    from ostiary.liveness import CheckedFace, ImageCheck, Liveness

__version__ = "0.1.0"

__all__ = [
    "CheckedFace",
    "Comparison",
    "Decision",
    "Embedder",
    "Gate",
    "ImageCheck",
    "Liveness",
    "OstiaryError",
    "read_image",
]

_HOMES = {
    "CheckedFace": "ostiary.liveness",
    "Comparison": "ostiary.embedder",
    "Decision": "ostiary.gate.decision",
    "Embedder": "ostiary.embedder",
    "Gate": "ostiary.gate.gate",
    "ImageCheck": "ostiary.liveness",
    "Liveness": "ostiary.liveness",
    "OstiaryError": "ostiary.errors",
    "read_image": "ostiary.images",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ostiary' has no attribute {name!r}")
    try:
        home = import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        if name != "Gate":
            raise
        from ostiary.errors import MissingExtraError

        raise MissingExtraError(str(error.name), "gate") from error
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
