"""Damage done to a valid file, drawn from a seed: what a broken disk does, a hurried editor, and a hostile hand.

Some damage knows nothing of formats (bits, pieces cut out, doubled or taken from another file), some goes where
formats are weak (lengths, counts, numbers in text, quotes, depth). The same seed gives the same bytes everywhere.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

Damage = Callable[[bytes, Sequence[bytes], random.Random], bytes]
"""Takes the content, the contents of other valid files, and the source of chance."""

_WHOLE_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
_NUMBERS = (
    b"0", b"-0", b"-1", b"1", b"1.0000001", b"-1e-320", b"1e999", b"-1e999", b"nan", b"NaN", b"Infinity", b"0x10",
    b"1_0", b"9" * 25, b"9" * 5000, b"1e-999", "\u0663".encode(), "\u00b2".encode(), b"", b" ", b"true", b"null",
)  # fmt: skip
_TOKENS = (
    b",", b'"', b"'", b"\0", b"\n", b"\r", b"\r\n", b"\t", b"\\", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80",
    b"{", b"}", b"[", b"]", b"[]", b"{}", b'"a":1,', b"..", b"/etc/passwd", b"%s%n", b"=1+1",
    "\U0001f600".encode(), b"x" * 200_000, b"[" * 100_000, b'{"a":' * 20_000, b"a." * 20_000,
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_VALUE = re.compile(rb'"[^"\n]{0,200}"|\btrue\b|\bfalse\b|\bnull\b')
_VALUES = (b"null", b"true", b"0", b"-1", b"[]", b"{}", b'""', b'"\\ud800"', b'"' + b"y" * 5000 + b'"', b"1e400")


def mutated(content: bytes, others: Sequence[bytes], seed: str, *, text: bool) -> bytes:
    """A valid content with one to four kinds of damage.

    Args:
        content: of a valid file.
        others: contents of valid files that lend their pieces; at least one.
        seed: says everything.
        text: whether damage to numbers, lines and quotes is drawn as often as that to bytes.

    """
    chance = random.Random(seed)
    kinds = (*_BYTES, *_TEXT) if text else (*_BYTES, *_BYTES, *_TEXT)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        content = chance.choice(kinds)(content, others, chance)
    return content


def _flip(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _number in range(chance.choice((1, 1, 2, 8))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _overwrite(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _range(content, chance, 16)
    return content[:start] + chance.randbytes(end - start) + content[end:]


def _truncate(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def _cut_out(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _range(content, chance, 4096)
    return content[:start] + content[end:]


def _double(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _range(content, chance, 4096)
    return content[:end] + content[start:end] * chance.choice((1, 1, 2, 50)) + content[end:]


def _insert(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, _end = _range(content, chance, 1)
    return content[:start] + chance.randbytes(chance.choice((1, 2, 4, 64))) + content[start:]


def _splice(content: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A piece of another valid file, in place of as much or between."""
    other = chance.choice(others)
    start, end = _range(other, chance, max(1, len(other)))
    place = chance.randint(0, len(content))
    kept = place if chance.random() < 0.5 else min(len(content), place + end - start)
    return content[:place] + other[start:end] + content[kept:]


def _length(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    """A whole number of 1, 2, 4 or 8 bytes of either order: lengths, counts and offsets are such."""
    form = chance.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    if len(content) < size:
        return content
    place = chance.randrange(min(len(content), 512) if chance.random() < 0.5 else len(content))
    place = min(place, len(content) - size)
    value = chance.choice(_WHOLE_NUMBERS)
    if chance.random() < 0.5:
        value = struct.unpack_from(form, content, place)[0] + chance.choice((-1, 1, -2, 2, 256))
    return content[:place] + struct.pack(form, value % 256**size) + content[place + size :]


def _blank(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _range(content, chance, 4096)
    return content[:start] + chance.choice((b"\0", b"\xff", b"A")) * (end - start) + content[end:]


def _number(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    return _replaced(_NUMBER, _NUMBERS, content, chance)


def _value(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    return _replaced(_VALUE, _VALUES, content, chance)


def _token(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, _end = _range(content, chance, 1)
    if chance.random() < 0.2:
        start = 0  # depth counts where nothing has gone wrong yet
    return content[:start] + chance.choice(_TOKENS) + content[start:]


def _lines(content: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    """Lines exchanged, doubled or left out."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    kind = chance.randrange(3)
    if kind == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == 1:
        lines.insert(other, lines[one])
    else:
        del lines[one]
    return b"".join(lines)


_BYTES: tuple[Damage, ...] = (
    _flip, _overwrite, _truncate, _cut_out, _double, _insert, _splice, _length, _length, _blank,
)  # fmt: skip
_TEXT: tuple[Damage, ...] = (_number, _number, _value, _token, _lines)


def _range(content: bytes, chance: random.Random, longest: int) -> tuple[int, int]:
    start = chance.randint(0, len(content))
    return start, min(len(content), start + chance.randint(1, longest))


def _replaced(what: re.Pattern[bytes], by: Sequence[bytes], content: bytes, chance: random.Random) -> bytes:
    """One place of what a pattern finds, of the first thousand."""
    found = [match for match, _ in zip(what.finditer(content), range(1000), strict=False)]
    if not found:
        return content
    chosen = chance.choice(found)
    return content[: chosen.start()] + chance.choice(by) + content[chosen.end() :]
