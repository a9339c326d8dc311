"""A relay that lets somebody in for some seconds: a door strike at a pin of a small board.

The pin is held by a process of its own (strike.py), which locks when this one is gone, however it went. What no
program can promise is the state of a pin without power, or of a board that hangs: the wiring must lock by itself.
"""

from __future__ import annotations

import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from ostiary.errors import ConfigurationError, MissingExtraError
from ostiary.hooks.hook import Event, HookError

LONGEST_S = 60.0
"""A door that stands open for longer is no matter of a relay."""

_START_S = 30.0


class Gpio:
    """Opens for everybody who was accepted.

    Args:
        pin: name of a pin as gpiozero has it, such as ``17`` or ``BOARD11``.
        seconds: for which the relay is on; whoever is accepted meanwhile makes it longer, counted from then.
        active_high: whether the relay is on while the pin is high.
        lasts_s: so many seconds after a decision the door still opens.
        command: of the process that holds the pin.

    Raises:
        ConfigurationError: the pin cannot be had, or the time is out of range.
        MissingExtraError: gpiozero is not installed.

    """

    only_accepted = True

    def __init__(
        self,
        pin: str,
        *,
        seconds: float = 3.0,
        active_high: bool = True,
        lasts_s: float = 2.0,
        command: Sequence[str] = (sys.executable, "-m", "ostiary.hooks.strike"),
    ) -> None:
        if not 0 < seconds <= LONGEST_S:
            raise ConfigurationError(f"A door cannot be opened for {seconds:g} s: give up to {LONGEST_S:g}.")
        if not 0 < lasts_s < math.inf:
            raise ConfigurationError(f"A door cannot open up to {lasts_s:g} s late: give a number above 0.")
        self._pin, self._seconds, self.lasts_s = pin, seconds, lasts_s
        self._command = [*command, pin, "high" if active_high else "low"]
        self.name = f"relay at pin {pin}"
        self._open_until = 0.0
        self._holder = self._started()

    def __repr__(self) -> str:
        return f"Gpio({self._pin!r}, seconds={self._seconds:g})"

    def prepare(self, timeout_s: float) -> None:
        """The pin is held since the object was made."""

    def send(self, event: Event, timeout_s: float) -> None:
        """Open.

        Raises:
            HookError: the relay was not switched on.

        """
        end = time.monotonic() + timeout_s
        try:
            if self._holder.poll() is not None:
                self._end()
                self._holder = self._started(timeout_s)
            assert self._holder.stdin is not None
            self._holder.stdin.write(f"{self._seconds:.3f}\n")
            self._holder.stdin.flush()
            said = self._answer(self._holder, end - time.monotonic())
        except (OSError, ConfigurationError) as error:
            raise HookError(f"{self.name} cannot be switched ({type(error).__name__})") from None
        if said != "open":
            self._end()  # a process that does not answer must not open at some other time
            raise HookError(f"{self.name} does not answer")
        self._open_until = time.monotonic() + self._seconds

    def close(self) -> None:
        """Lock once the last opening is over, and give the pin back; if this process ends first, lock then."""
        time.sleep(max(0.0, self._open_until - time.monotonic()))
        self._end()

    def _end(self) -> None:
        """Lock, and give the pin back."""
        holder = self._holder
        for pipe in (holder.stdin, holder.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not written any more is nothing to open for
                    pipe.close()
        try:
            holder.wait(2)
        except subprocess.TimeoutExpired:
            holder.terminate()
            holder.wait(2)

    def _started(self, timeout_s: float = _START_S) -> subprocess.Popen[str]:
        holder = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},  # nothing is imported from wherever the gate was started
        )
        said = self._answer(holder, timeout_s)
        if said == "ready":
            return holder
        self._holder = holder
        self._end()
        if said.startswith("missing "):
            raise MissingExtraError(said.removeprefix("missing "), "gpio")
        reason = said.removeprefix("failed ") or "no answer"
        raise ConfigurationError(f"Pin {self._pin} cannot be used ({reason}): check its name and your rights.")

    def _answer(self, holder: subprocess.Popen[str], timeout_s: float) -> str:
        """The next line, empty if there is none in time."""
        assert holder.stdout is not None
        there, _, _ = select.select([holder.stdout], [], [], max(0.0, timeout_s))
        return holder.stdout.readline().strip() if there else ""
