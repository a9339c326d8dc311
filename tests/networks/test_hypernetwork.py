"""Every form of the generator: what is personal, what it starts from, and that enrolment folds it exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ostiary.errors import ConfigurationError
from ostiary.networks.hypernetwork import FORMS, Form, Hypernetwork
from ostiary.networks.static_verifier import StaticVerifier
from ostiary.networks.verifier import split, verifier
from ostiary.runtime.verifier_layers import ARCHITECTURES, F64, F112, Architecture

EVERY = pytest.mark.parametrize("form", FORMS)
LATE = ("pw3", "dw4", "pw4", "gdc", "fc")
PERSONAL = {
    "direct": tuple(layer.name for layer in F64.layers),
    "basis": tuple(layer.name for layer in F64.layers),
    "modulation": tuple(layer.name for layer in F64.layers),
    "late": LATE,
    "head": ("fc",),
}
# Of a generator that starts from noise, for embeddings of 128 numbers and 16 directions.
PARAMETERS = {
    ("direct", "f112"): 2_984_161,
    ("basis", "f112"): 444_273,
    ("modulation", "f112"): 235_937,
    ("late", "f112"): 2_309_345,
    ("head", "f112"): 79_073,
    ("direct", "f64"): 2_968_737,
    ("modulation", "f64"): 250_321,
    ("head", "f64"): 79_009,
}


def generator(form: Form, architecture: Architecture = F64, **settings: object) -> Hypernetwork:
    torch.manual_seed(0)
    return Hypernetwork(form, architecture, **settings)  # type: ignore[arg-type]


def faces(people: int = 3) -> Tensor:
    return torch.randn(people, 128, generator=torch.Generator().manual_seed(3))


def pictures(size: int, number: int = 4) -> Tensor:
    """Smooth patches with the deviation that aligned faces have after normalisation."""
    rough = torch.randn(number, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    smooth = functional.interpolate(rough, size, mode="bilinear")
    return smooth / smooth.std() * 1.2


@pytest.mark.parametrize(("form", "name"), PARAMETERS)
def test_every_integer(form: Form, name: str) -> None:
    network = generator(form, ARCHITECTURES[name])
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[form, name]


@EVERY
def test_which_layers_are_personal(form: Form) -> None:
    theta = split(generator(form).theta(faces()), F64)
    differ = [name for name, (weight, _) in theta.items() if not torch.equal(weight[0], weight[1])]
    assert tuple(differ) == PERSONAL[form]


@pytest.mark.parametrize("start", [False, True])
@EVERY
def test_enrolment_folds_what_training_computes(form: Form, start: bool) -> None:
    network = generator(form, start=StaticVerifier(F64).start() if start else None)
    x = pictures(64)
    with torch.no_grad():
        trained = verifier(x, network(faces()).layers, F64)
        enrolled = verifier(x, network.theta(faces()), F64)
    torch.testing.assert_close(enrolled, trained, rtol=1e-4, atol=1e-5)


@EVERY
def test_a_person_depends_on_the_own_direction_alone(form: Form) -> None:
    network = generator(form)
    with torch.no_grad():
        together = network.theta(faces())
        torch.testing.assert_close(network.theta(faces()[1:2])[0], together[1], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(network.theta(faces() * 10), together, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)
@EVERY
def test_maps_keep_their_scale_from_the_first_to_the_last(form: Form, architecture: Architecture) -> None:
    """Ordinary initialisation of a generator lets them grow to thousands."""
    with torch.no_grad():
        x = pictures(architecture.size)
        for layer, (weight, bias) in zip(
            architecture.layers,
            split(generator(form, architecture).theta(faces(1))[0], architecture).values(),
            strict=True,
        ):
            x = functional.conv2d(x, weight, bias, layer.stride, layer.padding, groups=layer.groups)
            x = x.relu() if layer.relu else x
            if layer.name != "fc":
                assert 0.3 < x.square().mean().sqrt() < 5, layer.name


@EVERY
def test_every_parameter_learns(form: Form) -> None:
    network = generator(form)
    made = network(faces())
    (verifier(pictures(64), made.layers, F64).square().mean() + made.penalty).backward()
    learnt = {n: p.grad is not None and bool(p.grad.any()) for n, p in network.named_parameters() if p.numel()}
    assert all(learnt.values()), learnt


@pytest.mark.parametrize("form", ["head", "basis"])
def test_a_batch_can_be_learnt(form: Form) -> None:
    network = generator(form)
    people, x = faces(4), pictures(64, 4)
    optimiser = torch.optim.Adam(network.parameters(), 6e-3)
    for _ in range(45):
        loss = functional.binary_cross_entropy_with_logits(
            verifier(x, network(people).layers, F64), torch.eye(4), pos_weight=torch.tensor(3.0)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


def test_the_penalties_by_hand() -> None:
    head = generator("head")(faces())
    assert head.penalty.item() == pytest.approx(head.layers["fc"][0].square().mean().item(), rel=1e-5)
    network = generator("direct")
    made = network(faces())
    code = network.trunk(functional.normalize(faces()) * 128**0.5)
    lengths = []
    for layer, weight, _ in list(F64.places())[:-1]:
        lengths.append(network.emit(code)[:, weight].reshape(3, layer.out, -1).norm(dim=2))
    expected = (torch.cat(lengths, 1) - 1).square().mean() + made.layers["fc"][0].square().mean()
    assert made.penalty.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("form", ["direct", "basis", "modulation", "late"])
def test_what_strays_from_a_start_costs_its_share(form: Form) -> None:
    start = StaticVerifier(F64).start()
    network = generator(form, start=start)
    made, theta = network(faces()), network.theta(faces())
    personal = torch.cat([
        torch.arange(F64.parameters)[place]
        for layer, weight, bias in F64.places()
        for place in (weight, bias)
        if layer.name in PERSONAL[form] and layer.name != "fc"
    ])  # fmt: skip
    apart = (theta - start)[:, personal].square().sum(1).mean() / start[personal].square().sum()
    last = made.layers["fc"][0].square().mean()
    assert made.penalty.item() == pytest.approx((apart + last).item(), rel=1e-3)
    if form != "modulation":
        assert 0.05 < apart.sqrt() < 0.2


def test_a_start_and_a_projection_give_the_static_network_of_the_same_cost() -> None:
    torch.manual_seed(0)
    static = StaticVerifier(F64).eval()
    network = generator("head", start=static.start(), projection=static.projection.weight)
    x = pictures(64)
    with torch.no_grad():
        torch.testing.assert_close(
            verifier(x, network.theta(faces()), F64),
            verifier(x, static.theta(faces()), F64) - 2,
            rtol=1e-4,
            atol=1e-5,
        )


def test_the_digest_names_generator_and_backbone() -> None:
    network = generator("head")
    digest = network.digest("sface")
    assert len(digest) == 16
    assert digest == generator("head").digest("sface") != network.digest("another")
    with torch.no_grad():
        network.shared[0] += 1
    assert network.digest("sface") != digest


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no generator 'all'; choose one of: direct, basis"):
        Hypernetwork("all")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no theta of f112"):
        Hypernetwork("head", F112, start=torch.zeros(F64.parameters))
    with pytest.raises(ConfigurationError, match="does not lead from 88 features to 128 numbers"):
        Hypernetwork("head", F64, projection=torch.zeros(88, 128))
    for shape in ((128,), (1, 512)):
        with pytest.raises(ConfigurationError, match=r"takes embeddings \(M, 128\)"):
            generator("head").theta(torch.zeros(shape))
