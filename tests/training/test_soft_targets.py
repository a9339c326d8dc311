"""Soft targets: a round trip, and files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostiary.data.index import Sample
from ostiary.errors import DataIndexError
from ostiary.training.soft_targets import TEMPERATURE, read_soft_targets, write_soft_targets

SAMPLES = [Sample(name, "bona_fide", dataset="d") for name in ("a", "b", "c")]


def test_written_answers_come_back_as_probabilities_and_unknown_ones_as_nan(tmp_path: Path) -> None:
    path = tmp_path / "soft.csv"
    write_soft_targets(path, [(SAMPLES[0], 0.0), (SAMPLES[1], None), (SAMPLES[2], TEMPERATURE)])
    read = read_soft_targets(path, SAMPLES)
    assert read[0] == pytest.approx(0.5)
    assert np.isnan(read[1])
    assert read[2] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_for_other_pictures_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "soft.csv"
    write_soft_targets(path, [(SAMPLES[0], 1.0)])
    with pytest.raises(DataIndexError, match="none of the 1 training pictures"):
        read_soft_targets(path, [Sample("z", "bona_fide", dataset="d")])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataIndexError, match="must have the columns"):
        read_soft_targets(path, SAMPLES)
    path.write_text("dataset,path,log_odds\nd,a,much\n")
    with pytest.raises(DataIndexError, match="cannot be read"):
        read_soft_targets(path, SAMPLES)
