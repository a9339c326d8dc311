"""The table of readers: a new data set is one new file and one line here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from ostiary.data import casia_fasd, celeba_spoof, folder, identity_shards, nuaa, oulu_npu, packs, replay_attack
from ostiary.data.index import Index
from ostiary.errors import DataIndexError

READERS: Mapping[str, Callable[[Path], Index]] = MappingProxyType(
    {
        "casia_fasd": casia_fasd.read,
        "celeba_spoof": celeba_spoof.read,
        "folder": folder.read,
        "identity_shards": identity_shards.read,
        "nuaa": nuaa.read,
        "oulu_npu": oulu_npu.read,
        "packs": packs.read,
        "replay_attack": replay_attack.read,
    }
)


def read_layout(layout: str, root: Path) -> Index:
    """Read the data set under ``root`` by the reader of that name; DataIndexError if there is none."""
    if layout not in READERS:
        raise DataIndexError(f"unknown layout {layout!r}; there are {', '.join(READERS)}.")
    return READERS[layout](root)
