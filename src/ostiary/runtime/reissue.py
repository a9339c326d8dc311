"""Another template of the same person: weights that look different and compute the same function of the face.

What may change follows from the activation. After a ReLU, channels may be put in another order and scaled by
positive numbers, if the next layer takes it back; a sign may not change, since relu(-x) is not -relu(x). Between
the last two layers stands no activation: there signs may change as well, and what a bias adds may be moved into
the last one. The order of sums changes with the order of channels, so logits agree to rounding.

This renews a template and keeps two of them from being matched number by number (ISO/IEC 24745: renewability). It
cannot hide what both compute: whoever shows the same faces to two templates, or puts channels into an order of
their own making, can tell that they are of one person. Nor does a stolen one stop working: refuse it by a list of
fingerprints. docs/personal.md has the details.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.runtime.template import Template
from ostiary.runtime.verifier_layers import Architecture


def reissued(template: Template, seed: int | None = None, *, octaves: int = 0) -> Template:
    """The same person's template with other weights; see :func:`reissue`.

    Weights are rounded to the template's precision before, so that rounding adds nothing to the old logits.
    """
    kept = template.at(template.precision)
    return replace(kept, theta=reissue(kept.theta, kept.shape, seed, octaves=octaves))


def reissue(
    theta: NDArray[np.float32], architecture: Architecture, seed: int | None = None, *, octaves: int = 0
) -> NDArray[np.float32]:
    """Weights of the same function, drawn from all that a seed can reach.

    Args:
        theta: (parameters,); left as it is.
        architecture: of theta.
        seed: of the draw; who knows it can undo it, so it is not kept anywhere. None draws it from the system.
        octaves: channels are also scaled by a power of two from 2^-octaves to 2^octaves. Such scales cost int8
            templates up to twice as many bits of their weights; floating point loses nothing.

    Raises:
        ConfigurationError: theta is not of this architecture, or ``octaves`` is negative.

    """
    if theta.shape != (architecture.parameters,) or octaves < 0:
        raise ConfigurationError(
            f"A theta of shape {theta.shape} cannot be issued again as {architecture.name} with {octaves} "
            f"octaves: give ({architecture.parameters},) and 0 or more."
        )
    random = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    order, scales = np.arange(3), np.ones(3)
    *hidden, last = architecture.layers
    for layer, (weight, bias) in zip(hidden, architecture.parts(theta.astype(np.float64)).values(), strict=False):
        if layer.groups == 1:
            weight = weight[:, order] / scales[:, None, None]
            order = random.permutation(layer.out)
            weight, bias = weight[order], bias[order]
        else:
            weight, bias = weight[order] / scales[:, None, None, None], bias[order]
        scales = np.exp2(random.integers(-octaves, octaves + 1, layer.out))
        if not layer.relu:
            scales *= random.choice((-1, 1), layer.out)
        weight, bias = weight * scales[:, None, None, None], bias * scales
        parts += [weight.ravel(), bias]
    weight, bias = architecture.parts(theta.astype(np.float64))[last.name]
    weight = weight[:, order] / scales[:, None, None]
    # Before the last layer a bias only adds to the logit: take others, and take back what they add.
    offsets = random.normal(size=last.channels)
    moved = float(weight.ravel() @ (offsets - parts[-1]))
    parts[-1] = offsets
    parts += [weight.ravel(), bias - moved]
    return np.concatenate(parts).astype(np.float32)
