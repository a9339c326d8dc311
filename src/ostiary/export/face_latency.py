"""How fast face networks are in each form, as ratios to MobileFaceNet in the same run.

The usual baseline, MobileFaceNet as it is exported, is slow for a reason of its own: ONNX Runtime's PReLU. So
every time is given twice: over that one, and over MobileFaceNet in the form that this package deploys for the
same precision. All candidates take turns (ostiary.runtime.timing): one thread, batch 1, CPU time of the calling
thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.export.face import eight_bits, face_model, operators_run
from ostiary.export.face_subjects import PREPROCESS, registered, untrained
from ostiary.export.rewrite import Form, Target, form_for, forms_of, rewritten
from ostiary.networks.costs import face_cost
from ostiary.networks.face_network import SIDE, FaceNetwork
from ostiary.networks.mobilefacenet import mobilefacenet
from ostiary.runtime.session import make_session
from ostiary.runtime.timing import Samples, interleave, ratio

Precision = Literal["float32", "int8"]
Progress = Callable[[str, int, int], None]

BASELINE = "mobilefacenet"

TARGET_OF: Mapping[Precision, Target] = {"float32": "cpu-fp32", "int8": "cpu-int8"}


def measure_faces(
    networks: Mapping[str, FaceNetwork] | None = None,
    *,
    precisions: Sequence[Precision] = ("float32", "int8"),
    every_form: bool = False,
    peers: Sequence[Path] = (),
    pixels: NDArray[np.float32] | None = None,
    rounds: int = 60,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Time face networks, plain and deployed, beside MobileFaceNet.

    Args:
        networks: by name; by default those of the registry, untrained, with embeddings of 512 numbers. Unless
            there is a ``mobilefacenet`` among them, an untrained one is added.
        precisions: of the weights.
        every_form: time all forms of rewrite.py, not only the plain one and the one for the target.
        peers: other people's ONNX models of one input, float32 (1, 3, 112, 112).
        pixels: what all are fed, (1, 3, 112, 112); by default noise. For trained networks it should be a face.
        rounds: timed calls of each candidate.
        seed: of the order and of the noise.
        progress: called with (what, done, total).

    Returns:
        ``rounds``; ``networks`` by name, each with ``parameters``, ``macs``, ``macs_tsx`` and ``forms``; and
        ``peers`` by name. A form has ``form``, ``precision``, ``deployed`` (whether it is the one for its target),
        ``operators`` (their counts in the graph that the runtime makes of it), ``ms``, and the ratios ``of_plain``
        and ``of_rewritten`` to MobileFaceNet in floating point and ``of_rewritten_alike`` to the deployed one of
        the same precision, each with ``..._quartiles``. A peer has ``ms`` and the ratios.

    Raises:
        ConfigurationError: a network has an operator that the export does not know.
        WeightsError: a peer cannot be opened.

    """
    chosen = {BASELINE: untrained(mobilefacenet), **(registered() if networks is None else networks)}
    noise = np.random.default_rng(seed).standard_normal((4, 3, SIDE, SIDE)).astype(np.float32)
    fed = noise[:1] if pixels is None else pixels
    candidates: list[_Candidate] = []
    for done, (name, network) in enumerate(chosen.items()):
        if progress is not None:
            progress("writing the forms", done, len(chosen))
        wanted = {*precisions, "float32"} if name == BASELINE else set(precisions)
        candidates += _candidates(name, network.eval(), wanted, every_form, noise)
    calls = {candidate.key: _call(candidate.content, fed) for candidate in candidates}
    calls |= {f"peers/{path.stem}": _call(path, fed) for path in peers}
    samples = interleave(calls, rounds=rounds, seed=seed)
    report: dict[str, Any] = {
        "rounds": rounds,
        "networks": {name: {**face_cost(net)._asdict(), "forms": []} for name, net in chosen.items()},
        "peers": {},
    }
    bases = {
        (candidate.precision, candidate.deployed): samples[candidate.key]
        for candidate in candidates
        if candidate.network == BASELINE and (candidate.deployed or candidate.form == str(Form()))
    }
    for candidate in candidates:
        compared = _compared(samples[candidate.key], bases, candidate.precision)
        report["networks"][candidate.network]["forms"].append({**candidate.record(), **compared})
    for path in peers:
        report["peers"][path.stem] = _compared(samples[f"peers/{path.stem}"], bases, "float32")
    return report


@dataclass(frozen=True, slots=True)
class _Candidate:
    network: str
    form: str
    precision: Precision
    deployed: bool
    content: bytes

    @property
    def key(self) -> str:
        return f"{self.network}/{self.precision}/{self.form}"

    def record(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "precision": self.precision,
            "deployed": self.deployed,
            "operators": _operators(self.content),
        }


def _candidates(
    name: str, network: FaceNetwork, precisions: set[Precision], every_form: bool, noise: NDArray[np.float32]
) -> Iterator[_Candidate]:
    """The plain network first; it is the deployed one where there is nothing to rewrite."""
    deployed = {precision: form_for(network, TARGET_OF[precision]) for precision in sorted(precisions)}
    for form in dict.fromkeys([Form(), *(forms_of(network) if every_form else deployed.values())]):
        model = face_model(rewritten(network, form), PREPROCESS)
        for precision, best in deployed.items():
            if every_form or form in (Form(), best):
                content = (model if precision == "float32" else eight_bits(model, noise)).SerializeToString()
                yield _Candidate(name, str(form), precision, form == best, content)


def _call(model: Path | bytes, pixels: NDArray[np.float32]) -> Callable[[], object]:
    session = make_session(model)
    return partial(session.run, None, {session.get_inputs()[0].name: pixels})


def _compared(
    samples: Samples, bases: Mapping[tuple[Precision, bool], Samples], precision: Precision
) -> dict[str, Any]:
    ratios = {
        "of_plain": ratio(samples, bases["float32", False]),
        "of_rewritten": ratio(samples, bases["float32", True]),
        "of_rewritten_alike": ratio(samples, bases[precision, True]),
    }
    values = {name: found.value for name, found in ratios.items()}
    spread = {f"{name}_quartiles": list(found.quartiles) for name, found in ratios.items()}
    return {"ms": samples.median, **values, **spread}


def _operators(content: bytes) -> dict[str, int]:
    """Counts by name in the graph that is run; operators of the blocked layout are called as outside it."""
    counts: Counter[str] = Counter()
    for (_, kind), count in operators_run(content).items():
        counts[kind] += count
    return dict(counts.most_common())
