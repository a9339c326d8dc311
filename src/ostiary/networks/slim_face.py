"""Ours: MobileFaceNet with the widths that pay on a small processor.

Its time goes where maps are large: into the stem and the first rows, of which much can go before anything is
lost. ReLU6 is merged into the convolutions by every runtime, PReLU by none. All widths are multiples of 32, which
vector units like. The 1x1 convolution after the stem is that of foamliu's MobileFaceNet, so that training can
start from its weights (``training/embedding/thinning.py``).
"""

from __future__ import annotations

from ostiary.networks.face_network import FaceNetwork, Layout, Row, Style

LAYOUT = Layout(
    stem=32,
    pointwise=32,
    rows=(
        Row(96, 64, 5, 2),
        Row(192, 128, 7, 2),
        Row(384, 128, 1, 2),
        Row(192, 128, 2, 1),
    ),
)
"""MobileFaceNet's table, three quarters as wide inside its blocks and half as wide in the stem."""


def slim_face(dimension: int = 512) -> FaceNetwork:
    """Three quarters of MobileFaceNet's multiply-adds."""
    return FaceNetwork(LAYOUT, Style("relu6"), dimension)
