"""The command's own opening with real weights, and what a server says when it cannot start."""

from __future__ import annotations

import socket
from pathlib import Path
from types import ModuleType

import pytest

from ostiary.errors import ConfigurationError, VaultError
from ostiary.gate.policy import Policy
from ostiary.gate.self_test import drawn_face
from ostiary.serve.opening import Opening, RememberedKey
from ostiary.serve.run import listening, run
from ostiary.serve.settings import ServerSettings


def never(said: str) -> None:
    pytest.fail(f"the server said {said!r}")


def test_a_port_that_is_taken(fakes: ModuleType, new_vault: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServerSettings(port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match="cannot be listened on"):
            run(fakes.FakeOpening(new_vault), settings, never)


def test_an_answers_body_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    with listening(ServerSettings(port=0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_vault_that_does_not_open(fakes: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="is not there"):
        run(fakes.FakeOpening(tmp_path / "no.db"), ServerSettings(port=0), never)


@pytest.mark.parametrize("personal", [False, True])
def test_the_door_of_the_command_has_a_dial_and_thresholds(
    personal: bool, fakes: ModuleType, new_vault: Path
) -> None:
    """Packaged weights throughout, for embeddings and for networks of one's own."""
    key = RememberedKey(fakes.KEY)
    opening = Opening(vault=new_vault, key=key, policy=Policy(), name="north", personal=personal)
    with opening() as door:
        assert (door.name, door.gate.problems) == ("north", ())
        assert door.thresholds.matching_origin == "weights"
        assert door.thresholds.matching is not None
        assert door.thresholds.matching.target == ("fmr<=1e-2" if personal else "fmr<=1e-3")
        own = door.dial.own_configuration
        assert own in door.thresholds.liveness
        assert door.thresholds.liveness_origin == "weights"
        other = next(notch.word for notch in door.dial.notches if notch.word != own)
        looks = []
        for word in (None, other):
            with door.dial.turned_to(word):
                looks.append(door.look(drawn_face(), judge=True))
        assert [look.configuration for look in looks] == [own, other]
        assert all(look.fit and 0 <= (look.liveness or -1) <= 1 for look in looks)
        assert looks[0].liveness != looks[1].liveness
        with (
            pytest.raises(ConfigurationError, match="There is no configuration 'XYZ'"),
            door.dial.turned_to("XYZ"),
        ):
            pass
