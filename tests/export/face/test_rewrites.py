"""Every rewrite gives the embedding that the network gives, by the operations that it promises."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ostiary.errors import ConfigurationError
from ostiary.export.face import face_model, operators_run
from ostiary.export.rewrite import ROWS, Form, form_for, forms_of, rewritten
from ostiary.export.rewrites.dense import dense
from ostiary.export.rewrites.equalise import equalise
from ostiary.export.rewrites.places import places
from ostiary.export.rewrites.plain import SpelledShuffle, plain
from ostiary.export.rewrites.prelu import bend, blend, fold, rectify
from ostiary.export.rewrites.sums import Sums
from ostiary.export.rewrites.weights import ZERO, convolution, multiply_rows, taken
from ostiary.export.static import quantised
from ostiary.export.verify import BLOCKED_DOMAIN, uses_blocked_layout
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.face_network import Activation, FaceNetwork, Layout, Row, Style
from ostiary.networks.seesaw import SHARE, SHUFFLE
from ostiary.runtime.session import make_session

from .conftest import STYLES, faces, lively, small

PREPROCESS = Preprocess(crop="aligned", size=112)
EXACT = 1e-5
"""Of unit embeddings. Rounding alone moves these networks' by some 1e-6, a wrong channel by 1e-2 and more."""


def difference(network: nn.Module, other: nn.Module, inputs: Tensor | None = None) -> float:
    inputs = faces() if inputs is None else inputs
    with torch.no_grad():
        return float((network(inputs) - other(inputs)).abs().max())


def run(network: nn.Module, inputs: Tensor) -> np.ndarray:
    session = make_session(face_model(network, PREPROCESS).SerializeToString())
    return session.run(None, {"input": inputs.numpy()})[0]


@pytest.mark.parametrize("style", STYLES)
def test_every_form_of_every_style_is_exact(style: str) -> None:
    network = small(STYLES[style])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    forms = [Form(), *forms_of(network)]
    for form in forms[:: 1 + len(forms) // 6]:
        assert difference(network, rewritten(network, form)) < EXACT, form
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("style", ["share", "dw_v2", "prelu pairs"])
def test_a_wrong_weight_at_the_very_beginning_shows(style: str) -> None:
    """That the networks of these tests let differences through, so that `exact` means something."""
    network = small(STYLES[style])
    other = rewritten(network, form_for(network, "cpu-fp32"))
    first = next(layer for layer in other.modules() if isinstance(layer, nn.Conv2d))
    first.weight[0, 0, 0, 0] += 0.1
    assert difference(network, other) > 1e-3


@pytest.mark.parametrize("style", STYLES)
def test_the_runtime_computes_what_torch_does(style: str) -> None:
    network = small(STYLES[style])
    with torch.no_grad():
        expected = network(faces()).numpy()
    for form in dict.fromkeys([Form(), form_for(network, "cpu-fp32"), form_for(network, "cpu-int8")]):
        np.testing.assert_allclose(run(rewritten(network, form), faces()), expected, atol=EXACT)


@pytest.mark.parametrize("slope", [-1.5, 0.0, 0.25, 1.0, 3.0])
@pytest.mark.parametrize("rewrite", [blend, fold, rectify, bend])
def test_prelu_of_any_slope(rewrite: object, slope: float) -> None:
    network = small(STYLES["gates on prelu"])
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.PReLU):
                layer.weight.fill_(slope)
    changed = rewrite(network)  # type: ignore[operator]
    kept = [name for name, layer in changed.named_modules() if isinstance(layer, nn.PReLU)]
    assert all(name.endswith("squeeze.act") for name in kept)
    assert difference(network, changed.float()) < EXACT


def test_prelu_forms_have_the_convolutions_that_they_say() -> None:
    network = small(Style("prelu"))
    slopes = sum(isinstance(layer, nn.PReLU) for layer in network.modules())
    plain_ones = sum(isinstance(layer, nn.Conv2d) for layer in network.modules())
    before_depthwise = 1 + 6 + 1  # in the stem, in each block, at the end
    counts = {
        form.prelu: Counter(node.op_type for node in face_model(rewritten(network, form), PREPROCESS).graph.node)
        for form in forms_of(network)
    }
    assert {prelu: count["Conv"] - plain_ones for prelu, count in counts.items()} == {
        "blend": 2 * slopes,
        "fold": before_depthwise + 2 * (slopes - before_depthwise),
        "rectify": 2 * slopes,
        "bend": slopes,
    }
    assert all(count["PRelu"] == 0 and count["Relu"] == slopes for count in counts.values())


def test_the_folded_shuffle_is_the_shuffle() -> None:
    x = torch.randn(2, 24, 3, 5)
    assert torch.equal(SpelledShuffle(2, 24, 3, 5)(x), torch.channel_shuffle(x, 2))
    network = dense(small(SHUFFLE))
    assert not any(isinstance(layer, SpelledShuffle | nn.ChannelShuffle) for layer in network.modules())


@pytest.mark.parametrize("style", [SHARE, SHUFFLE])
def test_dense_weights_are_five_eighths_full(style: Style) -> None:
    network = dense(small(style))
    for block in (block for group in network.groups for block in group):
        for unit in (block.expand, block.project):
            assert int((unit.conv.weight != 0).sum()) == unit.conv.weight.numel() * 5 // 8


@pytest.mark.parametrize("style", [SHARE, SHUFFLE])
def test_streams_multiply_by_no_zero(style: Style) -> None:
    layout = Layout(64, (Row(128, 64, 2, 2), Row(128, 64, 1, 2), Row(256, 128, 1, 2)), last=32)
    network = lively(FaceNetwork(layout, style, 24))
    streams = rewritten(network, Form(None, ("apart",), "upsample"))
    assert difference(network, streams, faces(1)) < EXACT

    def weights(net: nn.Module) -> int:
        layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.PReLU)]
        return sum(layer.weight.numel() for layer in layers)

    assert weights(streams) == weights(network)  # a factor in place of each slope of a gate's PReLU
    assert all(layer.weight.any() for layer in streams.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize("style", ["share", "shuffle", "dw_v1", "dw_v2", "prelu pairs", "crossed prelu"])
def test_streams_stay_in_the_blocked_layout(style: str) -> None:
    network = small(STYLES[style])
    found = operators_run(_content(network, form_for(network, "cpu-fp32")))
    kinds = Counter(kind for (_, kind), count in found.items() for _ in range(count))
    assert not {"Transpose", "Split", "Slice", "Reshape", "PRelu", "Gather"} & set(kinds)
    if uses_blocked_layout():
        assert kinds["ReorderInput"] == 0
        assert kinds["ReorderOutput"] == 1  # before the last linear layer
        assert found["", "Conv"] == found["com.microsoft", "FusedConv"] == 0
        assert found[BLOCKED_DOMAIN, "Conv"] == kinds["Conv"]


def test_the_plain_form_is_what_the_streams_are_better_than() -> None:
    network = small(SHUFFLE)
    found = operators_run(_content(network, Form()))
    assert found["", "Transpose"] == 6
    assert found["", "Split"] == 12
    if uses_blocked_layout():
        assert found[BLOCKED_DOMAIN, "ReorderInput"] >= 12


def test_forms_differ_in_what_the_network_has() -> None:
    assert forms_of(small(Style("relu"))) == [Form()]
    assert len(forms_of(small(Style("prelu")))) == 4
    assert len(forms_of(small(SHUFFLE))) == 2 * len(ROWS)
    assert form_for(small(Style("prelu")), "cpu-fp32") == Form("rectify")
    assert form_for(small(Style("swish", squeeze=True)), "cpu-int8") == Form(None, None, "broadcast")
    assert str(form_for(small(SHUFFLE), "cpu-fp32")) == "apart + upsample"
    assert str(Form()) == "plain"


def test_plain_has_no_batch_normalisation() -> None:
    network = plain(small(SHUFFLE))
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in network.modules())
    with pytest.raises(ConfigurationError, match="112, 112"):  # it is still a face network
        network(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("style", ["mobilefacenet", "gates on prelu", "row by row", "prelu shortcut"])
def test_like_ranges_give_the_same_embedding(style: str) -> None:
    network = small(STYLES[style])
    equal = equalise(network, faces(2))
    assert difference(network, rewritten(equal, form_for(network, "cpu-int8"))) < EXACT


def test_ranges_are_alike_where_it_costs_nothing() -> None:
    network = equalise(small(Style("prelu")), faces(2))
    ranges = largest(network, network.groups[1][0].expand.conv, faces(2))
    assert len(ranges) == 32
    assert torch.allclose(ranges, ranges.max().expand(32), rtol=1e-6)


@pytest.mark.parametrize("activation", ["prelu", "relu", "relu6"])
def test_8_bits_profit_from_like_ranges(activation: Activation) -> None:
    network = small(Style(activation))
    kind = {"prelu": nn.PReLU, "relu": nn.ReLU, "relu6": nn.ReLU6}[activation]
    stretched = dense(network)  # nearly the same function, with channels of very different ranges
    for place in places(stretched, kind):
        factors = 10 ** (-2 * torch.rand(place.unit.conv.out_channels, dtype=torch.float64))
        multiply_rows(place.unit.conv, factors)
        place.read_times(1 / factors)
    inputs = faces(4)
    form = form_for(network, "cpu-int8")
    equal = rewritten(equalise(stretched, inputs), form)
    with torch.no_grad():
        expected = equal(inputs).numpy()

    def lost(version: FaceNetwork) -> float:
        model = quantised(face_model(version, PREPROCESS), inputs.numpy())
        found = make_session(model.SerializeToString()).run(None, {"input": inputs.numpy()})[0]
        return 1 - float((found * expected).sum(axis=1).mean())

    with pytest.MonkeyPatch.context() as as_it_was:
        as_it_was.setattr("ostiary.export.static.with_like_ranges", lambda model, _samples: model)
        before = lost(rewritten(stretched, form))
    assert lost(equal) < before / 4


def test_sums_leave_out_blocks_of_zeros() -> None:
    weight = torch.zeros(4, 6, 1, 1)
    weight[:2, :3] = torch.randn(2, 3, 1, 1)
    weight[2:] = torch.randn(2, 6, 1, 1)
    conv = convolution(weight, torch.randn(4))
    sums = Sums([[0, 1, 2], [3, 4, 5]], conv, [[1, 0], [2, 3, ZERO]])
    assert sums.sources == [[0], [0, 1]]
    x, added = torch.randn(2, 6, 3, 3), torch.randn(2, 5, 3, 3)
    first, second = sums([x[:, :3], x[:, 3:]], [added[:, :2], added[:, 2:]])
    expected = conv(x)
    assert torch.allclose(first, expected[:, [1, 0]] + added[:, :2], atol=1e-6)
    assert torch.allclose(second[:, :2], expected[:, 2:] + added[:, 2:4], atol=1e-6)
    assert torch.equal(second[:, 2:], added[:, 4:])


def test_taken_channels_and_missing_ones() -> None:
    weight = torch.arange(6.0).reshape(3, 2)
    assert taken(weight, 0, [2, ZERO]).tolist() == [[4, 5], [0, 0]]
    assert taken(weight, 1, [1, 1, ZERO]).tolist() == [[1, 1, 0], [3, 3, 0], [5, 5, 0]]


def largest(network: nn.Module, unit: nn.Module, inputs: Tensor) -> Tensor:
    """The largest magnitude of each channel that a layer of an equalised network gives."""
    seen: list[Tensor] = []
    handle = unit.register_forward_hook(lambda _layer, _inputs, y: seen.append(y.abs().amax((0, 2, 3))))
    with torch.no_grad():
        network(inputs.double())
    handle.remove()
    return seen[0]


def _content(network: FaceNetwork, form: Form) -> bytes:
    return face_model(rewritten(network, form), PREPROCESS).SerializeToString()
