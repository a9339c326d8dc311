"""``ostiary watch``: a door that runs, from a camera to a live decision."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import err, out
from ostiary.cli.door import DoorOptions, with_options
from ostiary.cli.gate import Measurements
from ostiary.cli.hooks import OnDecision

if TYPE_CHECKING:
    from ostiary.gate.watching import Sight, Visit

Tell = Callable[["Visit"], None]
Show = Callable[["Sight"], None]


@with_options
def watch(
    options: DoorOptions,
    source: Annotated[
        str,
        typer.Option("--camera", "--source", help="Number of a camera, a video file or the address of a stream."),
    ] = "0",
    user: Annotated[
        str | None,
        typer.Option(help="Who everybody is said to be; without it, anybody who is enrolled.", show_default=False),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="How long to look; without it, until it is ended.", show_default=False)
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End as soon as somebody is accepted.")] = False,
    rest: Annotated[float, typer.Option(help="Seconds without a judgement after a face was judged.")] = 2.0,
    picture: Annotated[bool, typer.Option("--picture", help="Show the camera's picture in the terminal.")] = False,
    on_decision: OnDecision = None,
    measurements: Measurements = False,
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON a presentation.")] = False,
) -> None:
    """Watch a camera, a stream or a video, and decide about everybody who comes. No picture is kept.

    A face that comes begins one presentation. After a decision the door rests, and whoever was let in is not
    judged again while they stand there.

    Exit code 0: somebody was accepted; 1: nobody; 2: an error, such as a camera that was pulled out.

    Example: ostiary watch --camera 0 --user ada
    """
    from ostiary.gate.setup import open_log
    from ostiary.gate.sources import frames
    from ostiary.gate.watching import Follower, Watch, logged
    from ostiary.hooks.addresses import open_hooks

    policy = options.policy()
    follower = Follower(policy.several_faces)
    accepted = False
    with (
        open_hooks(on_decision or (), options.door) as hooks,
        options.gate(policy, follower) as gate,
        logged(open_log(options.log, gate.vault), options.door),
        closing(frames(int(source) if source.isdecimal() else source)) as pictures,
        _view(picture, measurements, json) as (show, tell),
    ):
        taken = takewhile(lambda frame: seconds is None or frame.seconds < seconds, pictures)
        door = Watch(gate, follower, user=user, rest_s=rest, shown=show)
        try:
            for visit in door.visits(taken):
                hooks.tell(visit.decision)
                tell(visit)
                accepted |= visit.decision.accepted
                if once and accepted:
                    break
        except KeyboardInterrupt:  # how a door without an end is ended
            err.print("ended", highlight=False)
    raise typer.Exit(0 if accepted else 1)


@contextmanager
def _view(picture: bool, measurements: bool, json: bool) -> Iterator[tuple[Show | None, Tell]]:
    """What is told of each frame, and of each decision."""
    from ostiary.cli.decisions import sentence

    def say(visit: Visit) -> None:
        said = f"{visit.seconds:8.1f} s  {sentence(visit.decision, measurements=measurements)}"
        colour = "green" if visit.decision.accepted else "red"
        out.print(said, style=colour, highlight=False, markup=False, soft_wrap=True)

    def print_line(visit: Visit) -> None:
        print(json_module.dumps(visit.to_dict(measurements=measurements)), flush=True)

    if json or not out.is_terminal:
        yield None, print_line if json else say
        return
    from rich.live import Live

    from ostiary.cli.live_view import LiveView

    view = LiveView(picture=picture)
    with Live(view, console=out, refresh_per_second=8, transient=True):

        def tell(visit: Visit) -> None:
            view.decided(visit)
            say(visit)

        yield view.show, tell
