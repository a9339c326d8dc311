"""The changes of ``augment.py`` and ``pose.py`` to whole batches at once, wherever the batch lies.

Strengths and order are the same; the pixels are not, for the numbers are drawn otherwise and JPEG is computed
rather than written (its transform and its quantisation, which is where it loses).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ostiary.training.augment import Augmentation
from ostiary.training.embedding.pose import Misalignment

_GROUPS = 4
"""Of a batch: pictures of one group are made smaller to one size, drawn for the group."""
_RADIUS = 5
"""Of the widest blur's kernel, three times its deviation."""


class Draws:
    """Random numbers of one step: those per picture are drawn on the device, those per batch on the host."""

    def __init__(self, seed: Sequence[int], device: torch.device) -> None:
        self.device = device
        self.host = np.random.default_rng(list(seed))
        self._generator = torch.Generator(device).manual_seed(int(self.host.integers(2**62)))

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Numbers of this shape in [low, high)."""
        drawn = torch.rand(shape, generator=self._generator, device=self.device)
        return low + (high - low) * drawn

    def normal(self, *shape: int) -> Tensor:
        """Numbers of this shape of mean 0 and deviation 1."""
        return torch.randn(shape, generator=self._generator, device=self.device)

    def chance(self, share: float, count: int) -> Tensor:
        """True for about ``share`` of ``count`` pictures, shaped (count, 1, 1, 1)."""
        return self.uniform(0, 1, count, 1, 1, 1) < share


def changed_batch(crops: Tensor, augmentation: Augmentation, misalignment: Misalignment, draws: Draws) -> Tensor:
    """RGB crops (N, 3, S, S) of 0 to 255, S a multiple of 16 -> the same, each as another camera would give it."""
    crops = _moved(crops, misalignment, augmentation.flip, draws)
    crops = _optics(crops, augmentation, draws)
    crops = _colours(crops, augmentation, draws)
    crops = _sensor(crops, augmentation, draws)
    if augmentation.jpeg:
        quality = draws.uniform(25, 96, len(crops)).floor()
        crops = torch.where(draws.chance(augmentation.jpeg, len(crops)), compressed_batch(crops, quality), crops)
    if augmentation.erase:
        crops = _erased(crops, augmentation.erase, draws)
    return crops


def compressed_batch(crops: Tensor, quality: Tensor) -> Tensor:
    """Crops (N, 3, S, S) of 0 to 255 once through JPEG of these qualities (N,), colours at half the resolution."""
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    seen = torch.einsum("ij,njhw->nihw", _TO_YCC.to(crops), crops)
    light, colour = seen[:, :1], functional.avg_pool2d(seen[:, 1:], 2)
    light = _quantised(light - 128, scale, _LIGHT) + 128
    colour = _quantised(colour, scale, _COLOUR)
    colour = functional.interpolate(colour, scale_factor=2, mode="bilinear")
    back = torch.einsum("ij,njhw->nihw", torch.linalg.inv(_TO_YCC).to(crops), torch.cat([light, colour], 1))
    return back.clamp(0, 255).round()


def blurred_batch(crops: Tensor, deviation: Tensor) -> Tensor:
    """Crops (N, C, S, S) through Gaussians of these deviations (N,) in pixels; 0 leaves a crop as it is."""
    count, channels, side, _ = crops.shape
    taps = torch.arange(-_RADIUS, _RADIUS + 1, device=crops.device)
    kernel = torch.exp(-0.5 * (taps / deviation.clamp(min=1e-2)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    flat = functional.pad(crops, [_RADIUS] * 4, mode="replicate").reshape(
        1, count * channels, *[side + 2 * _RADIUS] * 2
    )
    flat = functional.conv2d(flat, kernel[:, :, None], groups=count * channels)
    flat = functional.conv2d(flat, kernel[..., None], groups=count * channels)
    return flat.reshape(crops.shape)


def _moved(crops: Tensor, misalignment: Misalignment, flip: bool, draws: Draws) -> Tensor:
    """Turned, scaled, shifted and mirrored, all in one sampling; black where there is no picture."""
    count, _, side, _ = crops.shape
    angle = torch.deg2rad(draws.uniform(-misalignment.turn, misalignment.turn, count))
    scale = misalignment.zoom ** draws.uniform(-1, 1, count)
    shift = draws.uniform(-misalignment.shift, misalignment.shift, count, 2, 1) / (side / 2)
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    turn = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    affine = torch.cat([turn, -turn @ shift], 2)
    if flip:
        mirrored = torch.where(draws.uniform(0, 1, count, 1) < 0.5, -1.0, 1.0)
        affine = torch.cat([affine[:, :1] * mirrored[..., None], affine[:, 1:]], 1)
    grid = functional.affine_grid(affine, list(crops.shape), align_corners=False)
    return functional.grid_sample(crops, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _optics(crops: Tensor, augmentation: Augmentation, draws: Draws) -> Tensor:
    """Fewer real pixels, an unsharp lens, or a camera that sharpens."""
    count = len(crops)
    if augmentation.shrink:
        coarse = torch.cat([_coarse(part, draws) for part in crops.chunk(_GROUPS)])
        crops = torch.where(draws.chance(augmentation.shrink, count), coarse, crops)
    if augmentation.blur:
        blurs = draws.chance(augmentation.blur, count).flatten()
        crops = blurred_batch(crops, draws.uniform(0.3, 1.6, count) * blurs)
    if augmentation.sharpen:
        detail = crops - blurred_batch(crops, draws.uniform(0.5, 2, count))
        sharpened = crops + draws.uniform(0.4, 1.6, count, 1, 1, 1) * detail * (detail.abs() > 2)
        crops = torch.where(draws.chance(augmentation.sharpen, count), sharpened, crops)
    return crops.clamp(0, 255)


def _coarse(crops: Tensor, draws: Draws) -> Tensor:
    size = crops.shape[-1]
    small = int(size * draws.host.uniform(0.3, 0.9))
    down = str(draws.host.choice(["bilinear", "area", "bicubic"]))
    up = str(draws.host.choice(["bilinear", "bicubic"]))
    few = functional.interpolate(crops, small, mode=down, **({} if down == "area" else {"antialias": True}))
    return functional.interpolate(few, size, mode=up).clamp(0, 255)


def _colours(crops: Tensor, augmentation: Augmentation, draws: Draws) -> Tensor:
    """Light, white balance and tone curve."""
    count = len(crops)

    def factor(half_width: float, channels: int = 1) -> Tensor:
        return 1 + draws.uniform(-half_width, half_width, count, channels, 1, 1)

    x = crops / 255
    if augmentation.gamma:
        x = x ** (2.0 ** draws.uniform(-augmentation.gamma, augmentation.gamma, count, 1, 1, 1))
    x = x * factor(augmentation.gains, 3) * factor(augmentation.brightness)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * factor(augmentation.contrast)
    luma = (x * x.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    saturation = factor(augmentation.saturation) * ~draws.chance(augmentation.grey, count)
    x = luma + (x - luma) * saturation
    if augmentation.hue:
        turns = draws.uniform(-augmentation.hue, augmentation.hue, count, 1, 1)
        x = torch.einsum("nij,njhw->nihw", _hue_rotation(turns), x)
    return x.clamp(0, 1) * 255


def _sensor(crops: Tensor, augmentation: Augmentation, draws: Draws) -> Tensor:
    """ISO noise: shot noise that grows with the root of the light, and coarser noise in colour."""
    if not augmentation.noise:
        return crops
    count, _, size, _ = crops.shape
    deviation = augmentation.noise * draws.uniform(0, 1, count, 1, 1, 1) ** 2
    light = deviation * torch.sqrt(crops.mean(1, keepdim=True) / 128 + 0.05)
    coarse = functional.interpolate(draws.normal(count, 3, size // 2, size // 2), scale_factor=2)
    return (crops + light * (draws.normal(count, 1, size, size) + 0.5 * coarse)).clamp(0, 255)


def _erased(crops: Tensor, share: float, draws: Draws) -> Tensor:
    """One rectangle of up to a third of the side, in one grey."""
    count, _, size, _ = crops.shape
    sides = draws.uniform(size // 10, size // 3, count, 2)
    begin = draws.uniform(0, 1, count, 2) * (size - sides)
    pixels = torch.arange(size, device=crops.device)
    inside = (pixels >= begin[..., None]) & (pixels < (begin + sides)[..., None])
    rectangle = inside[:, 0, :, None] & inside[:, 1, None, :]
    grey = draws.uniform(0, 256, count, 1, 1, 1).floor()
    return torch.where(rectangle[:, None] & draws.chance(share, count), grey, crops)


def _hue_rotation(turns: Tensor) -> Tensor:
    """Rotations (N, 3, 3) of colours about the grey axis by so many turns (N, 1, 1)."""
    angle = 2 * math.pi * turns
    axis = turns.new_full((3, 1), 1 / math.sqrt(3))
    eye, cross = torch.eye(3, device=turns.device), torch.linalg.cross(torch.eye(3), axis.cpu().T.expand(3, 3))
    rotation: Tensor = eye + angle.sin() * -cross.to(turns) + (1 - angle.cos()) * (axis @ axis.T - eye)
    return rotation


def _quantised(planes: Tensor, scale: Tensor, table: Tensor) -> Tensor:
    """Planes (N, C, S, S) about 0, block by block through the cosine transform, rounded to the table's steps."""
    count, channels, side, _ = planes.shape
    steps = ((table.to(planes) * scale + 50) / 100).floor().clamp(1, 255)[:, None, None, :, None, :]
    transform = _COSINES.to(planes)
    blocks = planes.reshape(count, channels, side // 8, 8, side // 8, 8)
    spectrum = torch.einsum("ij,nchjwk,lk->nchiwl", transform, blocks, transform)
    spectrum = (spectrum / steps).round() * steps
    return torch.einsum("ji,nchjwk,kl->nchiwl", transform, spectrum, transform).reshape(planes.shape)


_TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""RGB to JPEG's light and two colours (ITU-T T.871)."""
_COSINES = torch.tensor(
    [
        [
            math.sqrt((1 if row == 0 else 2) / 8) * math.cos(math.pi * (2 * column + 1) * row / 16)
            for column in range(8)
        ]
        for row in range(8)
    ]
)
_LIGHT = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_COLOUR = torch.tensor(
    [
        [17, 18, 24, 47, 99, 99, 99, 99],
        [18, 21, 26, 66, 99, 99, 99, 99],
        [24, 26, 56, 99, 99, 99, 99, 99],
        [47, 66, 99, 99, 99, 99, 99, 99],
        *[[99] * 8] * 4,
    ]
)
"""Steps at quality 50 (ITU-T T.81, Annex K)."""
