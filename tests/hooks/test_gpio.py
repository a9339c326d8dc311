"""A relay opens for whom it should, for as long as it should, and locks however the gate ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="relays hang at boards with Linux")
gpiozero = pytest.importorskip("gpiozero", reason="the extra gpio is not installed")

from ostiary.errors import ConfigurationError, MissingExtraError  # noqa: E402
from ostiary.hooks.dispatcher import Counts, Dispatcher  # noqa: E402
from ostiary.hooks.gpio import Gpio  # noqa: E402
from ostiary.hooks.hook import HookError  # noqa: E402
from ostiary.hooks.strike import hold  # noqa: E402

Make = Callable[..., Any]
Until = Callable[[Callable[[], bool]], None]

# The holder of the real pin, but for a mocked board whose pin writes its changes to a file.
HOLDER = """
import sys
from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPin
class Pin(MockPin):
    def _change_state(self, value):
        changed = super()._change_state(value)
        if changed:
            open(sys.argv[1], "a").write("high\\n" if value else "low\\n")
        return changed
Device.pin_factory = MockFactory(pin_class=Pin)
from ostiary.hooks.strike import main
sys.exit(main(sys.argv[2], sys.argv[3] == "high"))
"""


@pytest.fixture
def relay() -> Iterator[Any]:
    from gpiozero.pins.mock import MockFactory

    factory = MockFactory()
    with gpiozero.OutputDevice(17, initial_value=False, pin_factory=factory) as device:
        yield device
    factory.close()


def test_the_relay_is_on_for_so_long_and_longer_if_asked_again(relay: Any, until: Until) -> None:
    reading, writing = os.pipe()
    said, clock = list[str](), [100.0]
    thread = threading.Thread(target=hold, args=(relay, reading, said.append, lambda: clock[0]))
    thread.start()
    assert not relay.value
    os.write(writing, b"3")
    os.write(writing, b".0\n")
    until(lambda: said == ["open"])
    assert relay.value
    clock[0] = 102.9
    os.write(writing, b"3.0\n1.0\n")
    until(lambda: said == ["open"] * 3)
    clock[0] = 105.8
    os.write(writing, b"0.001\n")
    until(lambda: said == ["open"] * 4)
    assert relay.value
    os.close(writing)
    thread.join(60)
    os.close(reading)
    assert not relay.value, "nobody is left who could ask"


def test_time_alone_locks(relay: Any, until: Until) -> None:
    reading, writing = os.pipe()
    thread = threading.Thread(target=hold, args=(relay, reading, lambda _: None))
    thread.start()
    begun = time.monotonic()
    os.write(writing, b"0.200\n")
    until(lambda: bool(relay.value))
    until(lambda: not relay.value)
    assert time.monotonic() - begun >= 0.2
    os.close(writing)
    thread.join(60)
    os.close(reading)


def test_what_breaks_the_holder_locks(relay: Any) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"60\nnonsense\n")
    with pytest.raises(ValueError, match="nonsense"):
        hold(relay, reading, lambda _: None)
    assert not relay.value
    os.write(writing, b"60\n")

    def broken(_: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        hold(relay, reading, broken)
    assert not relay.value
    os.close(writing)
    os.close(reading)


def gpio(pins: Path, **settings: Any) -> Gpio:
    return Gpio("17", command=[sys.executable, "-c", HOLDER, str(pins)], **settings)


def levels(pins: Path) -> list[str]:
    return pins.read_text().split() if pins.exists() else []


def test_a_process_holds_the_pin(tmp_path: Path, event: Make, until: Until) -> None:
    pins = tmp_path / "pins"
    hook = gpio(pins, seconds=0.2)
    hook.send(event(), 60)
    until(lambda: levels(pins) == ["high", "low"])
    hook._holder.kill()  # if the holder itself dies, the next event finds another one
    hook._holder.wait()
    hook.send(event(), 60)
    until(lambda: levels(pins) == ["high", "low"] * 2)
    hook.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_holder_that_is_told_to_stop_locks(
    tmp_path: Path, event: Make, until: Until, number: signal.Signals
) -> None:
    pins = tmp_path / "pins"
    hook = gpio(pins, seconds=60)
    hook.send(event(), 60)
    hook._holder.send_signal(number)
    until(lambda: levels(pins) == ["high", "low"])
    hook._end()


def test_a_relay_that_is_on_at_low(tmp_path: Path, event: Make) -> None:
    pins = tmp_path / "pins"
    hook = gpio(pins, seconds=0.3, active_high=False)
    assert levels(pins) == ["high"], "locked from the first moment"
    hook.send(event(), 60)
    assert levels(pins)[:2] == ["high", "low"]
    hook.close()
    assert levels(pins) == ["high", "low", "high"]


def test_a_gate_that_ends_well_lets_in_whom_it_accepted(tmp_path: Path, event: Make) -> None:
    pins = tmp_path / "pins"
    dispatcher = Dispatcher(gpio(pins, seconds=0.4))
    begun = time.monotonic()
    dispatcher.put(event())
    dispatcher.close(60)
    assert time.monotonic() - begun >= 0.4
    assert dispatcher.counts == Counts(sent=1)
    assert levels(pins) == ["high", "low"]


KILLED = """
import sys, time
from datetime import datetime, timezone
from ostiary.gate.decision import Decision
from ostiary.hooks.gpio import Gpio
from ostiary.hooks.hook import Event
hook = Gpio("17", seconds=60, command=[sys.executable, "-c", sys.argv[1], sys.argv[2]])
now = datetime.now(timezone.utc)
said = Decision(accepted=True, reason="accepted", handle="ada", configuration="HLH", time=now)
hook.send(Event(decision=said, door="north"), 60)
print("open", flush=True)
time.sleep(60)
"""


def test_a_gate_that_is_killed_leaves_the_door_locked(tmp_path: Path, until: Until) -> None:
    pins = tmp_path / "pins"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, HOLDER, str(pins)], stdout=subprocess.PIPE, text=True
    ) as gate:
        assert gate.stdout is not None
        assert gate.stdout.readline() == "open\n"
        assert levels(pins) == ["high"]
        gate.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        gate.wait()
    until(lambda: levels(pins) == ["high", "low"])
    assert time.monotonic() - killed < 40, "and not after its 60 seconds"


def test_a_pin_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, event: Make) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    with pytest.raises(ConfigurationError, match=r"^Pin no-such-pin cannot be used \(PinInvalidPin"):
        Gpio("no-such-pin")
    says = [sys.executable, "-c", "print('missing gpiozero')"]
    with pytest.raises(MissingExtraError, match=r"pip install 'ostiary\[gpio\]'"):
        Gpio("17", command=says)
    with pytest.raises(ConfigurationError, match="no answer"):
        Gpio("17", command=[sys.executable, "-c", ""])
    for seconds in (0, 61, float("nan")):
        with pytest.raises(ConfigurationError, match="cannot be opened for"):
            Gpio("17", seconds=seconds)


def test_a_holder_that_says_nothing_is_ended(event: Make) -> None:
    mute = "import sys, time; print('ready', flush=True); time.sleep(60)"
    hook = Gpio("17", command=[sys.executable, "-c", mute])
    with pytest.raises(HookError, match="does not answer"):
        hook.send(event(), 0.05)
    assert hook._holder.poll() is not None
    hook.close()
