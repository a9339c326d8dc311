"""A trained generator before any export, as evaluation asks for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.networks.verifier import verifier
from ostiary.runtime.template import Precision, Template
from ostiary.training.personal.batches import sized
from ostiary.training.personal.run import TrainedPersonal

BATCH = 64


class TorchVerifiers:
    """Enrols by the generator, and judges by what a template of ``precision`` keeps of it."""

    def __init__(self, model: TrainedPersonal, precision: Precision = "fp32") -> None:
        self._network, self._recipe, self._record = model.network.eval(), model.recipe, model.record
        self._precision: Precision = precision

    @property
    def backbone(self) -> str:
        """The name of the embedder that the generator was trained for."""
        return str(self._record["backbone"])

    def describe(self) -> dict[str, Any]:
        """What a report says of it."""
        network = self._network
        digest = network.digest(self._record["backbone_sha256"]).hex() if isinstance(network, Hypernetwork) else ""
        return {
            "name": f"{self._recipe.form} {self._recipe.architecture}",
            "backbone": self.backbone,
            "precision": self._precision,
            "parameters": self._recipe.shape.parameters,
            "macs": self._recipe.shape.macs,
            "recipe": self._recipe.name,
            "training_commit": self._record["commit"],
            "generator": digest,
        }

    def enrol(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings (M, D) of the backbone -> thetas (M, P)."""
        with torch.inference_mode():
            thetas: NDArray[np.float32] = self._network.theta(torch.from_numpy(embeddings)).numpy()
        if self._precision == "fp32":
            return thetas
        return np.stack([self._kept(theta) for theta in thetas])

    def logits(self, theta: NDArray[np.float32], crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """What the verifier ``theta`` (P,) says of aligned RGB crops (N, S, S, 3) of any side S: (N,)."""
        shape, parts = self._recipe.shape, []
        with torch.inference_mode():
            own = torch.from_numpy(theta)
            for begin in range(0, len(crops), BATCH):
                inputs = shape.preprocess.normalise(sized(crops[begin : begin + BATCH], shape.size))
                parts.append(verifier(torch.from_numpy(inputs), own, shape).double().numpy())
        return np.concatenate(parts) if parts else np.zeros(0)

    def _kept(self, theta: NDArray[np.float32]) -> NDArray[np.float32]:
        template = Template(theta, self._recipe.architecture, bytes(16), self._precision)
        return Template.from_bytes(template.to_bytes()).theta
