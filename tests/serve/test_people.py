"""Enrolment over HTTP: nothing is stored unless all is well; who is there can be listed, shown and deleted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from ostiary.gate.vault import Vault

Serve = Callable[..., Any]


def test_enrol_list_show_delete(serve: Serve) -> None:
    client = serve()
    done = client.post("/users/ada/photos", "ada", "ada", consent="signed 2026-03-01", retention="2099-12-31")
    assert done.status_code == 201
    assert done.json()["sentence"] == "'ada' is enrolled from 2 photos; no photo is kept."
    (listed,) = client.get("/users").json()
    assert (listed["user"], listed["retention"], listed["templates"]) == ("ada", "2099-12-31", 1)
    shown = client.get("/users/ada").json()
    assert shown["consent"] == "signed 2026-03-01"
    assert [one["kind"] for one in shown["details"]] == ["embedding"]
    gone = client.http.delete("/users/ada")
    assert (gone.status_code, gone.json()["templates"]) == (200, 1)
    assert any("backup" in sentence for sentence in gone.json()["remains"])
    assert client.get("/users").json() == []
    for answer in (client.get("/users/ada"), client.http.delete("/users/ada")):
        assert (answer.status_code, answer.json()) == (404, {"error": "Nobody of this handle is enrolled."})
    assert client.verify("ada").json()["reason"] == "not_enrolled"


def test_what_is_refused_is_an_answer_and_stores_nothing(serve: Serve) -> None:
    client = serve()
    attack = client.enrol("attack")
    assert (attack.status_code, attack.json()["enrolled"]) == (200, False)
    assert attack.json()["photos"] == [{"accepted": False, "reason": "presentation_attack", "causes": []}]
    assert client.post("/users/ada/photos", "ada", "bob", consent="signed").json()["reason"] == "photos_disagree"
    assert client.get("/users").json() == []
    assert client.enrol("attack", watched="true").status_code == 201


def test_one_face_has_one_handle_and_one_handle_one_face(own_client: Any) -> None:
    client = own_client
    twice = client.enrol("ada", "eve").json()
    assert (twice["reason"], twice["other"]) == ("enrolled_as_another", "ada")
    assert client.enrol("ada", "eve", duplicate="true").status_code == 201
    assert client.enrol("bob", "ada").json()["reason"] == "already_enrolled"
    assert client.enrol("bob", "ada", renew="true").status_code == 201
    assert client.verify("bob").json()["accepted"]
    assert client.enrol("bob", "zoe", renew="true", duplicate="true").status_code == 404


def test_handles_of_any_script_and_with_signs(serve: Serve) -> None:
    client = serve()
    for handle in ("Zoë", "李雷", "a b", "100%", "a?b#c"):
        path = f"/users/{quote(handle, safe='')}/photos"
        assert client.post(path, "ada", consent="s", duplicate="true").json()["user"] == handle
    assert len(client.get("/users").json()) == 5


def test_two_who_enrol_at_once_do_not_share_a_handle(serve: Serve) -> None:
    client = serve({"seconds": 0.05}, threads=4)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda who: client.enrol(who, "ada"), ["ada", "bob"] * 2))
    assert {one.status_code for one in answers} <= {200, 201}
    passing = {who for who in ("ada", "bob") if client.verify(who).json()["accepted"]}
    assert len(passing) == 1


def test_a_vault_that_does_not_open_is_told_to_the_log_alone(
    own_client: Any, new_vault: Path, fakes: ModuleType, caplog: Any
) -> None:
    client = own_client
    with Vault(new_vault, fakes.KEY) as vault:
        vault.rotate(bytes(range(1, 33)))
    answer = client.get("/users")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {"error": "The vault cannot be used; the server's log says why."}
    assert str(new_vault) in caplog.text
    assert (client.get("/health").status_code, client.get("/health").json()["status"]) == (503, "broken")
    refused = client.verify("ada").json()
    assert (refused["accepted"], refused["reason"]) == (False, "error")
