"""Face networks as after a training, small and whole, for tests of how they are written for a target."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostiary.networks.face_network import FaceNetwork, Layout, Row, Style
from ostiary.networks.seesaw import DW_V1, DW_V2, SHARE, SHUFFLE

SMALL = Layout(16, (Row(32, 16, 2, 2), Row(32, 16, 2, 2), Row(64, 32, 1, 2), Row(64, 32, 1, 1)), last=32)
"""A layout of the same shape that runs in a moment; its quarters do not fill the vector unit."""

STYLES: dict[str, Style] = {
    "mobilefacenet": Style("prelu"),
    "share": SHARE,
    "shuffle": SHUFFLE,
    "dw_v1": DW_V1,
    "dw_v2": DW_V2,
    "relu": Style("relu"),
    "gates on prelu": Style("prelu", squeeze=(False, True)),
    "prelu pairs": Style("prelu", expand="uneven", shuffle=True, project="uneven", squeeze=True),
    "crossed prelu": Style("prelu", expand="uneven", project="uneven_crossed"),
    "prelu shortcut": Style("prelu", shortcut="convolution"),
    "prelu pooled": Style("prelu", shortcut="pool"),
    "row by row": Style(
        ("relu", "swish", "prelu"), ("dense", "uneven"), (False, True), ("dense", "uneven"), (False, True)
    ),
}


def small(style: Style, layout: Layout = SMALL) -> FaceNetwork:
    torch.manual_seed(5)
    return lively(FaceNetwork(layout, style, 24))


def lively(network: FaceNetwork) -> FaceNetwork:
    """Scales, shifts and slopes that hide nothing (slopes from below 0 to above 1), and measured statistics.

    With statistics that nobody measured the differences between pictures die out on the way, and any rewrite of
    the first layers would look exact.
    """
    generator = torch.Generator().manual_seed(7)

    def drawn(like: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=generator)

    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.PReLU):
                layer.weight.copy_(drawn(layer.weight, -0.5, 1.7))
        for layer in norms:
            layer.weight.copy_(drawn(layer.weight, 0.5, 1.5))
            layer.bias.copy_(drawn(layer.bias, -0.3, 0.3))
            layer.momentum = 1.0
        network.train()(faces())
        for layer in norms:
            layer.running_mean += layer.running_var.sqrt() * drawn(layer.running_mean, -0.2, 0.2)
            layer.running_var *= drawn(layer.running_var, 0.7, 1.4)
    return network.eval()


def faces(count: int = 3) -> Tensor:
    return torch.randn(count, 3, 112, 112, generator=torch.Generator().manual_seed(1))
