"""MobileFaceNet (Chen et al. 2018, arXiv 1804.07573): the baseline that SeesawFaceNets are measured against."""

from __future__ import annotations

from ostiary.networks.face_network import FaceNetwork, Layout, Row, Style

LAYOUT = Layout(
    stem=64,
    rows=(
        Row(128, 64, 5, 2),
        Row(256, 128, 7, 2),
        Row(512, 128, 1, 2),
        Row(256, 128, 2, 1),
    ),
)
"""Chen et al. 2018, Table 1, with its two rows at 14 x 14 pixels as one."""


def mobilefacenet(dimension: int = 512) -> FaceNetwork:
    """1,200,512 parameters with 512 dimensions, as Zhang 2019 counts it; 1,003,136 with 128."""
    return FaceNetwork(LAYOUT, Style(activation="prelu"), dimension)
