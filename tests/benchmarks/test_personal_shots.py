"""Several photos: what templates are made of, that probes are the same for all, and rates that follow."""

from __future__ import annotations

import numpy as np
import pytest

from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.training.personal.run import TrainedPersonal
from personal_shots import RATES, SYSTEMS, apart_from_copies, by_networks, drawn, measure, numbers, page, ways

from .conftest import faces


def test_templates_are_made_of_the_mean_or_of_each_photo() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    made = ways(embeddings, np.array([[0, 1, 2], [3, 2, 1]]), [1, 2])
    assert list(made) == ["1 photo", "2 photos, mean", "2 photos, highest"]
    half = np.sqrt(0.5)
    np.testing.assert_allclose(made["2 photos, mean"][:, 0], [[half, half, 0, 0], [0, 0, half, half]])
    np.testing.assert_array_equal(made["1 photo"][:, 0], embeddings[[0, 3]])
    np.testing.assert_array_equal(made["2 photos, highest"][0], embeddings[[0, 1]])


def test_probes_are_never_enrolled_and_rounds_differ() -> None:
    able = [np.arange(0, 8), np.arange(8, 13)]
    rounds = list(drawn(able, 3, 4, 5, seed=0))
    for enrolled, shown, owner in rounds:
        assert not set(enrolled.ravel()) & set(shown)
        assert [own.tolist() for own in np.split(owner, [4])] == [[0] * 4, [1] * 2]
        assert all(set(row) <= set(own) for row, own in zip(enrolled, able, strict=True))
    assert len({tuple(enrolled.ravel()) for enrolled, _, _ in rounds}) > 1
    again = next(drawn(able, 3, 4, 5, seed=0))
    np.testing.assert_array_equal(again[0], rounds[0][0])


def test_copies_are_left_out() -> None:
    embeddings = np.array([[1, 0], [0.999, 0.04], [0, 1]], np.float32)
    assert apart_from_copies(np.array([0, 1, 2]), embeddings, 0.98).tolist() == [0, 2]


def test_more_photos_help_where_pictures_are_noisy(model: TrainedPersonal) -> None:
    found = measure(model, faces(10, 9, seed=5, noise=0.35), [1, 3, 5], probes=3, rounds=2, seed=0)
    assert (found["people"], found["comparisons"]) == (10, 2 * 10 * 30)
    cosine = found["backbone's cosine"]
    assert list(cosine) == ["1 photo", *(f"{n} photos, {how}" for n in (3, 5) for how in ("mean", "highest"))]
    for rate in RATES:
        one, five = cosine["1 photo"][rate], cosine["5 photos, mean"][rate]
        assert five["difference"] == pytest.approx(five["value"] - one["value"])
        assert "difference" not in one
    assert cosine["5 photos, mean"]["eer"]["difference_interval"][1] < 0
    text = page(cosine, "backbone's cosine")
    assert [line.split(" | ")[0] for line in text.splitlines()[2:]] == [f"| {name}" for name in cosine]


def test_networks_are_asked_in_the_order_of_the_templates(
    model: TrainedPersonal, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = faces(5, 3, seed=6)
    shown, rows = np.array([2, 7]), toy.embeddings[:7]
    whole = by_networks(model, toy, shown, rows)
    assert whole.shape == (7, 2)
    monkeypatch.setattr("personal_shots.TEMPLATES", 3)
    np.testing.assert_allclose(by_networks(model, toy, shown, rows), whole, atol=1e-5)
    assert set(SYSTEMS) == {"personal verifier", "backbone's cosine"}


def test_what_cannot_be_measured_is_refused(model: TrainedPersonal) -> None:
    with pytest.raises(DataIndexError, match="Only 0 people have more than 5 pictures"):
        measure(model, faces(4, 5, seed=0), [1, 5], probes=3, rounds=1, seed=0)
    for text in ("", "0,1", "1,one", "3,3"):
        with pytest.raises(ConfigurationError, match="no list of different numbers"):
            numbers(text)
    assert numbers("5,1") == [1, 5]
