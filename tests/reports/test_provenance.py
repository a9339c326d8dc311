"""Which commit a result names."""

from __future__ import annotations

import pytest

from ostiary.reports.provenance import commit


def test_a_machine_without_the_history_is_told_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTIARY_COMMIT", "0123456789ab")
    assert commit() == "0123456789ab"
    monkeypatch.setenv("OSTIARY_COMMIT", "")
    assert commit() != "", "an empty variable says nothing: the history is asked"
