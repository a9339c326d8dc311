"""The routes that look at a face: verify, identify, check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from numpy.typing import NDArray

from ostiary.gate.decision import Decision
from ostiary.gate.gate import Gate
from ostiary.serve.answers import DecisionAnswer, LookAnswer, Problem
from ostiary.serve.auth import Caller, Needs
from ostiary.serve.door import Door
from ostiary.serve.forms import Form, described, read_form
from ostiary.serve.service import Service

Answer = TypeVar("Answer")
Pictures = list[NDArray[np.uint8]]

PROBLEMS = (400, 401, 403, 408, 413, 415, 422, 429, 503)
"""What a request with a form may be answered where it cannot be done."""

Decides = Annotated[Caller, Depends(Needs("decide"))]
Looks = Annotated[Caller, Depends(Needs("look"))]
Measurements = Annotated[bool, Query(description="With what was measured; for administrators.")]
Configuration = Annotated[
    str | None,
    Query(max_length=40, description="Judge by this word instead of the door's own; for administrators."),
]

router = APIRouter(
    tags=["decisions"], responses={status: {"model": Problem, "description": "Not done."} for status in PROBLEMS}
)

_USER = {"user": "The handle that is claimed."}
_SEVERAL = "several are one presentation, in which as many must agree as the door asks for"


@router.post("/verify", openapi_extra=described(_USER, ("user",), _SEVERAL))
async def verify(
    request: Request, caller: Decides, measurements: Measurements = False, configuration: Configuration = None
) -> DecisionAnswer:
    """Say whether this is the person who is claimed, alive (1:1). A refused face is answered with 200."""
    form = await read_form(request, _USER)
    user = form.text("user")
    decision = await _decision(
        request, form, caller, "verify", configuration, lambda gate, frames: gate.verify(frames, user)
    )
    return DecisionAnswer.of(decision, caller, measurements=measurements)


@router.post("/identify", openapi_extra=described({}, (), _SEVERAL))
async def identify(
    request: Request, caller: Decides, measurements: Measurements = False, configuration: Configuration = None
) -> DecisionAnswer:
    """Say whether this is anybody who is enrolled, alive, and who (1:N). A refused face is answered with 200.

    Everybody is compared, so that false matches grow with the number of people.
    """
    form = await read_form(request, {})
    decision = await _decision(
        request, form, caller, "identify", configuration, lambda gate, frames: gate.identify(frames)
    )
    return DecisionAnswer.of(decision, caller, measurements=measurements)


@router.post("/check", openapi_extra=described({}, (), "one"))
async def check(
    request: Request,
    caller: Looks,
    liveness: Annotated[bool, Query(description="Ask whether the face is alive, too.")] = True,
    measurements: Measurements = False,
    configuration: Configuration = None,
) -> LookAnswer:
    """Say whether a face can be judged and whether it is alive, but not who it is.

    No lock-out counts this question. With `liveness=false` it says only what is wrong with the picture: that is
    what a page asks while somebody steps before the camera, and all that the token of a door may ask.
    """
    if liveness and not caller.may("check"):
        raise HTTPException(403, f"A token of the role {caller.role!r} may ask for liveness=false alone.")
    form = await read_form(request, {})
    if len(form.photos) > 1:
        raise HTTPException(400, "A check is of one photo: send one.")
    look = await _judged(
        request, form, caller, configuration, lambda door, photos: door.look(photos[0], judge=liveness)
    )
    _service(request).metrics.said("check" if liveness else "look", look.reason)
    request.state.reason = look.reason
    return LookAnswer.of(look, caller, measurements=measurements)


async def _decision(
    request: Request,
    form: Form,
    caller: Caller,
    question: str,
    configuration: str | None,
    decide: Callable[[Gate, Pictures], Decision],
) -> Decision:
    decision = await _judged(request, form, caller, configuration, lambda door, photos: decide(door.gate, photos))
    _service(request).metrics.decided(question, decision)
    request.app.state.hooks.tell(decision)
    request.state.reason = decision.reason
    return decision


async def _judged(
    request: Request,
    form: Form,
    caller: Caller,
    configuration: str | None,
    judge: Callable[[Door, Pictures], Answer],
) -> Answer:
    """What the door says to a form's photos, in a thread of the workbench."""
    if configuration is not None and not caller.may("people"):
        raise HTTPException(403, f"A token of the role {caller.role!r} may not choose the configuration.")
    service = _service(request)

    def work() -> Answer:
        photos = form.pictures(service.settings.max_pixels)
        with service.door.dial.turned_to(configuration):
            return judge(service.door, photos)

    return await service.workbench.do(work)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
