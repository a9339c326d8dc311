"""Pictures by which ranges are set: without the few that drive a network far out of its usual values.

A network that was trained briefly may answer a crop that a picture's black border runs through with values a
hundred times as large as any other's. Eight bits that have room for those leave a few steps for all others.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.export.inner_values import inner_values

FARTHEST = 3.0
"""Times the median over pictures that the root mean square of a convolution's output may be."""
FEWEST = 0.75
"""Share of the pictures that is kept whatever they do: what so many do is usual."""


def usual_pictures(model: onnx.ModelProto, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Those inputs (N, 3, S, S) on which no convolution's output is far larger than on most, in their order.

    The farthest go first, and a quarter of the pictures at most.
    """
    names = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    if not names:
        return pictures
    sizes = np.array(
        [
            [float(np.sqrt(np.square(each).mean())) for each in maps]
            for maps in inner_values(model, names, pictures)
        ]
    )
    median = np.median(sizes, axis=0)
    heard = median > 0
    farthest = (sizes[:, heard] / median[heard]).max(axis=1, initial=0)
    kept = farthest <= max(FARTHEST, float(np.quantile(farthest, FEWEST)))
    chosen: NDArray[np.float32] = pictures[kept]
    return chosen
