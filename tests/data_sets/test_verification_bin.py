"""InsightFace's ``.bin`` sets: whatever Python wrote them, and whatever a hostile one asks for."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ostiary.data.verification_bin import open_bin
from ostiary.errors import DataIndexError


def jpeg(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(buffer, "JPEG")
    return buffer.getvalue()


PICTURES = [jpeg(level) for level in range(0, 240, 10)]
SAME = [True, False, False] * 4


def written(folder: Path, content: bytes) -> Path:
    path = folder / "lfw.bin"
    path.write_bytes(content)
    return path


def python_2(pictures: list[bytes], same: list[bool]) -> bytes:
    """What ``pickle.dump((pictures, same), file, pickle.HIGHEST_PROTOCOL)`` of Python 2 writes: byte strings."""
    strings = b"".join(
        b"T" + struct.pack("<i", len(one)) + one + b"r" + struct.pack("<I", place)
        for place, one in enumerate(pictures, start=1)
    )
    flags = b"".join(b"\x88" if flag else b"\x89" for flag in same)
    return b"\x80\x02]q\x00(" + strings + b"e](" + flags + b"e\x86."


def arrays(pictures: list[bytes]) -> list[Any]:
    return [np.frombuffer(one, np.uint8) for one in pictures]


WRITERS: dict[str, Callable[[], bytes]] = {
    "python 2": lambda: python_2(PICTURES, SAME),
    **{f"protocol {n}": lambda n=n: pickle.dumps((PICTURES, SAME), n) for n in range(6)},  # type: ignore[misc]
    **{f"arrays, protocol {n}": lambda n=n: pickle.dumps((arrays(PICTURES), SAME), n) for n in (0, 2, 4, 5)},  # type: ignore[misc]
    "writable arrays": lambda: pickle.dumps(([array.copy() for array in arrays(PICTURES)], SAME), 5),
    "arrays of an older numpy": lambda: pickle.dumps((arrays(PICTURES), SAME), 2).replace(
        b"numpy._core", b"numpy.core"
    ),
    "byte arrays": lambda: pickle.dumps(([bytearray(one) for one in PICTURES], SAME), 4),
    "byte arrays, protocol 2": lambda: pickle.dumps(([bytearray(one) for one in PICTURES], SAME), 2),
    "lists and numbers": lambda: pickle.dumps([PICTURES, [int(flag) for flag in SAME]]),
    "flags of numpy": lambda: pickle.dumps((PICTURES, list(np.array(SAME)))),
    "an array of flags": lambda: pickle.dumps((PICTURES, np.array(SAME))),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_all_ways_to_write_it_are_the_same_set(tmp_path: Path, writer: str) -> None:
    pairs, store = open_bin(written(tmp_path, WRITERS[writer]()))
    assert [pair.same for pair in pairs] == SAME
    assert [store.read(path) for path in pairs.paths] == PICTURES
    assert (pairs[1].path_a, pairs[1].path_b) == ("lfw/000002", "lfw/000003")
    assert abs(int(store.image(pairs[3].path_b)[0, 0, 0]) - 70) <= 2


def test_ten_folds_in_order_the_first_ones_longer(tmp_path: Path) -> None:
    pairs, _ = open_bin(written(tmp_path, python_2(PICTURES, SAME)))
    assert [pair.fold for pair in pairs] == [0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    few, _ = open_bin(written(tmp_path, python_2(PICTURES[:18], SAME[:9])))
    assert few.folds == ()


def test_the_store_is_pickled_and_knows_its_names(tmp_path: Path) -> None:
    _, store = open_bin(written(tmp_path, python_2(PICTURES, SAME)))
    copy = pickle.loads(pickle.dumps(store))
    assert copy.read("lfw/000005") == PICTURES[5]
    assert len(pickle.dumps(store)) < 1_000, "the pictures are read anew, not copied"
    assert "lfw/000024" not in copy
    with pytest.raises(DataIndexError, match="lfw/000024: not among the 24 pictures"):
        copy.read("lfw/000024")


class Hostile:
    """Makes a folder when it is unpickled by anyone who allows it."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.arguments


def hostile_instance(target: str) -> bytes:
    """The old opcode that names and calls in one."""
    return b"(S'" + target.encode() + b"'\nios\nmkdir\n."


@pytest.mark.parametrize("protocol", range(6))
def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "trace"
    content = pickle.dumps(([*PICTURES[:-1], Hostile(os.mkdir, str(target))], SAME), protocol)
    with pytest.raises(DataIndexError, match=r"lfw\.bin: asks for posix\.mkdir to be run .*; nothing was run"):
        open_bin(written(tmp_path, content))
    assert not target.exists()
    pickle.loads(content)
    assert target.exists(), "the pickle was hostile indeed"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (hostile_instance("trace"), r"os\.mkdir"),
        (pickle.dumps(Hostile(eval, "1")), r"builtins\.eval"),
        (pickle.dumps(Hostile(getattr, "a", "b")), r"builtins\.getattr"),
        (pickle.dumps(np.random.default_rng(0)), "numpy"),
        (b"\x80\x02cnumpy\nload\nq\x00.", r"numpy\.load"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.data\x93.", r"numpy\.ndarray\.data"),
        (b"\x80\x02cnumpy\nndarray\n)R.", r"numpy\.ndarray"),
        (b"\x80\x02cnumpy\nndarray\n}S'x'\nK\x01sb.", "a change of ndarray"),
        (b"\x80\x02cnumpy\nndarray\nN}S'__call__'\nK\x01s\x86b.", "a change of ndarray"),
        (b"Pelsewhere\n.", "an outside object"),
    ],
)
def test_whatever_else_a_pickle_may_ask_for(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(DataIndexError, match=rf"lfw\.bin: asks for .*{words}"):
        open_bin(written(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        python_2(PICTURES, SAME)[:200],
        pickle.dumps({"pictures": PICTURES}),
        pickle.dumps((PICTURES[:-1], SAME)),
        pickle.dumps(([], [])),
        pickle.dumps(PICTURES),
        pickle.dumps((["text"] * 24, SAME)),
        pickle.dumps((PICTURES, ["yes"] * 12)),
        pickle.dumps((PICTURES, np.linspace(0, 1, 12))),
        pickle.dumps(([np.zeros((8, 8, 3), np.uint8)] * 24, SAME)),
        pickle.dumps(([np.zeros(8)] * 24, SAME)),
        pickle.dumps(([np.array(["a"], dtype=object)] * 24, SAME)),
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0f.",
        b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        b"\x80\x02K\x01)R.",
        b"\x80\x02c_codecs\nencode\n)\x81.",
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataIndexError, match=r"lfw\.bin: is no verification set, or is damaged \(.*\); it must"):
        open_bin(written(tmp_path, content))


def test_an_absent_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.bin"):
        with pytest.raises(DataIndexError, match="cannot be read"):
            open_bin(path)
