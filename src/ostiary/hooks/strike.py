"""The small process that holds a relay, and lets go of it when nobody speaks to it any more.

``gpio.py`` starts it and writes a line with seconds for each opening. The relay falls back after that time; when
the pipe ends, which is what happens however the gate's process dies; and when this process is told to stop. A gate
with three neural networks in it has more ways to die than these few lines.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Protocol


class Relay(Protocol):
    """What lets somebody in while it is on; ``gpiozero.OutputDevice`` is one."""

    def on(self) -> None:
        """Let in."""

    def off(self) -> None:
        """Lock."""


def hold(
    relay: Relay, commands: int, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
) -> None:
    """Obey until there is nobody left to obey; the relay is off in the end, however that comes.

    Args:
        relay: is off.
        commands: file descriptor of a pipe; each line is a number of seconds to be on from now.
        tell: is told ``open`` after the relay was switched on.
        clock: seconds.

    """
    until, read = 0.0, b""
    try:
        while True:
            left = max(0.0, until - clock()) if until else None
            there, _, _ = select.select([commands], [], [], left)
            if until and clock() >= until:
                relay.off()
                until = 0.0
            if not there:
                continue
            got = os.read(commands, 4096)
            if not got:
                return
            *lines, read = (read + got).split(b"\n")
            for line in lines:
                until = max(until, clock() + float(line))
                relay.on()
                tell("open")
    finally:
        relay.off()


def main(pin: str, active_high: bool) -> int:
    """Hold the relay at a pin, by its name in gpiozero, as commands on the standard input say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gate, which then ends the pipe
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))  # the relay is switched off on the way out
    try:
        from gpiozero import OutputDevice

        device = OutputDevice(int(pin) if pin.isdecimal() else pin, active_high=active_high, initial_value=False)
    except ModuleNotFoundError as error:
        print(f"missing {error.name}", flush=True)
        return 1
    except Exception as error:  # whatever a driver raises is one sentence to the gate
        print(f"failed {type(error).__name__}: {error}".splitlines()[0], flush=True)
        return 1
    with device:
        print("ready", flush=True)
        hold(device, sys.stdin.fileno(), lambda said: print(said, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2] == "high"))
