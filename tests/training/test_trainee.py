"""What is trained: heads beside the network, frozen stages, mixed styles, and the losses of a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ostiary.adaptive import configure
from ostiary.data.index import Sample
from ostiary.networks.mobilenet_v2 import MobileNetV2, pta_mobilenet_v2
from ostiary.training.batches import LabelledWindows, Shard
from ostiary.training.dial import Dial
from ostiary.training.liveness import LivenessTask
from ostiary.training.losses import Objective, spectrum, verdict_loss
from ostiary.training.mixing import Mixture, StyleMix
from ostiary.training.recipe import Recipe, recipe
from ostiary.training.trainee import SPECTRUM_STAGE, Trainee

CPU = torch.device("cpu")
LABELS = torch.tensor([1, 1, 0, 0])
EVERYTHING = Objective(patch_weight=0.3, contrast_weight=1.0, domain_weight=1.0)


def network() -> MobileNetV2:
    torch.manual_seed(0)
    return pta_mobilenet_v2(dropout=0.0)


def shard() -> Shard:
    torch.manual_seed(1)
    return Shard(torch.randn(4, 3, 64, 64), LABELS, torch.full((4,), torch.nan), LABELS, LABELS)


def task(**changes: object) -> LivenessTask:
    plain: Recipe = recipe("toy").model_copy(update={"label_smoothing": 0.1, **changes})
    rows = [Sample("a", "bona_fide", dataset="one"), Sample("b", "attack", "print", dataset="two")]
    data = LabelledWindows([], rows, np.full(2, np.nan, np.float32))  # type: ignore[arg-type]
    return LivenessTask(plain, network(), data, data, seed=0, workers=0)


def losses(subject: LivenessTask, words: list[str]) -> list[Tensor]:
    subject._words = words
    subject.network.train()
    return list(subject.losses(subject.network, shard(), CPU))


def close_to(value: Tensor) -> object:
    return pytest.approx(value.item(), rel=1e-5)


def test_heads_lie_beside_the_network_and_change_none_of_it() -> None:
    plain, helped = Trainee(network()), Trainee(network(), EVERYTHING, datasets=3)
    assert helped.network.state_dict().keys() == network().state_dict().keys()
    assert set(helped.state_dict()) - set(plain.state_dict()) == {
        f"{head}.{layer}.{kind}"
        for head in ("projection", "discriminator")
        for layer in (0, 2)
        for kind in ("weight", "bias")
    }
    batch = shard()
    with torch.no_grad():
        seen = helped.eval()(batch.inputs, batch.labels)
        assert torch.equal(seen.logits, network().eval()(batch.inputs))
    assert seen.domains.shape == (4, 3)
    assert torch.allclose(seen.projected.norm(dim=1), torch.ones(4))


def test_the_verdict_of_the_whole_is_the_mean_verdict_of_the_places() -> None:
    batch = shard()
    with torch.no_grad():
        seen = Trainee(network(), EVERYTHING).eval()(batch.inputs, batch.labels)
    assert seen.patches.shape == (4, 4, 2)
    assert torch.allclose(seen.patches.mean(1), seen.logits, atol=1e-6)


def test_frozen_stages_keep_weights_and_statistics_and_the_rest_learns() -> None:
    trainee = Trainee(network(), frozen_stages=2)
    before = {name: value.clone() for name, value in trainee.network.state_dict().items()}
    optimiser = torch.optim.AdamW(trainee.parameters(), 0.1, weight_decay=0.1)
    trainee.train()
    batch = shard()
    verdict_loss(trainee(batch.inputs, batch.labels).logits, batch.labels).backward()
    optimiser.step()
    moved = {name for name, value in trainee.network.state_dict().items() if not torch.equal(value, before[name])}
    frozen = ("conv_stem.", "bn1.", "blocks.0.", "blocks.1.")
    assert not [name for name in moved if name.startswith(frozen)]
    assert {"blocks.2.0.conv_pw.weight", "blocks.2.0.bn1.running_mean", "classifier.bias"} <= moved
    trainee.eval()
    trainee.train()
    assert not trainee.network.bn1.training
    assert trainee.network.blocks[2].training


def test_no_graph_is_kept_for_frozen_stages() -> None:
    trainee = Trainee(network(), frozen_stages=1).train()
    first: list[bool] = []
    for stage in trainee.network.blocks[:2]:
        stage.register_forward_hook(lambda _module, _inputs, output: first.append(output.requires_grad))
    trainee(shard().inputs, LABELS)
    assert first == [False, True]


def test_styles_are_mixed_in_training_alone() -> None:
    mixing, plain = Trainee(network(), style_mix=StyleMix(probability=1.0)), Trainee(network())
    inputs = shard().inputs
    with torch.no_grad():
        assert torch.equal(mixing.eval()(inputs, LABELS).logits, plain.eval()(inputs, LABELS).logits)
        assert not torch.equal(mixing.train()(inputs, LABELS).logits, plain.train()(inputs, LABELS).logits)


def test_light_follows_heavy_and_heavy_is_not_moved_by_it() -> None:
    subject = task(dial=Dial(rule="sandwich", random_words=0, distil=1.0))
    assert subject.begin_step(0) == "HHH+LLL"
    assert subject.passes == 2
    heavy, light = losses(subject, ["HHH", "LLL"])
    answers = {}
    for word in ("HHH", "LLL"):
        configure(subject.network, word)
        answers[word] = subject.network(shard().inputs, LABELS).logits
    followed = torch.softmax(answers["HHH"], 1)[:, 1].detach()
    assert heavy.item() == close_to(verdict_loss(answers["HHH"], LABELS, smoothing=0.1))
    assert light.item() == close_to(verdict_loss(answers["LLL"], LABELS, [(followed, 1.0)]))
    light.backward()
    moved = {name for name, value in subject.network.named_parameters() if value.grad is not None}
    assert not [name for name in moved if ".heavy." in name]
    assert [name for name in moved if ".light." in name]


def test_the_papers_rule_can_follow_heavy_too() -> None:
    _, follows = losses(task(dial=Dial(rule="sandwich", distil=0.5)), ["HHH", "LHL"])
    (alone,) = losses(task(dial=Dial(distil=0.5)), ["LHL"])
    (plain,) = losses(task(), ["LHL"])
    assert alone.item() == close_to(follows)
    assert plain.item() != close_to(follows)


def test_the_objectives_parts_add_up() -> None:
    plain, helped = task(), task(objective=Objective(contrast_weight=0.5, domain_weight=0.25))
    batch = shard()
    (without,), (loss,) = losses(plain, ["HHH"]), losses(helped, ["HHH"])
    seen = helped.network(batch.inputs, LABELS)
    similar = seen.projected @ seen.projected.T / 0.1
    # Two pairs: each picture has three others, one of them of its class.
    others = similar.masked_fill(torch.eye(4, dtype=torch.bool), -1e9)
    contrast = -(others.log_softmax(1)[[0, 1, 2, 3], [1, 0, 3, 2]]).mean()
    domain = -(seen.domains.log_softmax(1)[:2, 1]).mean()
    assert loss.item() == close_to(without + 0.5 * contrast + 0.25 * domain)


def test_the_spectrum_is_told_from_the_maps_on_the_way_and_teaches_them() -> None:
    plain, helped = task(), task(objective=Objective(spectrum_weight=2.0))
    batch = shard()
    (without,), (loss,) = losses(plain, ["HHH"]), losses(helped, ["HHH"])
    told = helped.network(batch.inputs, LABELS).spectra
    assert told.shape == (4, 1, 8, 8)
    error = (told - spectrum(batch.inputs, 8)).square().mean()
    assert loss.item() == close_to(without + 2 * error)
    error.backward()
    stages = helped.network.network.blocks
    reached = [any(p.grad is not None and p.grad.any() for p in stage.parameters()) for stage in stages]
    assert reached == [True] * SPECTRUM_STAGE + [False] * (len(stages) - SPECTRUM_STAGE)


def test_mixup_mixes_pictures_and_losses() -> None:
    subject = task(mixup=1.0)
    torch.manual_seed(5)
    mixture = Mixture.draw(1.0, 4, CPU)
    subject.network.train()
    batch = shard()
    torch.manual_seed(5)
    (loss,) = subject.losses(subject.network, batch, CPU)
    logits = subject.network(mixture(batch.inputs), LABELS).logits
    expected = mixture.share * verdict_loss(logits, LABELS, smoothing=0.1)
    expected += (1 - mixture.share) * verdict_loss(logits, LABELS[mixture.others], smoothing=0.1)
    assert loss.item() == close_to(expected)


def test_the_reversal_grows_from_nothing_to_one() -> None:
    subject = task()
    strengths = []
    steps = subject.steps_per_epoch * subject.recipe.schedule.epochs
    for step in (0, steps // 2, steps):
        subject.begin_step(step)
        strengths.append(subject._reversal)
    assert strengths[0] == 0
    assert strengths[1] == pytest.approx(0.9866, abs=1e-3)
    assert strengths[2] == pytest.approx(0.9999, abs=1e-3)
