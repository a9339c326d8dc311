"""Letter B is the mean of both branches. Would another mixture err less?

Every block of the network computes a share of its heavy branch and the rest of its light one; the same share in
all blocks, or in one block alone while the others are at one half. BatchNorm is measured afresh for each
mixture, on training pictures. Judged on development people, one frame a recording, mean over data sets; share 0
is all-light, 1 is all-heavy. The branches stay as they were trained.

    python benchmarks/branch_mixing.py --model runs/pta/model.safetensors --index CSV --images TAR --cache CACHE
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from machine import describe
from ostiary.adaptive import apply_statistics, recalibrate, specialise
from ostiary.adaptive.block import Mean
from ostiary.data.index import Index
from ostiary.data.pictures import open_pictures
from ostiary.faces.crops import loose_crop
from ostiary.training.liveness import by_dataset, one_a_recording, predict
from ostiary.training.model import load_model
from ostiary.training.run import calibration_batches, load_split

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Mixture(nn.Module):
    """``share`` of what heavy computes, and the rest of what light does."""

    def __init__(self, mean: Mean, share: float) -> None:
        super().__init__()
        self.heavy, self.light, self.share = mean.heavy, mean.light, share

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = torch.lerp(self.light(x), self.heavy(x), self.share)
        return mixed


def mixed(network: nn.Module, shares: tuple[float, ...]) -> nn.Module:
    """A copy of an adaptive network whose blocks mix by these shares, in the network's order."""
    plain = specialise(network, "B" * len(shares))
    places = [name for name, module in plain.named_modules() if isinstance(module, Mean)]
    for name, share in zip(places, shares, strict=True):
        parent, _, last = name.rpartition(".")
        setattr(plain.get_submodule(parent), last, Mixture(plain.get_submodule(name), share))  # type: ignore[arg-type]
    return plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--index", type=Path, action="append", required=True)
    parser.add_argument("--images", type=Path, action="append", required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder of decoded pictures, as in training")
    parser.add_argument("--pictures", type=int, default=512, help="training pictures that measure BatchNorm")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()

    model = load_model(options.model)
    index = Index.concatenate(Index.read_csv(path) for path in options.index)
    pictures = open_pictures(options.images)
    train = load_split(model.recipe, index, "train", pictures, options.cache)
    development = load_split(model.recipe, index, "development", pictures, options.cache)
    places = one_a_recording(development.samples)
    samples = [development.samples[place] for place in places]
    crops = np.stack([loose_crop(*development.windows[place], model.recipe.preprocess) for place in places])
    batches = list(calibration_batches(model.recipe, train, pictures=options.pictures))

    alike = [(share,) * 3 for share in SHARES]
    one = [tuple(share if at == block else 0.5 for at in range(3)) for block in range(3) for share in (0.25, 0.75)]
    rows = []
    print(f"{describe()}\n\n| share of heavy, block by block | AUC | EER % |\n|---|---|---|")
    for shares in [*alike, *one]:
        network = mixed(model.network, shares)
        apply_statistics(network, recalibrate(network, "", batches))
        areas, errors = by_dataset(samples, predict(network, crops, model.recipe, torch.device("cpu")))
        rows.append({"shares": shares, "auc": float(np.mean(areas)), "eer": float(np.mean(errors))})
        print(
            f"| {', '.join(map(str, shares))} | {np.mean(areas):.4f} | {100 * np.mean(errors):.2f} |", flush=True
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
