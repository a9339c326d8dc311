"""A message a decision, to an MQTT 5 broker.

Nothing of a decision stays at the broker: the message is not retained, and it carries an expiry, so that whoever
was away gets no old one. It counts as told once the broker has acknowledged it (QoS 1). A connection on which that
did not happen is given up together with its message; else it would come late, after a reconnection.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

from ostiary.errors import MissingExtraError
from ostiary.hooks.discovery import announcement
from ostiary.hooks.hook import Event, HookError

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

_KEEP_ALIVE_S = 30


class Mqtt:
    """Publishes events under a topic.

    Args:
        host: of the broker.
        port: of the broker.
        topic: without wildcards.
        door: name of the gate.
        tls: None for no TLS; whether it may be without is the caller's business.
        user: name at the broker, None for none.
        password: of the user.
        discovery: prefix under which Home Assistant looks for devices (``homeassistant``); None for none.
        measurements: with liveness and similarity.
        only_accepted: no refusals.
        lasts_s: so many seconds after a decision it is still told.

    Raises:
        MissingExtraError: paho-mqtt is not installed.

    """

    def __init__(
        self,
        host: str,
        port: int,
        topic: str,
        *,
        door: str,
        tls: ssl.SSLContext | None = None,
        user: str | None = None,
        password: str | None = None,
        discovery: str | None = None,
        measurements: bool = False,
        only_accepted: bool = False,
        lasts_s: float = 10.0,
    ) -> None:
        try:
            import paho.mqtt.client  # noqa: F401
        except ModuleNotFoundError:
            raise MissingExtraError("paho-mqtt", "mqtt") from None
        self._host, self._port, self._topic, self._tls = host, port, topic, tls
        self._user, self._password, self._measurements = user, password, measurements
        self._announcement = None if discovery is None else announcement(discovery, topic, door)
        self.only_accepted, self.lasts_s = only_accepted, lasts_s
        self.name = f"MQTT {host}"
        self._client: Client | None = None
        self._refused: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"Mqtt({self._host!r}, {self._port}, {self._topic!r})"

    def prepare(self, timeout_s: float) -> None:
        """Connect, and be announced to Home Assistant. Raises as :meth:`send`."""
        self._connected(time.monotonic() + timeout_s)

    def send(self, event: Event, timeout_s: float) -> None:
        """Publish an event.

        Raises:
            HookError: the broker does not answer, or refuses.

        """
        end = time.monotonic() + timeout_s
        client = self._connected(end)
        body = event.body(measurements=self._measurements)
        expires = max(1, math.ceil(event.began + self.lasts_s - time.monotonic()))
        self._publish(client, self._topic, body, end, expires=expires)

    def close(self) -> None:
        """Leave the broker."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _connected(self, end: float) -> Client:
        """The connection; a new one if there is none, or if it broke."""
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        self._client = client = self._new_client()
        answered, said = threading.Event(), list["ReasonCode"]()

        def on_connect(client: Client, data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
            said.append(reason)
            answered.set()

        client.on_connect = on_connect
        client.connect_timeout = max(0.1, end - time.monotonic())
        try:
            client.connect(self._host, self._port, keepalive=_KEEP_ALIVE_S)
        except OSError as error:
            raise HookError(f"{self.name} cannot be reached ({error.strerror or type(error).__name__})") from None
        client.loop_start()
        if not answered.wait(max(0.0, end - time.monotonic())):
            self.close()
            raise HookError(f"{self.name} does not answer")
        if said[0].is_failure:
            self.close()
            raise HookError(f"{self.name} does not let this gate in ({said[0]})", final=True)
        if self._announcement is not None:
            topic, body = self._announcement
            self._publish(client, topic, body, end)
        return client

    def _new_client(self) -> Client:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5, reconnect_on_failure=False)
        client.on_publish = self._acknowledged
        self._refused.clear()
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._user is not None:
            client.username_pw_set(self._user, self._password)
        return client

    def _publish(self, client: Client, topic: str, body: bytes, end: float, expires: int | None = None) -> None:
        """Publish, and wait for the broker's word. What has no expiry is kept by the broker."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expires is not None:
            properties.MessageExpiryInterval = expires
        info = client.publish(topic, body, qos=1, retain=expires is None, properties=properties)
        try:
            info.wait_for_publish(max(0.0, end - time.monotonic()))
            arrived = info.is_published()
        except (RuntimeError, ValueError):  # the connection has broken, or its queue is full
            arrived = False
        if not arrived:
            self.close()
            raise HookError(f"{self.name} has not acknowledged the message")
        refusal = self._refused.pop(info.mid, None)
        if refusal is not None:
            raise HookError(f"{self.name} does not take the message ({refusal})", final=True)

    def _acknowledged(self, client: Client, data: Any, mid: int, reason: ReasonCode, properties: Any) -> None:
        """Called by the client's thread, before ``wait_for_publish`` returns."""
        if reason.is_failure:
            self._refused[mid] = str(reason)
