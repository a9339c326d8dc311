"""Readers of data and scores: lists, score files, shards, record files, pickles that must not run."""

from __future__ import annotations

import gzip
import io
import json
import math
import pickle
import struct
import tarfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from fuzz_trial import Files, Subject
from PIL import Image

from ostiary.data.identities import IdentityIndex
from ostiary.data.identity_pack import read_list
from ostiary.data.identity_readers import read_faces
from ostiary.data.index import Index
from ostiary.data.pairs import read_pairs
from ostiary.data.pictures import open_pictures
from ostiary.data.readers import read_layout
from ostiary.data.verification_bin import open_bin
from ostiary.reports.comparisons import read_comparisons
from ostiary.reports.scores import read_scores
from ostiary.reports.system_run import read_transactions
from ostiary.reports.system_trials import TrialList

_SCORES = """path,label,species,subject,split,dataset,capture,configuration,liveness,reason
a.jpg,bona_fide,,ann,test,drawn,1,HHH,0.9731,
b.jpg,attack,print,ann,test,drawn,2,HHH,0.0125,
"c,d.jpg",attack,replay,ben,test,drawn,3,LLL,,no_face
"""
_COMPARISONS = """path_a,path_b,same,fold,similarity,group,reason
a/1.jpg,a/2.jpg,1,0,0.91234,left,
a/1.jpg,b/1.jpg,0,1,0.45,right,
a/1.jpg,c/1.jpg,0,1,,right,no_face
"""
_TRANSACTIONS = """kind,enrolled,presented,dataset,image,species,accepted,answered,reason
mated,ann,ann,drawn,a.jpg,,1,1,accepted
non_mated,ann,ben,drawn,b.jpg,,0,1,another_person
attack,ann,ann,drawn,c.jpg,print,0,0,no_face
"""
_TRIALS = """role,subject,image,species,dataset
enrol,ann,a.jpg,,drawn
bona_fide,ann,b.jpg,,drawn
attack,ann,c.jpg,print,drawn
"""
_INDEX = """path,label,species,subject,split,dataset,capture,box
a.jpg,bona_fide,,ann,train,drawn,1,10 20 30.5 40
b.jpg,attack,print,ben,test,drawn,2,
"""
_IDENTITIES = """path,identity,split,dataset
a/1.jpg,a,train,drawn
a/2.jpg,a,train,drawn
b/1.jpg,,test,drawn
"""
_PAIRS = """path_a,path_b,same,fold,group
a/1.jpg,a/2.jpg,1,0,
a/1.jpg,b/1.jpg,false,1,
"""
_LFW = "2\t1\nAnn_Lee\t1\t4\nAnn_Lee\t2\tBen_Moe\t1\nBen_Moe\t1\t2\nBen_Moe\t2\tAnn_Lee\t1\n"
_PACK = """path,shard,identity,split,source
a/1.jpg,one.tar,17,train,drawn
a/2.jpg,one.tar,-1,unlabelled,drawn
"""
_LABELS = {
    f"Data/train/{n}/{kind}/p.jpg": [0] * 40 + [3 * spoof, 1, 0, spoof]
    for n, kind, spoof in ((1, "live", 0), (2, "spoof", 1))
}


def _text(name: str, *contents: str) -> Callable[[Path], Sequence[Files]]:
    return lambda _: [{name: content.encode()} for content in contents]


def _read_scores(name: str, folder: Path) -> object:
    table = read_scores(folder / name)
    for scores in table.configurations.values():
        for value, reason in zip(scores.liveness, scores.reasons, strict=True):
            assert 0 <= value <= 1 or (math.isnan(value) and reason)
    return repr({word: (s.samples, s.liveness.tolist(), s.reasons) for word, s in table.configurations.items()})


def _compressed(_: Path) -> Sequence[Files]:
    return [{"scores.csv.gz": gzip.compress(_SCORES.encode(), mtime=0)}]


def _read_comparisons(folder: Path) -> object:
    found = read_comparisons(folder / "comparisons.csv")
    for value, reason in zip(found.similarity, found.reasons, strict=True):
        assert 0 <= value <= 1 or (math.isnan(value) and reason)
    return repr((found.pairs, found.similarity.tolist(), found.reasons))


def _read_index(folder: Path) -> object:
    index = Index.read_csv(folder / "index.csv")
    for sample in index:
        assert (sample.label == "attack") == bool(sample.species)
        assert sample.box is None or all(map(math.isfinite, sample.box))
    return tuple(index)


def _read_pairs(name: str, folder: Path) -> object:
    pairs = read_pairs(folder / name)
    assert all(pair.path_a and pair.path_b and pair.path_a != pair.path_b for pair in pairs)
    return tuple(pairs)


_JPEG = io.BytesIO()
Image.new("RGB", (8, 8), "red").save(_JPEG, "JPEG")
_PICTURE = _JPEG.getvalue()


def _tar(compression: str, **files: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _shards(_: Path) -> Sequence[Files]:
    numbers = _tar("", **{"000.jpg": _PICTURE, "000.cls": b"17", "001.jpg": _PICTURE, "001.cls": b"-1"})
    records = _tar("", **{"a.jpg": _PICTURE, "a.json": b'{"identity": "ann", "age": [1, 2]}'})
    return [{"train-000.tar": content} for content in (numbers, records)]


def _read_shards(folder: Path) -> object:
    portraits = read_faces("webdataset_shards", [folder])
    store = open_pictures(folder / "train-000.tar")
    return [(portrait, len(store.read(portrait.path.partition("/")[2]))) for portrait in portraits]


def _labels_in_shards(_: Path) -> Sequence[Files]:
    return [{"a.json": b'{"identity": "ann", "age": [1, 2]}', "b.cls": b"17"}]


def _read_labels(folder: Path) -> object:
    labels = {path.name: path.read_bytes() for path in folder.iterdir()}
    shard = folder / "train-000.tar"
    shard.write_bytes(_tar("", **{"a.jpg": _PICTURE, "b.jpg": _PICTURE}, **labels))
    return tuple(read_faces("webdataset_shards", [shard]))


def _tars(_: Path) -> Sequence[Files]:
    return [
        {"pictures.tar": _tar(kind, **{"a/1.jpg": _PICTURE, "b.jpg": _PICTURE})}
        for kind in ("", "gz", "bz2", "xz")
    ]


def _read_tar(folder: Path) -> object:
    store = open_pictures(folder / "pictures.tar")
    return [store.read(name) for name in ("a/1.jpg", "b.jpg") if name in store]


def _records(_: Path) -> Sequence[Files]:
    records = [
        struct.pack("<IfQQ", 0, 5, 1, 0) + _PICTURE,
        struct.pack("<IfQQ2f", 2, 0, 2, 0, 7, 1) + _PICTURE,
        struct.pack("<IfQQ", 0, 1, 0, 0),
    ]
    content, lines = b"", ""
    for key, record in enumerate(records):
        lines += f"{key}\t{len(content)}\n"
        content += struct.pack("<II", 0xCED7230A, len(record)) + record + bytes(-len(record) % 4)
    return [{"train.rec": content, "train.idx": lines.encode(), "property": b"2,112,112"}]


def _read_records(folder: Path) -> object:
    return tuple(read_faces("record_files", [folder]))


def _bins(_: Path) -> Sequence[Files]:
    content = ([_PICTURE] * 4, [True, False])
    return [{"lfw.bin": pickle.dumps(content, protocol)} for protocol in (0, 2, 4)]


def _read_bin(folder: Path) -> object:
    pairs, store = open_bin(folder / "lfw.bin")
    return tuple(pairs), [store.read(name) for name in store.names]


def _labels(_: Path) -> Sequence[Files]:
    return [{"label.json": json.dumps(_LABELS).encode()}]


def _read_celeba(folder: Path) -> object:
    metas = folder / "metas" / "intra_test"
    metas.mkdir(parents=True)
    content = (folder / "label.json").read_bytes()
    (metas / "train_label.json").write_bytes(content)
    (metas / "test_label.json").write_text(json.dumps(_LABELS))
    for path in _LABELS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(_PICTURE)
    return tuple(read_layout("celeba_spoof", folder))


DATA = (
    Subject(
        "score files", _text("scores.csv", _SCORES),
        partial(_read_scores, "scores.csv"), ("scores.csv",), text=True,
    ),
    Subject("score files, compressed", _compressed, partial(_read_scores, "scores.csv.gz"), ("scores.csv.gz",)),
    Subject(
        "comparison files", _text("comparisons.csv", _COMPARISONS),
        _read_comparisons, ("comparisons.csv",), text=True,
    ),
    Subject(
        "transaction files", _text("runs.csv", _TRANSACTIONS),
        lambda folder: read_transactions(folder / "runs.csv"), ("runs.csv",), text=True,
    ),
    Subject(
        "trial lists", _text("trials.csv", _TRIALS),
        lambda folder: tuple(TrialList.read_csv(folder / "trials.csv")), ("trials.csv",), text=True,
    ),
    Subject("liveness indexes", _text("index.csv", _INDEX), _read_index, ("index.csv",), text=True),
    Subject(
        "identity indexes", _text("faces.csv", _IDENTITIES),
        lambda folder: tuple(IdentityIndex.read_csv(folder / "faces.csv")), ("faces.csv",), text=True,
    ),
    Subject("pairs", _text("pairs.csv", _PAIRS), partial(_read_pairs, "pairs.csv"), ("pairs.csv",), text=True),
    Subject(
        "pairs of LFW", _text("pairs.txt", _LFW), partial(_read_pairs, "pairs.txt"), ("pairs.txt",), text=True,
    ),
    Subject("lists of packs", _text("index.csv", _PACK), read_list, ("index.csv",), text=True),
    Subject("labels of CelebA-Spoof", _labels, _read_celeba, ("label.json",), text=True),
    Subject("tars of pictures", _tars, _read_tar, ("pictures.tar",)),
    Subject("WebDataset shards", _shards, _read_shards, ("train-000.tar",)),
    Subject("labels in WebDataset shards", _labels_in_shards, _read_labels, ("a.json", "b.cls"), text=True),
    Subject("record files", _records, _read_records, ("train.rec", "train.idx", "property")),
    Subject("verification sets (pickles)", _bins, _read_bin, ("lfw.bin",)),
)  # fmt: skip
