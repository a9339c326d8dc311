"""Does a trunk that knows faces know attacks better? MobileNetV2 learns to embed faces, before it learns liveness.

From the ImageNet trunk, on crops of an identity pack that are cut and changed as the recipe `strangers` does; the
target is the packaged embedding of the unchanged picture. Writes a `model.safetensors` whose classifier knows
nothing, for `study run studies/ablation_more.toml --arm identity --start-from OUT/model.safetensors`.

    ostiary data read identity_shards FACES --out identity.csv
    python benchmarks/identity_trunk.py --index identity.csv --images FACES/train-00.tar ... \
        --trunk mobilenet_v2_imagenet.npz --out runs/identity_trunk
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.faces.crops import loose_crop
from ostiary.networks.mobilenet_v2 import MobileNetV2
from ostiary.reports.provenance import commit
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.packaged import EMBEDDING, resolve_weights
from ostiary.training.allocator import keep_freed_memory
from ostiary.training.batches import LabelledWindows
from ostiary.training.checkpoint import save_tensors
from ostiary.training.fit import fit, make_fabric
from ostiary.training.recipe import Recipe, recipe
from ostiary.training.run import calibration_batches, index_hash, load_split
from ostiary.training.start import from_trunk

JUDGED = 256
"""Pictures of other people, after each epoch."""


class Faces(NamedTuple):
    """Crops (N, 3, S, S) and the unit embeddings (N, D) of their pictures."""

    inputs: Tensor
    embeddings: Tensor


class Embedder(nn.Module):
    """The trunk, and the linear layer that training alone needs."""

    def __init__(self, network: MobileNetV2, dimension: int) -> None:
        super().__init__()
        self.network = network
        self.last = nn.Linear(network.classifier.in_features, dimension)

    def forward(self, x: Tensor) -> Tensor:
        unit: Tensor = functional.normalize(self.last(self.network.features(x)))
        return unit


class Portraits(NamedTuple):
    """Windows, and the embeddings (N, D) of their pictures."""

    data: LabelledWindows
    embeddings: NDArray[np.float32]


class IdentityTask:
    """Follow the embeddings of the pictures, whatever was done to the crops."""

    passes = 1

    def __init__(self, chosen: Recipe, network: MobileNetV2, train: Portraits, development: Portraits) -> None:
        self.recipe, self._train, self._development = chosen, train, development
        self.network: nn.Module = Embedder(network, train.embeddings.shape[1])
        self.steps_per_epoch = (chosen.epoch_pictures or len(train.embeddings)) // chosen.schedule.batch

    def batches(self, first_step: int, steps: int, shards: range) -> Iterator[list[Faces]]:
        for step in range(first_step, steps):
            random = np.random.default_rng([0, step])
            places = random.integers(0, len(self._train.embeddings), self.recipe.schedule.batch)
            windows, preprocess = self._train.data.windows, self.recipe.preprocess
            crops = [self.recipe.augmentation.crop(*windows[int(at)], preprocess, random) for at in places]
            pixels = torch.from_numpy(preprocess.normalise(np.stack(crops)))
            yield [Faces(pixels, torch.from_numpy(self._train.embeddings[places]))]

    def begin_step(self, step: int) -> str:
        return ""

    def losses(self, network: nn.Module, shard: Faces, device: torch.device) -> Iterator[Tensor]:
        inputs = shard.inputs.to(device, memory_format=torch.channels_last)
        yield (network(inputs) - shard.embeddings.to(device)).square().sum(1).mean()

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Mean cosine with the embeddings of other people's pictures, as they are."""
        windows, preprocess = self._development.data.windows, self.recipe.preprocess
        cosines = []
        for start in range(0, JUDGED, 64):
            crops = np.stack([loose_crop(*windows[at], preprocess) for at in range(start, start + 64)])
            with torch.inference_mode():
                found = network(torch.from_numpy(preprocess.normalise(crops)).to(device)).cpu().numpy()
            cosines.append((found * self._development.embeddings[start : start + 64]).sum(1))
        return {"development_quality": float(np.concatenate(cosines).mean())}


def portraits(
    chosen: Recipe, index: Index, split: str, pictures: PictureStore, cache: Path, most: int
) -> Portraits:
    """The first rows of a split, with what the packaged network says of their pictures (aligned crops)."""
    data = load_split(chosen, Index(index.select(split=split)[:most]), split, pictures, cache)
    model = EmbeddingModel(resolve_weights("slim_face", EMBEDDING))
    parts = []
    for start in range(0, len(data.samples), 64):
        crops = [pictures.image(sample.path) for sample in data.samples[start : start + 64]]
        parts.append(model.embed(np.stack(crops)))
    return Portraits(data, np.concatenate(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--images", type=Path, action="append", required=True)
    parser.add_argument("--trunk", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=4800, help="in an epoch")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    base = recipe("strangers").model_dump()
    schedule = {**base["schedule"], "epochs": options.epochs, "average": 0.99}
    change = {"network": "mobilenet_v2", "epoch_pictures": options.pictures, "schedule": schedule}
    chosen = Recipe.model_validate({**base, **change})
    index, pictures = Index.read_csv(options.index), open_pictures(options.images)
    cache = options.out / "cache"
    train = portraits(chosen, index, "train", pictures, cache, len(index))
    development = portraits(chosen, index, "development", pictures, cache, JUDGED)
    network = from_trunk(chosen, options.trunk, calibration_batches(chosen, train.data, pictures=512)).network
    task = IdentityTask(chosen, network, train, development)
    fabric = make_fabric()
    keep_freed_memory()
    fabric.launch()
    _, history = fit(task, chosen.schedule, options.out, fabric=fabric, seed=0)
    record = {
        "recipe": chosen.model_dump(mode="json"),
        "seed": 0,
        "commit": commit(),
        "data": list(index.datasets),
        "index_sha256": index_hash(index),
        "history": history,
    }
    save_tensors(options.out / "model.safetensors", dict(network.state_dict()), record)


if __name__ == "__main__":
    main()
