"""Networks whose cost is chosen after training (Khabarlak 2022), as a library that knows nothing of faces.

::

    net = make_adaptive(network, example, choose=largest(3))   # a copy with adaptive blocks
    sampler = WordSampler(PAPER_SAMPLING, seed=0)              # train: a word a step
    configure(net, sampler.word(step))
    statistics = recalibrate(net, "LLL", loader)               # afterwards: BatchNorm of each word
    small = specialise(net, "LLL")                             # an ordinary network

``docs/adaptive.md`` has a whole example.
"""

from ostiary.adaptive.block import LETTERS, Adaptive, Mean
from ostiary.adaptive.configuration import (
    PAPER_SAMPLING,
    WordSampler,
    blocks,
    check_word,
    configuration,
    configure,
    configured,
    words,
)
from ostiary.adaptive.counting import Cost, count, used_parameters
from ostiary.adaptive.modes import evaluating
from ostiary.adaptive.recalibrate import (
    BatchStatistics,
    apply_statistics,
    from_tensors,
    recalibrate,
    recalibrate_all,
    recalibrate_mixture,
    to_tensors,
)
from ostiary.adaptive.specialise import specialise
from ostiary.adaptive.transform import LightInit, Run, find_runs, largest, make_adaptive

__all__ = [
    "LETTERS",
    "PAPER_SAMPLING",
    "Adaptive",
    "BatchStatistics",
    "Cost",
    "LightInit",
    "Mean",
    "Run",
    "WordSampler",
    "apply_statistics",
    "blocks",
    "check_word",
    "configuration",
    "configure",
    "configured",
    "count",
    "evaluating",
    "find_runs",
    "from_tensors",
    "largest",
    "make_adaptive",
    "recalibrate",
    "recalibrate_all",
    "recalibrate_mixture",
    "specialise",
    "to_tensors",
    "used_parameters",
    "words",
]
