from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Sample
from ostiary.reports.contact_sheet import CELL, COLUMNS, contact_sheet, worst_errors
from ostiary.reports.scores import Scores

ROWS = (
    # path, species, capture, dataset, liveness, reason
    ("a1", "print", "a", "one", 0.7, ""),
    ("a2", "print", "a", "one", 0.9, ""),
    ("b1", "replay", "b", "one", 0.6, ""),
    ("c1", "replay", "c", "one", 0.5, ""),
    ("d1", "replay", "d", "one", 0.49, ""),
    ("e1", "replay", "", "one", 0.8, ""),
    ("e2", "replay", "", "one", 0.55, ""),
    ("f1", "print", "f", "two", 0.99, ""),
    ("g1", "print", "g", "one", np.nan, "no_face"),
    ("h1", "", "h", "one", 0.4, ""),
    ("h2", "", "h", "one", 0.1, ""),
    ("i1", "", "i", "one", 0.5, ""),
    ("j1", "", "j", "one", 0.3, ""),
    ("k1", "", "k", "one", np.nan, "no_face"),
)
SCORES = Scores(
    tuple(
        Sample(path, "attack" if kind else "bona_fide", kind, "", "test", dataset, capture)
        for path, kind, capture, dataset, _, _ in ROWS
    ),
    np.array([row[4] for row in ROWS]),
    tuple(row[5] for row in ROWS),
)


def test_the_worst_frame_of_each_recording_comes_first() -> None:
    found = worst_errors(SCORES, 0.5, "one", "false_accepts")
    assert [(error.sample.path, error.frames) for error in found] == [
        ("a2", 2),
        ("e1", 1),
        ("b1", 1),
        ("e2", 1),
        ("c1", 1),  # at the threshold it is accepted
    ]
    assert [error.liveness for error in found] == [0.9, 0.8, 0.6, 0.55, 0.5]


def test_people_who_were_refused_and_not_those_without_an_answer() -> None:
    found = worst_errors(SCORES, 0.5, "one", "false_rejects")
    assert [(error.sample.path, error.frames) for error in found] == [("h2", 2), ("j1", 1)]
    assert worst_errors(SCORES, 0.5, "two", "false_rejects") == []


def test_crops_stand_in_rows_in_the_order_of_the_errors() -> None:
    errors = worst_errors(SCORES, 0.0, "one", "false_accepts") * 2
    levels = {sample.path: 20 * place for place, sample in enumerate(SCORES.samples)}

    def crop_of(sample: Sample) -> NDArray[np.uint8]:
        return np.full((40, 40, 3), levels[sample.path], np.uint8)

    sheet = np.asarray(contact_sheet(errors, crop_of, 0.0, "title"))
    assert len(errors) == 2 * COLUMNS
    step = sheet.shape[1] // COLUMNS
    rows = [np.flatnonzero((sheet[:, 10 + CELL // 2] == levels["a2"]).all(axis=1))]
    assert len(rows[0]) == 2 * CELL
    for line, top in enumerate((rows[0][0], rows[0][-1] - CELL + 1)):
        shown = [int(sheet[top + CELL // 2, 10 + CELL // 2 + step * place, 0]) for place in range(COLUMNS)]
        assert shown == [levels[error.sample.path] for error in errors[line * COLUMNS : (line + 1) * COLUMNS]]


def test_long_names_stay_in_their_cells() -> None:
    one = worst_errors(SCORES, 0.5, "two", "false_accepts")

    def drawn(name: str) -> NDArray[np.uint8]:
        sample = Sample("f1", "attack", name, "", "test", name, "f")
        black = contact_sheet(
            [type(one[0])(sample, 0.99, 1)] * 2, lambda _: np.zeros((8, 8, 3), np.uint8), 0.5, name
        )
        return np.asarray(black)

    sheet = drawn("a species of a rather unusual length " * 5)
    assert sheet.shape == drawn("short").shape
    assert (sheet[:, -5:] == 255).all()
    assert (sheet[58:, 10 + CELL : 20 + CELL] == 255).all()
