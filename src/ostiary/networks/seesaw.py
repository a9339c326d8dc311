"""SeesawFaceNets (Zhang 2019, arXiv 1908.09124): uneven 1x1 convolutions, mixed in one of two ways.

"Share" lets the cuts of the two 1x1 convolutions overlap, so that one part of the second sees both of the
first; "shuffle" mixes the channels between them. The deeper DW networks add shortcuts at stride 2.
"""

from __future__ import annotations

from ostiary.networks.face_network import FaceNetwork, Layout, Row, Style
from ostiary.networks.mobilefacenet import LAYOUT

SHARE = Style("swish", expand="uneven", project="uneven_crossed", squeeze=(True,))
SHUFFLE = Style("swish", expand="uneven", shuffle=True, project="uneven", squeeze=(True,))
DW_V1 = Style("swish", expand="uneven", shuffle=True, project="uneven", squeeze=(True,), shortcut="convolution")
DW_V2 = Style("swish", expand="uneven", shuffle=True, project="uneven", squeeze=(True,), shortcut="pool")

MOBI_LAYOUT = Layout(64, (Row(128, 64, 3, 2), Row(256, 128, 4, 2), Row(512, 256, 7, 2)))
"""Inferred: that of MobiFace (Duong et al. 2018). It gives both counts that the paper prints for this network."""

DW_LAYOUT = Layout(96, (Row(192, 96, 9, 2), Row(384, 192, 13, 2), Row(768, 192, 1, 2), Row(384, 192, 4, 1)))


def seesaw_share(dimension: int = 512) -> FaceNetwork:
    """MobileFaceNet's table; the second cut, 3/4 and 1/4, overlaps the first."""
    return FaceNetwork(LAYOUT, SHARE, dimension)


def seesaw_shuffle(dimension: int = 512) -> FaceNetwork:
    """MobileFaceNet's table; a shuffle between the two cuts of 1/4 and 3/4."""
    return FaceNetwork(LAYOUT, SHUFFLE, dimension)


def seesaw_mobi(dimension: int = 512) -> FaceNetwork:
    """Seesaw-shuffle(mobi): fewer blocks, more at 7 x 7 pixels. No code of it is public; the table is inferred."""
    return FaceNetwork(MOBI_LAYOUT, SHUFFLE, dimension)


def dw_seesaw_v1(dimension: int = 512) -> FaceNetwork:
    """DW-Seesaw V1: deeper and wider; 1x1 convolutions of stride 2 beside the blocks of stride 2."""
    return FaceNetwork(DW_LAYOUT, DW_V1, dimension)


def dw_seesaw_v2(dimension: int = 512) -> FaceNetwork:
    """DW-Seesaw V2: as V1, with 2x2 max-pooling and a 1x1 convolution there."""
    return FaceNetwork(DW_LAYOUT, DW_V2, dimension)
