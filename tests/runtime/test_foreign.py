"""Networks of others: their numbers are reckoned by hand here, and records that cannot fit are refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ostiary.embedder import Embedder
from ostiary.errors import ConfigurationError, InputError, WeightsError
from ostiary.faces.crops import aligned_crop, loose_crop
from ostiary.faces.detector import Box, FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.gate.calibration import model_hashes
from ostiary.images import read_image
from ostiary.liveness import Liveness
from ostiary.reports.embedders import open_embedder
from ostiary.reports.peers import PEERS, PeerModel
from ostiary.runtime.cascade import Cascade
from ostiary.runtime.embedding import EmbeddingModel, similarity
from ostiary.runtime.foreign import ForeignEmbedding, ForeignLiveness, open_embedding, open_liveness
from ostiary.runtime.governor import Governor
from ostiary.runtime.liveness import LivenessModel

SIZE = 32
RECORDS = {
    record["name"]: record
    for record in map(
        json.loads,
        re.findall(
            r"```json\n(.*?)```", (Path(__file__).parents[2] / "docs" / "models.md").read_text(), re.DOTALL
        ),
    )
}
"""The recipes of the page: what it shows is what is tested."""

CROPS = {"embedding": "aligned", "liveness": "loose"}

Make = Callable[..., Path]


def network(
    nodes: list[onnx.NodeProto], shape: list[Any], width: int, *, extra: tuple[str, ...] = (), name: str = "x"
) -> bytes:
    """A graph from ``name`` to ``y``; ``extra`` inputs lead nowhere."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(each, TensorProto.FLOAT, [2, 3]) for each in extra]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], width])]
    graph = helper.make_graph(nodes, "small", inputs, outputs)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return model.SerializeToString()


def means(last: str = "Identity", *, shape: list[Any] | None = None, **more: Any) -> bytes:
    """The three channels' means, and an operator on them; NHWC if the shape ends so."""
    shape = shape or ["n", 3, SIZE, SIZE]
    turn = [helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2])] if shape[3] == 3 else []
    nodes = [
        *turn,
        helper.make_node("GlobalAveragePool", ["planes" if turn else "x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node(last, ["flat"], ["y"]),
    ]
    return network(nodes, shape, 3, **more)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a network and its record; ``changes`` replace fields of it, ``crop`` those of its preprocess."""

    def write(content: bytes, purpose: str, crop: dict[str, Any] | None = None, **changes: Any) -> Path:
        (tmp_path / "net.onnx").write_bytes(content)
        record: dict[str, Any] = {
            "format": "foreign-1",
            "task": purpose,
            "file": "net.onnx",
            "sha256": hashlib.sha256(content).hexdigest(),
            "name": "small",
            "version": "1",
            "licence": "none",
            "preprocess": {"crop": CROPS[purpose], "size": SIZE} | (crop or {}),
        }
        if purpose == "liveness":
            record["answer"] = {"values": "logits", "classes": 3, "column": 1, "of": "bona_fide"}
        path = tmp_path / "net.json"
        path.write_text(json.dumps(record | changes))
        return path

    return write


def crops(*colours: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.stack([np.full((SIZE, SIZE, 3), colour, np.uint8) for colour in colours])


class TestEmbedding:
    def test_directions_reckoned_by_hand(self, make: Make) -> None:
        model = open_embedding(make(means(), "embedding"))
        assert model.embed(crops((3, 4, 0), (0, 0, 9))) == pytest.approx(np.array([[0.6, 0.8, 0], [0, 0, 1]]))
        assert model.embed(crops((3, 4, 0))).dtype == np.float32
        assert model.embed(np.zeros((0, SIZE, SIZE, 3), np.uint8)).shape == (0, 3)
        assert (model.name, model.metadata.dimension, model.metadata.threshold) == ("small", 3, None)

    @pytest.mark.parametrize(
        ("shape", "layout"),
        [
            ([1, 3, SIZE, SIZE], "NCHW"),
            (["n", 3, "h", "w"], "NCHW"),
            (["n", SIZE, SIZE, 3], "NHWC"),
            ([1, SIZE, SIZE, 3], "NHWC"),
        ],
    )
    def test_shapes_that_networks_have(self, make: Make, shape: list[Any], layout: str) -> None:
        model = ForeignEmbedding(make(means(shape=shape), "embedding", layout=layout))
        assert model.embed(crops((3, 4, 0), (0, 0, 9))) == pytest.approx(np.array([[0.6, 0.8, 0], [0, 0, 1]]))

    def test_channels_mean_and_deviation(self, make: Make) -> None:
        preprocess = {"channels": "BGR", "mean": [1, 2, 3], "std": [1, 2, 4]}
        model = ForeignEmbedding(make(means(), "embedding", preprocess))
        seen = np.array([(30 - 1) / 1, (20 - 2) / 2, (10 - 3) / 4])  # blue, green, red
        assert model.embed(crops((10, 20, 30)))[0] == pytest.approx(seen / np.linalg.norm(seen), abs=1e-6)

    def test_the_mirrored_face(self, make: Make) -> None:
        column = helper.make_node("Slice", ["x", "from", "to", "axis"], ["left"])
        nodes = [
            *(
                helper.make_node("Constant", [], [name], value_ints=[value])
                for name, value in (("from", 0), ("to", 1), ("axis", 3))
            ),
            column,
            helper.make_node("GlobalAveragePool", ["left"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["y"]),
        ]
        model = ForeignEmbedding(make(network(nodes, ["n", 3, SIZE, SIZE], 3), "embedding"))
        crop = crops((0, 0, 0))
        crop[:, :, : SIZE // 2] = (200, 0, 0)
        crop[:, :, SIZE // 2 :] = (0, 0, 200)
        assert model.embed(crop)[0] == pytest.approx([1, 0, 0])
        assert model.embed(crop, flip=True)[0] == pytest.approx([0.5**0.5, 0, 0.5**0.5])

    def test_inputs_that_lead_nowhere(self, make: Make) -> None:
        content = means(extra=("weights", "bias"))
        with pytest.raises(WeightsError, match="the network takes x"):
            ForeignEmbedding(make(content, "embedding"))
        model = ForeignEmbedding(make(content, "embedding", zero_inputs=True))
        assert model.embed(crops((3, 4, 0)))[0] == pytest.approx([0.6, 0.8, 0])

    def test_no_direction(self, make: Make) -> None:
        with pytest.raises(WeightsError, match="without a direction"):
            ForeignEmbedding(make(means(), "embedding")).embed(crops((0, 0, 0)))

    def test_crops_of_another_size(self, make: Make) -> None:
        with pytest.raises(InputError, match=r"net\.json"):
            ForeignEmbedding(make(means(), "embedding")).embed(crops((1, 2, 3))[:, 1:])

    def test_in_the_place_of_ours(self, make: Make, pictures: Path) -> None:
        record = make(means(), "embedding")
        portraits = pictures / "astronaut.png", pictures / "grace_hopper.jpg"
        undecided = Embedder(record).compare(*portraits)
        assert (undecided.same, undecided.reason) == (None, "no_threshold")
        assert undecided.similarity is not None
        decided = Embedder(record, threshold=undecided.similarity).compare(*portraits)
        assert (decided.same, decided.reason) == (True, "same_person")


class TestLiveness:
    @pytest.mark.parametrize(
        ("last", "answer", "expected"),
        [
            # Means of 1, 2 and 0: as logits, their softmax; the same after a softmax of the network's own.
            ("Identity", ("logits", 3, 1, "bona_fide"), np.exp(2) / (np.exp(1) + np.exp(2) + 1)),
            ("Identity", ("logits", 3, 1, "attack"), 1 - np.exp(2) / (np.exp(1) + np.exp(2) + 1)),
            ("Identity", ("logits", 3, 0, "bona_fide"), np.exp(1) / (np.exp(1) + np.exp(2) + 1)),
            ("Softmax", ("probabilities", 3, 1, "bona_fide"), np.exp(2) / (np.exp(1) + np.exp(2) + 1)),
            ("Softmax", ("probabilities", 3, 1, "attack"), 1 - np.exp(2) / (np.exp(1) + np.exp(2) + 1)),
            ("Sigmoid", ("probabilities", 3, 0, "bona_fide"), 1 / (1 + np.exp(-1))),
        ],
    )
    def test_answers_reckoned_by_hand(
        self, make: Make, last: str, answer: tuple[str, int, int, str], expected: float
    ) -> None:
        said = dict(zip(("values", "classes", "column", "of"), answer, strict=True))
        model = open_liveness(make(means(last), "liveness", answer=said))
        assert model.liveness(crops((1, 2, 0)))[0] == pytest.approx(expected, abs=1e-6)
        assert model.logits(crops((1, 2, 0))).shape == (1, 2)
        assert model.logits(np.zeros((0, SIZE, SIZE, 3), np.uint8)).shape == (0, 2)

    @pytest.mark.parametrize(("of", "sign"), [("bona_fide", 1), ("attack", -1)])
    def test_one_class_is_a_logit(self, make: Make, of: str, sign: int) -> None:
        nodes = [
            helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=1),
            helper.make_node("Flatten", ["m"], ["y"]),
        ]
        answer = {"values": "logits", "classes": 1, "column": 0, "of": of}
        model = ForeignLiveness(make(network(nodes, [1, 3, SIZE, SIZE], 1), "liveness", answer=answer))
        assert model.liveness(crops((2, 2, 2)))[0] == pytest.approx(1 / (1 + np.exp(-2 * sign)), abs=1e-6)

    def test_extreme_answers_stay_finite(self, make: Make) -> None:
        model = ForeignLiveness(make(means(), "liveness"))
        assert model.liveness(crops((0, 255, 0), (255, 0, 0))).tolist() == [1, 0]
        sure = {"values": "probabilities", "classes": 3, "column": 0, "of": "bona_fide"}
        model = ForeignLiveness(make(means("Softmax"), "liveness", answer=sure))
        assert np.isfinite(model.logits(crops((255, 0, 0), (0, 255, 0)))).all()

    @pytest.mark.parametrize(
        ("last", "answer", "message"),
        [
            ("Softmax", ("logits", 3, 1, "bona_fide"), "they are probabilities"),
            ("Identity", ("logits", 2, 1, "bona_fide"), "speaks of 2 classes, and the network gives 3"),
        ],
    )
    def test_answers_that_cannot_be(
        self, make: Make, last: str, answer: tuple[str, int, int, str], message: str
    ) -> None:
        said = dict(zip(("values", "classes", "column", "of"), answer, strict=True))
        with pytest.raises(WeightsError, match=message):
            ForeignLiveness(make(means(last), "liveness", answer=said))

    def test_probabilities_that_are_none(self, make: Make) -> None:
        said = {"values": "probabilities", "classes": 3, "column": 1, "of": "bona_fide"}
        model = ForeignLiveness(make(means(), "liveness", answer=said))
        with pytest.raises(WeightsError, match="others than 0 to 1"):
            model.logits(crops((1, 2, 3)))

    def test_one_word_and_no_threshold(self, make: Make) -> None:
        model = ForeignLiveness(make(means(), "liveness"))
        assert model.words == [""]
        assert Governor(model, budget_ms=1e6, rounds=1).ladder == [""]
        with pytest.raises(ConfigurationError, match="records no threshold"):
            model.threshold()
        with pytest.raises(ConfigurationError, match="no configuration 'HHH'"):
            model.logits(crops((1, 2, 3)), "HHH")
        with pytest.raises(ConfigurationError, match="without a trunk"):
            Cascade(model)

    def test_in_the_place_of_ours(self, make: Make, pictures: Path) -> None:
        record = make(means(), "liveness", {"std": [1000, 1000, 1000]})
        with pytest.raises(ConfigurationError, match="records no threshold"):
            Liveness(record)
        (face,) = Liveness(record, threshold=0.01).check(pictures / "astronaut.png").faces
        assert face.liveness is not None
        assert 0.3 < face.liveness < 0.37  # three channels that are nearly alike
        assert (face.accepted, face.reason) == (True, "bona_fide")
        (face,) = Liveness(record, threshold=0.5).check(pictures / "astronaut.png").faces
        assert (face.accepted, face.reason) == (False, "presentation_attack")


class TestRecord:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"sha256": "0" * 64}, "was written for 000000000000"),
            ({"sha256": "short"}, "sha256"),
            ({"file": "other.onnx"}, r"other\.onnx cannot be read"),
            ({"file": "../net.onnx"}, "file"),
            ({"format": "2"}, "format"),
            ({"threshold": 0.5}, "threshold: Extra inputs"),
            ({"task": "liveness"}, "is no record of a network for embedding"),
            ({"output": "z"}, "the network has: y"),
            ({"layout": "NHWC"}, r"float \(N, 32, 32, 3\), and the network takes x"),
            ({"preprocess": {"crop": "aligned", "size": 64}}, r"float \(N, 3, 64, 64\)"),
            ({"preprocess": {"crop": "loose", "size": 32}}, "needs the aligned crop"),
        ],
    )
    def test_what_cannot_fit_is_refused(self, make: Make, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(WeightsError, match=message):
            ForeignEmbedding(make(means(), "embedding", **changes))

    @pytest.mark.parametrize(
        "answer",
        [
            None,
            {"values": "logits", "classes": 3, "column": 3, "of": "bona_fide"},
            {"values": "scores", "classes": 3, "column": 1, "of": "bona_fide"},
        ],
    )
    def test_answers_are_said_in_full(self, make: Make, answer: object) -> None:
        with pytest.raises(WeightsError, match="is no record of a network for liveness"):
            ForeignLiveness(make(means(), "liveness", answer=answer))

    @pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff" * 10])
    def test_what_is_no_record(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "net.json"
        path.write_text(text)
        for kind in (ForeignEmbedding, ForeignLiveness):
            with pytest.raises(WeightsError, match="is no record"):
                kind(path)

    def test_a_network_that_is_none(self, make: Make) -> None:
        with pytest.raises(WeightsError, match="cannot be opened"):
            ForeignEmbedding(make(b"no network", "embedding"))

    def test_anything_changed_in_the_record_is_another_model(self, make: Make) -> None:
        first = make(means(), "embedding")
        before = model_hashes(first, ForeignEmbedding(first).preprocess)
        again = make(means(), "embedding", {"mean": [1, 1, 1]})
        after = model_hashes(again, ForeignEmbedding(again).preprocess)
        assert before.model != after.model
        assert before.preprocess != after.preprocess

    def test_ours_are_opened_as_ours(self) -> None:
        assert type(open_liveness()) is LivenessModel
        with pytest.raises(WeightsError):
            open_embedding("there-is-no-such-model")

    def test_the_page_shows_records_that_are_read(self, make: Make) -> None:
        """An InsightFace network has this input and output; the others are tried with their own files."""
        said = RECORDS["insightface_w600k_mbf"]
        nodes = [
            helper.make_node("AveragePool", ["input.1"], ["p"], kernel_shape=[28, 28], strides=[28, 28]),
            helper.make_node("Flatten", ["p"], ["y"]),
        ]
        content = network(nodes, ["None", 3, 112, 112], 48, name="input.1")
        path = make(content, "embedding")
        path.write_text(json.dumps(said | {"file": "net.onnx", "sha256": hashlib.sha256(content).hexdigest()}))
        crop = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), np.uint8)
        expected = ((crop[0].reshape(4, 28, 4, 28, 3).mean((1, 3)) - 127.5) / 127.5).transpose(2, 0, 1).ravel()
        found = ForeignEmbedding(path).embed(crop)[0]
        assert found == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


class TestCrops:
    def test_the_box_in_its_own_proportions(self) -> None:
        """Twice a box of 10 x 20 at the left edge: columns 0..20 and rows 30..70, squeezed into a square."""
        image = np.zeros((100, 100, 3), np.uint8)
        image[..., 0] = np.arange(100)[:, None] * 2
        image[..., 1] = np.arange(100) * 2
        preprocess = Preprocess(crop="loose", size=20, scale=2, surroundings="proportional")
        crop = loose_crop(image, Box(2, 40, 10, 20), preprocess).astype(int)
        assert crop[0, 0, 1] <= 2
        assert 36 <= crop[0, -1, 1] <= 42
        assert 60 <= crop[0, 0, 0] <= 64
        assert 134 <= crop[-1, 0, 0] <= 142

    def test_mirrored_at_the_edge(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
        preprocess = Preprocess(crop="loose", size=20, scale=2, surroundings="mirrored")
        crop = loose_crop(image, Box(-5, 0, 10, 10), preprocess)
        mirrored = np.pad(image, ((10, 10), (10, 10), (0, 0)), mode="reflect")
        assert np.array_equal(crop, mirrored[5:25, 0:20])

    @settings(max_examples=40)
    @given(
        st.sampled_from(["proportional", "mirrored"]),
        st.tuples(st.integers(2, 60), st.integers(2, 60)),
        st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.01, 4), st.floats(0.01, 4)),
    )
    def test_any_box_gives_a_crop(self, way: Any, shape: tuple[int, int], box: tuple[float, ...]) -> None:
        image = np.full((*shape, 3), 77, np.uint8)
        preprocess = Preprocess(crop="loose", size=16, scale=2.7, surroundings=way)
        crop = loose_crop(image, Box(*(max(shape) * value for value in box)), preprocess)
        assert crop.shape == (16, 16, 3)
        assert (crop == 77).all()

    @pytest.mark.parametrize("way", ["proportional", "mirrored"])
    def test_boxes_that_are_none(self, way: Any) -> None:
        preprocess = Preprocess(crop="loose", size=16, surroundings=way)
        for box in (Box(0, 0, 0, 5), Box(float("nan"), 0, 5, 5), Box(0, 0, 5, 4000)):
            with pytest.raises(InputError):
                loose_crop(np.zeros((20, 20, 3), np.uint8), box, preprocess)


def _recipe(name: str, folder: Path, tmp_path: Path) -> Path:
    said = RECORDS[name]
    (tmp_path / said["file"]).symlink_to(folder / said["file"])
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(said))
    return path


@pytest.mark.packs
class TestRecipes:
    """The files that the page names, by its records, against what the tables of peers make of them."""

    @pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
    def test_liveness(self, packs: Path, pictures: Path, tmp_path: Path, peer: Any) -> None:
        folder = packs / "models" / "peers"
        model, detector = ForeignLiveness(_recipe(peer.name, folder, tmp_path)), FaceDetector()
        for name in ("astronaut.png", "grace_hopper.jpg"):
            image = read_image(pictures / name)
            box = detector.detect(image)[0].box
            logits = model.logits(loose_crop(image, box, model.metadata.preprocess)[None])[0]
            assert logits[1] - logits[0] == pytest.approx(PeerModel(peer, folder).log_odds(image, box), abs=1e-4)

    def test_embedding(self, packs: Path, pictures: Path, tmp_path: Path) -> None:
        folder = packs / "models" / "peers"
        model = ForeignEmbedding(_recipe("foamliu", folder, tmp_path))
        aligned = _aligned(pictures, model)
        for flip in (False, True):
            expected = open_embedder("foamliu", folder).embed(aligned, flip=flip)
            assert np.abs(model.embed(aligned, flip=flip) - expected).max() < 1e-6

    def test_sface(self, packs: Path, pictures: Path, tmp_path: Path) -> None:
        model = ForeignEmbedding(_recipe("sface", packs / "models", tmp_path))
        aligned = _aligned(pictures, model)
        astronaut, admiral = model.embed(aligned)
        (mirrored,) = model.embed(aligned[:1, :, ::-1])
        assert model.metadata.dimension == 128
        assert similarity(astronaut, mirrored) > 0.95
        assert similarity(astronaut, admiral) < 0.65  # a cosine of 0.3, below OpenCV's 0.363


def _aligned(pictures: Path, model: EmbeddingModel) -> NDArray[np.uint8]:
    images = [read_image(pictures / name) for name in ("astronaut.png", "grace_hopper.jpg")]
    faces = [FaceDetector().detect(image)[0] for image in images]
    pairs = zip(images, faces, strict=True)
    return np.stack([aligned_crop(image, face.landmarks, model.preprocess) for image, face in pairs])
