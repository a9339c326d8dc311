"""InsightFace's verification sets (``lfw.bin``, ``cfp_fp.bin``, ``agedb_30.bin``, ...), opened safely.

Such a file is a Python pickle of two lists: encoded pictures, two a pair, and whether each pair shows one person.
A pickle is a program: it may import and call anything. Here it may name but a few things, none of which is ever
imported: this module's own stand-ins take their places, and do nothing but keep the bytes of an array.
"""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from ostiary.data.pairs import Pair, Pairs
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError

FOLDS = 10
"""The pairs in their order, cut into so many parts of equal length, as InsightFace's own evaluation does."""


class BinPictures(PictureStore):
    """The pictures of one ``.bin``, held in memory; a picture's name is ``STEM/PLACE``, such as ``lfw/000017``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        pictures, self.same = _load(path)
        self._pictures = {f"{path.stem}/{place:06d}": picture for place, picture in enumerate(pictures)}

    def __str__(self) -> str:
        return str(self._path)

    def __getstate__(self) -> Path:
        return self._path

    def __setstate__(self, path: Path) -> None:
        BinPictures.__init__(self, path)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all pictures: the two of each pair, pair after pair."""
        return tuple(self._pictures)

    def _has(self, name: str) -> bool:
        return name in self._pictures

    def _read(self, name: str) -> bytes:
        if name not in self._pictures:
            raise DataIndexError(
                f"{name}: not among the {len(self._pictures)} pictures of {self}; check its name."
            )
        return self._pictures[name]


def open_bin(path: str | Path) -> tuple[Pairs, BinPictures]:
    """Open a verification set written by Python 2 or 3: its pairs, with ten folds, and its pictures.

    Fewer than ten pairs have no folds.

    Raises:
        DataIndexError: the file is damaged, is of another kind, or asks for code to be run, which is refused.

    """
    store = BinPictures(Path(path))
    parts = np.array_split(np.arange(len(store.same)), FOLDS) if len(store.same) >= FOLDS else []
    folds = {int(place): fold for fold, part in enumerate(parts) for place in part}
    names = store.names
    pairs = (
        Pair(names[2 * place], names[2 * place + 1], same, folds.get(place))
        for place, same in enumerate(store.same)
    )
    return Pairs(pairs), store


def _load(path: Path) -> tuple[list[bytes], list[bool]]:
    try:
        content = path.read_bytes()
        _check_places(content)
        pictures, same = _Reader(io.BytesIO(content), encoding="bytes").load()
        return _checked([_bytes(picture) for picture in pictures], [_flag(flag) for flag in _items(same)])
    except OSError as error:
        raise DataIndexError(f"{path}: cannot be read ({error.strerror}); check the path.") from None
    except _RefusedError as refusal:
        raise DataIndexError(
            f"{path}: asks for {refusal} to be run when it is opened, which no set of pictures needs; nothing was "
            "run: do not open it with other programs either."
        ) from None
    except Exception as error:  # a damaged pickle raises nearly anything, with its bytes in some of the messages
        fault = error if isinstance(error, _FaultError) else type(error).__name__
        raise DataIndexError(
            f"{path}: is no verification set, or is damaged ({fault}); it must hold pictures, two a pair, and "
            "whether each pair is of one person: fetch it again."
        ) from None


def _check_places(content: bytes) -> None:
    """Refuse a pickle that numbers an object beyond their count: the unpickler would reserve that much memory."""
    for count, (opcode, place, _) in enumerate(pickletools.genops(content)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and place not in range(count + 1):
            raise _FaultError(f"object {place} after {count}")


class _RefusedError(Exception):
    """The pickle named something that is not on the list."""


class _FaultError(Exception):
    """The pickle is harmless, but not what it should be."""


class _Array:
    """Stands in for a numpy array or scalar: its element type and bytes."""

    __slots__ = ("content", "kind", "shape")

    def __init__(self, kind: str = "", content: bytes = b"", shape: tuple[int, ...] = ()) -> None:
        self.kind, self.content, self.shape = kind, content, shape

    def __setstate__(self, state: tuple[int, tuple[int, ...], "_Type", bool, bytes]) -> None:
        _, self.shape, element, _, content = state
        self.kind, self.content = element.kind, _bytes(content)


class _Type:
    """Stands in for a numpy dtype."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __setstate__(self, state: object) -> None:
        """Byte order and the like, of which single bytes have none."""


class _StandIn:
    """Takes the place of a callable of the list; has no attributes that a pickle could set."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __setstate__(self, state: object) -> None:
        raise _RefusedError(f"a change of {self._name}")

    def __call__(self, *arguments: Any) -> Any:
        return getattr(_StandIn, f"_{self._name}")(*arguments)

    @staticmethod
    def _dtype(kind: str | bytes, *_: object) -> _Type:
        return _Type(kind.decode() if isinstance(kind, bytes) else kind)

    @staticmethod
    def _reconstruct(*_: object) -> _Array:
        return _Array()

    @staticmethod
    def _frombuffer(content: Any, element: _Type, shape: tuple[int, ...], _: object) -> _Array:
        return _Array(element.kind, _bytes(content), shape)

    @staticmethod
    def _scalar(element: _Type, content: bytes) -> _Array:
        return _Array(element.kind, _bytes(content))

    @staticmethod
    def _encode(text: str, encoding: str | bytes) -> bytes:
        if encoding not in ("latin1", b"latin1"):
            raise _FaultError("text that is no bytes")
        return text.encode("latin1")

    @staticmethod
    def _bytearray(content: str | bytes = b"", encoding: str | bytes = "latin-1") -> bytes:
        return content.encode("latin1") if isinstance(content, str) else bytes(_bytes(content))

    @staticmethod
    def _ndarray(*_: object) -> None:
        raise _RefusedError("numpy.ndarray")


_STAND_INS = {
    ("numpy", "dtype"): "dtype",
    ("numpy", "ndarray"): "ndarray",
    ("_codecs", "encode"): "encode",  # bytes, in the protocols that Python 2 can read
    **{(module, "bytearray"): "bytearray" for module in ("builtins", "__builtin__")},
    **{
        (f"numpy.{core}.multiarray", name): name.lstrip("_")
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): "frombuffer" for core in ("core", "_core")},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _StandIn:
        if (module, name) not in _STAND_INS:
            raise _RefusedError(f"{module}.{name}")
        return _StandIn(_STAND_INS[module, name])

    def persistent_load(self, pid: object) -> None:
        raise _RefusedError("an outside object")


def _bytes(value: Any) -> bytes:
    """The bytes of an encoded picture, however they were kept."""
    if isinstance(value, _Array):
        if value.kind != "u1" or len(value.shape) != 1:
            raise _FaultError(f"a picture is an array of {value.kind} {value.shape}, not of encoded bytes")
        value = value.content
    if not isinstance(value, bytes | bytearray):
        raise _FaultError(f"{type(value).__name__} where bytes should be")
    return bytes(value)


def _items(value: Any) -> list[Any]:
    if isinstance(value, _Array):
        if value.kind not in ("b1", "u1", "?"):
            raise _FaultError(f"its flags are an array of {value.kind}")
        return list(value.content)
    return list(value)


def _flag(value: Any) -> bool:
    if isinstance(value, _Array):
        value = value.content != b"\0"
    if value not in (0, 1):
        raise _FaultError("a flag is neither true nor false")
    return bool(value)


def _checked(pictures: list[bytes], same: list[bool]) -> tuple[list[bytes], list[bool]]:
    if not same or len(pictures) != 2 * len(same):
        raise _FaultError(f"{len(pictures)} pictures and {len(same)} pairs")
    return pictures, same
