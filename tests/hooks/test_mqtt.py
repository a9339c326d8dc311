"""MQTT against a broker of a hundred lines that speaks as much of version 5 as a publisher needs."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("paho.mqtt.client", reason="the extra mqtt is not installed")

from ostiary.hooks.dispatcher import Counts, Dispatcher
from ostiary.hooks.hook import HookError
from ostiary.hooks.mqtt import Mqtt

Make = Callable[..., Any]
EXPIRY = 0x02
CONNECT, PUBLISH, PING = 1, 3, 12


@dataclass
class Message:
    topic: str
    body: bytes
    quality: int
    retained: bool
    expires: int | None


@dataclass
class Broker:
    """Answers as its fields say; ``silent`` acknowledges no message."""

    port: int = 0
    refuses: int = 0
    denies: int = 0
    silent: bool = False
    messages: list[Message] = field(default_factory=list)
    logins: list[tuple[str | None, str | None]] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while head := stream.read(1):
                self.answer(connection, head[0] >> 4, head[0] & 15, stream.read(varint(stream)))

    def answer(self, connection: socket.socket, kind: int, flags: int, packet: bytes) -> None:
        if kind == CONNECT:
            self.logins.append(login(packet))
            connection.sendall(bytes([0x20, 3, 0, self.refuses, 0]))
        elif kind == PUBLISH:
            topic, rest = text(packet)
            number, rest = rest[:2], rest[2:]
            properties, body = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
            expires = struct.unpack(">I", properties[1:5])[0] if properties[:1] == bytes([EXPIRY]) else None
            self.messages.append(Message(topic, body, flags >> 1 & 3, bool(flags & 1), expires))
            if not self.silent:
                connection.sendall(bytes([0x40, 3]) + number + bytes([self.denies]))
        elif kind == PING:
            connection.sendall(bytes([0xD0, 0]))

    def cut(self) -> None:
        """Break all connections."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def varint(stream: Any) -> int:
    value = shift = 0
    while True:
        byte = stream.read(1)[0]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        shift += 7


def text(packet: bytes) -> tuple[str, bytes]:
    length = struct.unpack(">H", packet[:2])[0]
    return packet[2 : 2 + length].decode(), packet[2 + length :]


def login(packet: bytes) -> tuple[str | None, str | None]:
    protocol, rest = text(packet)
    assert (protocol, rest[0]) == ("MQTT", 5)
    flags, rest = rest[1], rest[4:]
    _, rest = text(rest[1 + rest[0] :])
    user, rest = text(rest) if flags & 0x80 else (None, rest)
    return user, text(rest)[0] if flags & 0x40 else None


@pytest.fixture
def broker() -> Iterator[Broker]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Broker(listener.getsockname()[1])
        thread = threading.Thread(target=found.serve, args=(listener,))
        thread.start()
        yield found
        found.cut()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def mqtt(broker: Broker, **settings: Any) -> Mqtt:
    return Mqtt("127.0.0.1", broker.port, "house/door", door="north door", **settings)


def test_an_event_is_published_and_nothing_of_it_stays(broker: Broker, event: Make) -> None:
    hook = mqtt(broker, user="door", password="a word", lasts_s=7)
    sent = [event(), event(accepted=False)]
    for one in sent:
        hook.send(one, 20)
    hook.close()
    assert broker.logins == [("door", "a word")], "one connection serves all"
    assert [(one.topic, one.quality, one.retained) for one in broker.messages] == [("house/door", 1, False)] * 2
    assert [json.loads(one.body)["event_type"] for one in broker.messages] == ["accepted", "refused"]
    assert all(one.expires is not None and 1 <= one.expires <= 7 for one in broker.messages)
    assert "liveness" not in json.loads(broker.messages[0].body)
    assert "a word" not in repr(hook) + hook.name


def test_home_assistant_finds_the_door(broker: Broker, event: Make) -> None:
    hook = mqtt(broker, discovery="homeassistant")
    hook.prepare(20)
    assert len(broker.messages) == 1, "before anybody came"
    hook.send(event(), 20)
    hook.close()
    found, decision = broker.messages
    assert found.retained
    assert not decision.retained
    assert found.expires is None
    assert found.topic.startswith("homeassistant/event/ostiary_north_door_")
    assert found.topic.endswith("/config")
    told = json.loads(found.body)
    assert (told["state_topic"], told["event_types"]) == (decision.topic, ["accepted", "refused"])
    assert json.loads(decision.body)["event_type"] in told["event_types"]
    assert told["device"]["name"] == "north door"
    assert "ada" not in found.body.decode()


def test_a_broker_that_lets_nobody_in_or_takes_nothing(broker: Broker, event: Make) -> None:
    broker.refuses = 0x86
    hook = mqtt(broker)
    with pytest.raises(HookError, match=r"does not let this gate in \(Bad user name or password\)") as found:
        hook.send(event(), 20)
    assert found.value.final
    broker.refuses, broker.denies = 0, 0x87
    with pytest.raises(HookError, match=r"does not take the message \(Not authorized\)") as found:
        hook.send(event(), 20)
    assert found.value.final
    broker.denies = 0
    hook.send(event(), 20)
    hook.close()


def test_what_was_not_acknowledged_is_not_published_later(broker: Broker, event: Make) -> None:
    hook = mqtt(broker)
    broker.silent = True
    with pytest.raises(HookError, match="has not acknowledged"):
        hook.send(event(), 0.3)
    assert len(broker.messages) == 1
    broker.silent = False
    after = event()
    hook.send(after, 20)
    hook.close()
    assert [json.loads(one.body)["id"] for one in broker.messages[1:]] == [after.id]
    assert len(broker.logins) == 2, "the first connection was given up"


def test_a_connection_that_broke_is_made_anew(broker: Broker, event: Make, until: Make) -> None:
    hook = mqtt(broker)
    dispatcher = Dispatcher(hook, first_pause_s=0.01)
    until(lambda: len(broker.logins) == 1)
    dispatcher.put(event())
    until(lambda: dispatcher.counts == Counts(sent=1))
    broker.cut()
    dispatcher.put(event())
    until(lambda: dispatcher.counts == Counts(sent=2))
    dispatcher.close(60)
    assert len(broker.logins) == 2


def test_nobody_there(event: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(HookError, match="does not answer"):
            Mqtt("127.0.0.1", port, "door", door="north").send(event(), 0.1)
    with pytest.raises(HookError, match="cannot be reached") as found:
        Mqtt("127.0.0.1", port, "door", door="north").send(event(), 1)
    assert not found.value.final
