"""From a list of pairs and pictures to a report: nothing is dropped silently, nothing is half-written."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ostiary.errors import ConfigurationError, DataIndexError, RateError
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.images import read_image
from ostiary.reports.comparisons import read_comparisons
from ostiary.reports.embedded import embed_pictures
from ostiary.reports.picture_names import pictures_of_list
from ostiary.reports.verification import evaluate_face
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.embedding_record import EmbeddingMetadata, MatchThreshold

SIZE = 16
PEOPLE = 12


class ColourEmbedder:
    """The direction of the crop's mean colours on its left and on its right half."""

    name = "colour"

    def __init__(self, size: int = SIZE) -> None:
        self.preprocess = Preprocess(crop="aligned", size=size)
        self.batches: list[int] = []
        self.seen: list[NDArray[np.uint8]] = []

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        self.batches.append(len(crops))
        self.seen += list(crops)
        views = [crops, crops[:, :, ::-1]] if flip else [crops]
        half = self.preprocess.size // 2
        parts = [
            np.concatenate([view[:, :, :half].mean((1, 2)), view[:, :, half:].mean((1, 2))], 1) for view in views
        ]
        total = sum(part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts)
        return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True), np.float32)


def _face(person: int, take: int) -> Image.Image:
    """Every person has two colours of his own, and every take its own light."""
    own = np.random.default_rng(person).uniform(60, 200, (1, 2, 3))
    light = np.random.default_rng(1000 * person + take).normal(0, 22, (1, 2, 3))
    halves = (own + light).repeat(SIZE, axis=0).repeat(SIZE // 2, axis=1)
    return Image.fromarray(halves.clip(0, 255).astype(np.uint8))


@pytest.fixture
def faces(tmp_path: Path) -> tuple[Path, Path]:
    """A list of 300 non-mated and 120 mated pairs in four folds and two groups, and the folder of pictures."""
    folder, lines = tmp_path / "faces", []
    for person in range(PEOPLE):
        (folder / f"p{person}").mkdir(parents=True)
        for take in range(5):
            _face(person, take).save(folder / f"p{person}" / f"{take}.png")
        group = "north" if person % 2 else "south"
        own = [(a, b) for a in range(5) for b in range(a)]
        lines += [f"p{person}/{a}.png,p{person}/{b}.png,1,{person % 4},{group}" for a, b in own]
        lines += [
            f"p{person}/{take}.png,p{(person + 4 * step) % PEOPLE}/{(take + extra) % 5}.png,0,{person % 4},{group}"
            for take in range(5)
            for step, extra in ((1, 0), (1, 1), (1, 2), (2, 3), (2, 4))
        ]
    path = tmp_path / "pairs.csv"
    path.write_text("path_a,path_b,same,fold,group\n" + "\n".join(lines) + "\n")
    return path, folder


def _evaluate(faces: tuple[Path, Path], out: Path, **options: Any) -> dict[str, Any]:
    settings = {"aligned": True, "command": "test"} | options
    report = evaluate_face(ColourEmbedder(), faces[0], [faces[1]], out, **settings)
    assert json.loads((out / "report.json").read_text()) == report
    return report


def test_everything_lands_in_the_folder(faces: tuple[Path, Path], tmp_path: Path) -> None:
    report = _evaluate(faces, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("comparisons.csv", "report.md", "report.json", "det.png")
    }
    header = report["header"]
    assert (header["data"], header["n"], header["people"], header["command"]) == ("pairs", 420, PEOPLE, "test")
    assert header["commit"]
    assert header["model"] == {"name": "colour"}
    assert (report["pairs_used"], report["pairs_skipped"], report["pairs_skipped_reasons"]) == (420, 0, {})
    assert (report["n_mated"], report["n_non_mated"], report["pictures"]) == (120, 300, 60)
    assert [fold["fold"] for fold in report["folds"]] == [0, 1, 2, 3]
    accuracies = [fold["accuracy"] for fold in report["folds"]]
    assert report["accuracy"] == pytest.approx(np.mean(accuracies))
    assert report["accuracy_standard_error"] == pytest.approx(np.std(accuracies, ddof=1) / 2)
    for name in ("accuracy", "auc", "eer"):
        low, high = report["intervals"][name]
        assert low <= report[name] <= high
        assert report["interval_methods"][name] == "bootstrap over people"
        assert report["intervals_over_people"][name]  # fewer than 20 people
    assert set(report["fnmr_at_fmr"]) == {"1e-2", "1e-3"}
    reading = report["readings"]["1e-2"]
    assert reading["supported"]
    assert reading["fmr"] <= 0.01
    assert report["thresholds"]["1e-2"] == reading["threshold"]
    page = (tmp_path / "out" / "report.md").read_text()
    for words in ("# Verification on pairs", "120 mated and 300 non-mated", "![det.png](det.png)", "over people"):
        assert words in page


def test_the_scores_give_the_figures_again(faces: tuple[Path, Path], tmp_path: Path) -> None:
    report = _evaluate(faces, tmp_path / "out")
    comparisons = read_comparisons(tmp_path / "out" / "comparisons.csv").comparisons()
    threshold = report["thresholds"]["eer"]
    fmr = (comparisons.similarity[~comparisons.same] >= threshold).mean()
    fnmr = (comparisons.similarity[comparisons.same] < threshold).mean()
    assert report["eer"] == pytest.approx((fmr + fnmr) / 2)


def test_a_finer_rate_is_left_out_with_a_sentence_or_refused_if_it_was_asked_for(
    faces: tuple[Path, Path], tmp_path: Path
) -> None:
    report = _evaluate(faces, tmp_path / "out")
    assert report["fnmr_at_fmr"]["1e-3"] is None
    assert not report["readings"]["1e-3"]["supported"]
    assert any("0.001 cannot be supported by 300 non-mated" in note for note in report["notes"])
    assert any("0.01 rests on 300" in note for note in report["notes"])
    embedder = ColourEmbedder()
    with pytest.raises(RateError, match=r"0\.0001 cannot be supported by 300"):
        evaluate_face(embedder, faces[0], [faces[1]], tmp_path / "finer", aligned=True, rates=[1e-4])
    assert not embedder.batches  # refused before the work
    assert not (tmp_path / "finer").exists()
    assert _evaluate(faces, tmp_path / "coarser", rates=[0.05])["fnmr_at_fmr"]["5e-2"] is not None


def test_with_and_without_the_mirror_image(faces: tuple[Path, Path], tmp_path: Path) -> None:
    plain = _evaluate(faces, tmp_path / "plain")
    both = _evaluate(faces, tmp_path / "both", flip=True)
    assert (plain["flip"], both["flip"]) == (False, True)
    assert "with_flip" not in plain
    assert both["without_flip"] == plain["without_flip"]
    assert both["auc"] == both["with_flip"]["auc"] != plain["auc"]
    difference = both["flip_difference"]["auc"]
    assert difference["value"] == pytest.approx(both["auc"] - plain["auc"])
    assert difference["interval"][0] <= difference["value"] <= difference["interval"][1]
    scores = tmp_path / "both"
    without = (scores / "comparisons_without_flip.csv").read_bytes()
    assert without == (tmp_path / "plain" / "comparisons.csv").read_bytes()
    assert without != (scores / "comparisons.csv").read_bytes()
    assert "What the mirror image changes" in (scores / "report.md").read_text()
    _evaluate(faces, scores)
    assert not (scores / "comparisons_without_flip.csv").exists()  # of the earlier run


def test_groups_stand_at_the_thresholds_of_all(faces: tuple[Path, Path], tmp_path: Path) -> None:
    report = _evaluate(faces, tmp_path / "out")
    assert set(report["groups"]) == {"north", "south"}
    at = [group["at"]["1e-2"] for group in report["groups"].values()]
    assert {point["threshold"] for point in at} == {report["thresholds"]["1e-2"]}
    weights = [group["n_mated"] for group in report["groups"].values()]
    assert np.average([point["fnmr"] for point in at], weights=weights) == pytest.approx(
        report["fnmr_at_fmr"]["1e-2"]
    )
    assert report["worst_groups"]["1e-2"]["fnmr"] == max(
        report["groups"], key=lambda name: report["groups"][name]["at"]["1e-2"]["fnmr"]
    )
    assert "## Groups" in (tmp_path / "out" / "report.md").read_text()
    faces[0].write_text("\n".join(line.rpartition(",")[0] for line in faces[0].read_text().splitlines()))
    assert "groups" not in _evaluate(faces, tmp_path / "none")


def test_pictures_that_give_no_embedding_are_counted_with_their_reason(
    faces: tuple[Path, Path], tmp_path: Path
) -> None:
    _, folder = faces
    (folder / "p0" / "0.png").unlink()
    (folder / "p0" / "1.png").write_bytes(b"no picture")
    Image.new("RGB", (SIZE, SIZE + 1)).save(folder / "p1" / "0.png")
    report = _evaluate(faces, tmp_path / "out")
    assert report["pictures_skipped"] == {
        "absent": ["p0/0.png"],
        "unreadable": ["p0/1.png"],
        "wrong_size": ["p1/0.png"],
    }
    assert report["pictures_used"] == 57
    assert report["pairs_used"] + report["pairs_skipped"] == 420
    assert sum(report["pairs_skipped_reasons"].values()) == report["pairs_skipped"] > 0
    rows = read_comparisons(tmp_path / "out" / "comparisons.csv")
    assert len(rows.pairs) == 420
    assert rows.skipped == report["pairs_skipped_reasons"]
    assert any(f"{report['pairs_skipped']} of 420 pairs were not compared" in note for note in report["notes"])
    for pair, reason in zip(rows.pairs, rows.reasons, strict=True):
        gone = {"p0/0.png", "p0/1.png", "p1/0.png"} & {pair.path_a, pair.path_b}
        assert bool(reason) == bool(gone)


def test_nothing_to_compare_is_an_error_and_the_old_report_stays(faces: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.md").write_text("old")
    with pytest.raises(DataIndexError, match=r"none of its 420 pairs .*wrong_size 420.*--aligned"):
        evaluate_face(ColourEmbedder(32), faces[0], [faces[1]], out, aligned=True)
    assert [path.name for path in out.iterdir()] == ["report.md"]
    assert (out / "report.md").read_text() == "old"


def test_one_kind_of_pairs_has_no_curve(faces: tuple[Path, Path], tmp_path: Path) -> None:
    header, *lines = faces[0].read_text().splitlines()
    faces[0].write_text("\n".join([header, *(line for line in lines if line.split(",")[2] == "1")]))
    report = _evaluate(faces, tmp_path / "out", flip=True)
    assert report["accuracy"] is report["auc"] is report["eer"] is report["flip_difference"] is None
    assert report["fnmr_at_fmr"] == {"1e-2": None, "1e-3": None}
    assert (report["n_mated"], report["folds"]) == (120, [])
    assert not (tmp_path / "out" / "det.png").exists()
    assert any("No non-mated pair" in note for note in report["notes"])


def test_what_the_list_does_not_tell_is_said(faces: tuple[Path, Path], tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in faces[1].rglob("*.png"):
        (flat / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    rows = [line.split(",")[:3] for line in faces[0].read_text().replace("/", "_").splitlines()]
    faces[0].write_text("\n".join(",".join(row) for row in rows))
    report = _evaluate((faces[0], flat), tmp_path / "out")
    assert report["people"] is None
    assert report["interval_methods"]["auc"] == "bootstrap over pairs"
    assert report["folds_dealt"]
    assert len(report["folds"]) == 10
    for words in ("do not tell whom they show", "names no folds"):
        assert any(words in note for note in report["notes"])


def _tar_of_lfw(folder: Path, target: Path) -> Path:
    """The pictures as LFW's archive has them: a folder around everything, and numbered names."""
    with tarfile.open(target, "w:gz") as archive:
        for path in sorted(folder.rglob("*.png")):
            person = path.parent.name
            archive.add(path, f"lfw/{person}/{person}_{int(path.stem) + 1:04d}.png")
    return target


def test_lists_and_archives_of_lfw(faces: tuple[Path, Path], tmp_path: Path) -> None:
    """Any number of folds and pairs, from a compressed tar; the list leaves the suffix open."""
    lines = ["3\t4"]
    for fold in range(3):
        lines += [f"p{fold}\t{first}\t{first + 1}" for first in range(1, 5)]
        lines += [f"p{fold}\t{take}\tp{fold + 5}\t{take + 1}" for take in range(1, 5)]
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(lines) + "\n")
    report = _evaluate((path, _tar_of_lfw(faces[1], tmp_path / "lfw.tgz")), tmp_path / "out")
    assert (report["pairs_used"], report["pairs_skipped"], report["people"]) == (24, 0, 6)
    assert [fold["fold"] for fold in report["folds"]] == [0, 1, 2]
    missing = path.read_text().replace("p2\t1\t2", "p2\t1\t9")
    path.write_text(missing)
    report = _evaluate((path, tmp_path / "lfw.tgz"), tmp_path / "out")
    assert report["pairs_skipped_reasons"] == {"absent": 1}
    assert report["pictures_skipped"] == {"absent": ["p2/p2_0009.jpg"]}


def test_a_bin_carries_its_own_pictures(faces: tuple[Path, Path], tmp_path: Path) -> None:
    pictures, same = [], []
    for person in range(PEOPLE):
        for other in (person, (person + 1) % PEOPLE):
            for who, take in ((person, 0), (other, 1)):
                buffer = io.BytesIO()
                _face(who, take).save(buffer, "PNG")
                pictures.append(buffer.getvalue())
            same.append(person == other)
    path = tmp_path / "toy.bin"
    path.write_bytes(pickle.dumps((pictures, same)))
    report = evaluate_face(ColourEmbedder(), path, [], tmp_path / "out")
    assert (report["header"]["data"], report["header"]["aligned"]) == ("toy", True)
    assert (report["pairs_used"], report["n_mated"], report["people"]) == (24, 12, None)
    with pytest.raises(ConfigurationError, match="carries its own pictures"):
        evaluate_face(ColourEmbedder(), path, [faces[1]], tmp_path / "out")
    with pytest.raises(ConfigurationError, match="only names pictures"):
        evaluate_face(ColourEmbedder(), faces[0], [], tmp_path / "out")


def test_each_picture_is_embedded_once_in_batches(faces: tuple[Path, Path]) -> None:
    embedder, steps = ColourEmbedder(), []
    paths = [f"p{person}/{take}.png" for person in range(3) for take in range(5)]
    pictures = pictures_of_list(paths, [faces[1]])
    found = embed_pictures(
        paths, pictures, embedder, aligned=True, batch=4, progress=lambda done, total: steps.append((done, total))
    )
    assert embedder.batches == [4, 4, 4, 3]
    assert steps[-1] == (15, 15)
    assert found.mirrored is None
    single = embedder.embed(np.stack([pictures.image("p1/3.png")]))
    assert found.plain[found.row["p1/3.png"]] == pytest.approx(single[0])


def test_faces_are_found_and_aligned_as_at_the_door(pictures: Path, tmp_path: Path) -> None:
    embedder = ColourEmbedder(112)
    Image.new("RGB", (64, 64), "white").save(tmp_path / "blank.png")
    paths = ["astronaut.png", "blank.png", "grace_hopper.jpg"]
    found = embed_pictures(paths, pictures_of_list(paths, [pictures, tmp_path]), embedder)
    assert found.reasons == {"blank.png": "no_face"}
    assert found.row == {"astronaut.png": 0, "grace_hopper.jpg": 1}
    image = read_image(pictures / "astronaut.png")
    expected = aligned_crop(image, FaceDetector().detect(image)[0].landmarks, embedder.preprocess)
    assert np.array_equal(embedder.seen[0], expected)


class StoredModel(EmbeddingModel):
    """Weights of ours with a threshold, without the network."""

    def __init__(self, threshold: MatchThreshold) -> None:
        self.path = Path(__file__)
        self.metadata = EmbeddingMetadata(
            name="colour",
            version="1",
            licence="Apache-2.0",
            data=["none"],
            preprocess=Preprocess(crop="aligned", size=SIZE),
            training_commit="none",
            network="none",
            dimension=6,
            parameters=0,
            macs=0,
            threshold=threshold,
        )

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        return ColourEmbedder().embed(crops, flip=flip)


def test_the_threshold_of_the_weights_is_judged_on_its_own_view_only(
    faces: tuple[Path, Path], tmp_path: Path
) -> None:
    stored = MatchThreshold(value=0.98, rate=0.01, n_mated=9, n_non_mated=900, data="dev", flip=True)
    model = StoredModel(stored)
    report = evaluate_face(model, faces[0], [faces[1]], tmp_path / "flip", aligned=True, flip=True)
    comparisons = read_comparisons(tmp_path / "flip" / "comparisons.csv").comparisons()
    assert report["at"]["stored"]["threshold"] == 0.98
    assert report["at"]["stored"]["fmr"] == (comparisons.similarity[~comparisons.same] >= 0.98).mean()
    assert report["groups"]["north"]["at"]["stored"]["threshold"] == 0.98
    assert report["header"]["model"]["version"] == "1"
    assert len(report["header"]["model"]["sha256"]) == 64
    plain = evaluate_face(model, faces[0], [faces[1]], tmp_path / "plain", aligned=True)
    assert plain["at"] == {}
    assert any("means with the mirror images" in note for note in plain["notes"])
    assert "not applied" in (tmp_path / "plain" / "report.md").read_text()
