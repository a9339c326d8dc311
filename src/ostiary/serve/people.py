"""The routes about people: enrol, list, show, delete. All of them are for administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from filelock import FileLock, Timeout

from ostiary.errors import ExpiredError, NotEnrolledError
from ostiary.gate.enrolment import EnrolmentReport
from ostiary.gate.enrolments import EnrolledUser, Enrolments, checked_handle
from ostiary.serve.answers import (
    DeletionAnswer,
    EnrolmentAnswer,
    PersonAnswer,
    Problem,
    TemplateAnswer,
    UserAnswer,
)
from ostiary.serve.auth import Needs
from ostiary.serve.decisions import PROBLEMS, Answer
from ostiary.serve.door import Door
from ostiary.serve.forms import described, read_form
from ostiary.serve.service import Service
from ostiary.serve.workbench import busy

Numbered = dict[int | str, dict[str, Any]]

_PATIENCE_S = 20
"""An enrolment waits so long for another one to end."""

_FIELDS = {
    "consent": "Note of what the person agreed to, when, and where it is filed.",
    "retention": "Last day of use, YYYY-MM-DD; empty for no end.",
    "renew": "`true` replaces what is enrolled under this handle, whoever it is.",
    "watched": "`true`: somebody saw the photos being taken, so that liveness is not asked for.",
    "duplicate": "`true`: the same face may be enrolled under another handle, too.",
}


def _problems(*statuses: int) -> Numbered:
    return {status: {"model": Problem, "description": "Not done."} for status in statuses}


router = APIRouter(
    tags=["people"],
    dependencies=[Depends(Needs("people"))],
    responses=_problems(400, 401, 403, 422, 429, 503),
)


@router.post(
    "/users/{user}/photos",
    openapi_extra=described(_FIELDS, ("consent",), "one to three from the front are enough"),
    responses={
        200: {"description": "Not enrolled; `sentence` says why."},
        201: {"description": "Enrolled.", "model": EnrolmentAnswer},
        **_problems(404, *PROBLEMS),
    },
)
async def enrol(request: Request, response: Response, user: str) -> EnrolmentAnswer:
    """Enrol a person from photos, or add to an enrolment of the same face. No photo is kept.

    Nothing is stored unless `enrolled` is true, with status 201; photos that are refused are answered with 200.
    """
    form = await read_form(request, _FIELDS)
    consent, retention = form.text("consent"), form.day("retention")
    renew, watched, duplicate = form.flag("renew"), form.flag("watched"), form.flag("duplicate")
    service: Service = request.app.state.service

    def work() -> EnrolmentReport:
        photos = form.pictures(service.settings.max_pixels)
        try:
            # Who is there already is looked up before it is stored; another worker must not store in between.
            with FileLock(service.enrolling, timeout=_PATIENCE_S):
                return service.door.gate.enrol(
                    user,
                    photos,
                    consent=consent,
                    retention=retention,
                    renew=renew,
                    watched=watched,
                    duplicates=not duplicate,
                )
        except Timeout:
            raise busy(_PATIENCE_S) from None

    report = await service.workbench.do(work)
    service.metrics.said("enrol", report.reason)
    request.state.reason = report.reason
    response.status_code = 201 if report.enrolled else 200
    return EnrolmentAnswer(**report.to_dict())


@router.get("/users")
async def list_users(request: Request) -> list[UserAnswer]:
    """List everybody who is enrolled, without any biometric value."""
    people = await _done(request, lambda door: door.vault.list())
    return [UserAnswer(**_listed(one)) for one in people]


@router.get("/users/{user}", responses=_problems(404))
async def show(request: Request, user: str) -> PersonAnswer:
    """Show what is stored about a person: dates, the note of consent, and which model made each template."""
    handle = checked_handle(user)

    def work(door: Door) -> PersonAnswer:
        found = next((one for one in door.vault.list() if one.user == handle), None)
        if found is None:
            raise NotEnrolledError(f"{handle!r} is not enrolled.")
        opened = None if found.problem else _opened(door, handle)
        templates = opened.templates if opened is not None else ()
        return PersonAnswer(
            **_listed(found),
            consent=None if opened is None else opened.consent,
            details=[
                TemplateAnswer(
                    kind=one.kind,
                    added=one.added.isoformat(timespec="seconds"),
                    model_sha256=one.model,
                    preprocess_sha256=one.preprocess_hash,
                )
                for one in templates
            ],
        )

    return await _done(request, work)


@router.delete("/users/{user}", responses=_problems(404))
async def delete(request: Request, user: str) -> DeletionAnswer:
    """Forget a person: the key that opens this person's rows is destroyed, and the rows with it."""

    def work(door: Door) -> DeletionAnswer:
        deletion = door.vault.delete(user)
        door.note("deleted", deletion.user)
        return DeletionAnswer(user=deletion.user, templates=deletion.templates, remains=list(deletion.remains))

    return await _done(request, work)


async def _done(request: Request, work: Callable[[Door], Answer]) -> Answer:
    service: Service = request.app.state.service
    return await service.workbench.do(lambda: work(service.door))


def _opened(door: Door, handle: str) -> Enrolments | None:
    """A person's rows; None if the enrolment is over."""
    try:
        return door.vault.open(handle)
    except ExpiredError:
        return None


def _listed(one: EnrolledUser) -> dict[str, Any]:
    return {
        "user": one.user,
        "enrolled": one.added and one.added.date().isoformat(),
        "retention": one.retention and one.retention.isoformat(),
        "expired": one.expired,
        "templates": one.templates,
        "problem": one.problem,
    }
