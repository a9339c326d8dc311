"""The routes about the server itself: is it well, what does it count, what are its thresholds and its dial."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

import ostiary
from ostiary.errors import OstiaryError
from ostiary.serve.answers import (
    AboutAnswer,
    ConfigurationAnswer,
    ConfigurationsAnswer,
    HealthAnswer,
    LivenessThreshold,
    Problem,
    ThresholdsAnswer,
)
from ostiary.serve.auth import Caller, Needs
from ostiary.serve.dial import Notch
from ostiary.serve.metrics import CONTENT_TYPE
from ostiary.serve.service import Service

Reads = Annotated[Caller, Depends(Needs("settings"))]
Counts = Annotated[Caller, Depends(Needs("metrics"))]

router = APIRouter(
    tags=["server"],
    responses={status: {"model": Problem, "description": "Not done."} for status in (401, 403, 429, 503)},
)


@router.get("/health", responses={503: {"model": HealthAnswer, "description": "The vault does not open."}})
async def health(request: Request, response: Response) -> HealthAnswer:
    """Say whether the server can decide. Needs no token."""
    door = _service(request).door
    status = "refuses" if door.gate.problems else "ok"
    try:
        # Beside the workbench: a server that is busy is well. Reading this key opens the vault's own row.
        await asyncio.to_thread(lambda: door.vault.log_key)
    except OstiaryError:
        status, response.status_code = "broken", 503
    return HealthAnswer(status=status, version=ostiary.__version__)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The counters."}},
)
async def metrics(request: Request, caller: Counts) -> Response:
    """Counters in Prometheus' text format, of all workers together."""
    return Response(_service(request).metrics.text(), media_type=CONTENT_TYPE)


@router.get("/about")
async def about(request: Request, caller: Reads) -> AboutAnswer:
    """Tell what a page needs to know of the door and of its own token."""
    service = _service(request)
    door, settings = service.door, service.settings
    return AboutAnswer(
        version=ostiary.__version__,
        door=door.name,
        role=caller.role,
        rights=sorted(caller.rights),
        frames=door.policy.frames,
        most_photos=settings.most_photos,
        largest_body=settings.largest_body,
        configuration=door.dial.own_configuration,
        limits=None if door.policy.quality is None else asdict(door.policy.quality),
        problems=list(door.gate.problems) if caller.may("people") else [],
    )


@router.get("/thresholds")
async def thresholds(request: Request, caller: Reads) -> ThresholdsAnswer:
    """Show the thresholds in use, the error rate that each stands for, and what it was counted over."""
    door = _service(request).door
    known = door.thresholds
    return ThresholdsAnswer(
        configuration=door.dial.own_configuration,
        liveness_origin=known.liveness_origin,
        liveness=[LivenessThreshold(word=word, operating=one) for word, one in known.liveness.items()],
        matching_origin=known.matching_origin,
        matching=known.matching,
    )


@router.get("/configurations")
async def configurations(request: Request, caller: Reads) -> ConfigurationsAnswer:
    """Show every configuration of the liveness network and what it costs here; measured at the first call."""
    service = _service(request)
    door = service.door
    taken = await service.workbench.do(door.dial.milliseconds)
    notches = sorted(door.dial.notches, key=lambda notch: taken[notch.word])
    return ConfigurationsAnswer(
        configuration=door.dial.own_configuration,
        may_choose=caller.may("people"),
        configurations=[
            ConfigurationAnswer(
                word=notch.word,
                milliseconds=round(taken[notch.word], 3),
                macs=notch.macs,
                parameters=notch.parameters,
                development_error=notch.development_error,
                calibrated=notch.word in door.thresholds.liveness,
                worthwhile=_is_worthwhile(notch, notches[:place]),
            )
            for place, notch in enumerate(notches)
        ],
    )


def _is_worthwhile(notch: Notch, faster: list[Notch]) -> bool:
    """Whether no faster one erred as little; where nobody has measured, whatever costs more may be better."""
    error = notch.development_error
    return error is None or all(one.development_error is None or one.development_error > error for one in faster)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
