"""``ostiary``: all commands, and the one place where an error becomes a sentence and exit code 2."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import typer

from ostiary.cli import (
    audit,
    bench,
    bench_face,
    bench_personal,
    calibrate,
    check,
    compare,
    data,
    data_faces,
    demo,
    doctor,
    evaluate,
    evaluate_face,
    evaluate_personal,
    evaluate_system,
    export,
    export_device,
    export_face,
    export_personal,
    gate,
    model,
    model_face,
    model_personal,
    pages,
    serve,
    study,
    train,
    train_face,
    train_personal,
    users,
    vault,
    watch,
    web,
    weights,
)
from ostiary.cli.console import err
from ostiary.errors import OstiaryError

app = typer.Typer(
    name="ostiary",
    help="Keeps a door: is the face at the camera alive, and is it the right one?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "train": (
        "From data to weights.",
        {
            "liveness": train.liveness,
            "average": train.average,
            "soft-targets": train.soft_targets,
            "face": train_face.face,
            "face-teacher": train_face.face_teacher,
            "personal": train_personal.personal,
            "recipes": train.recipes,
        },
    ),
    "evaluate": (
        "Error rates with intervals, from pictures or from score files.",
        {
            "liveness": evaluate.liveness,
            "face": evaluate_face.face,
            "personal": evaluate_personal.personal,
            "system": evaluate_system.system,
            "scores": evaluate.scores,
            "robustness": pages.robustness,
            "pages": pages.pages,
        },
    ),
    "study": (
        "Many trainings by one plan, and their table.",
        {
            "run": study.run,
            "table": study.table,
            "run-face": study.run_face,
            "table-face": study.table_face,
        },
    ),
    "export": (
        "From a trained network to a weights file.",
        {
            "liveness": export.liveness,
            "face": export_face.face,
            "personal": export_personal.personal,
            "verifier": export_personal.verifier,
            "device": export_device.device,
            "golden": web.golden,
        },
    ),
    "bench": (
        "Latency on this machine.",
        {"liveness": bench.liveness, "face": bench_face.face, "personal": bench_personal.personal},
    ),
    "data": (
        "Pictures and their indexes: make, read, check, align.",
        {
            "check": data.check,
            "read": data.read,
            "synthesize": data.synthesize,
            "align": data_faces.align,
            "faces": data_faces.faces,
        },
    ),
    "vault": (
        "The vault of enrolments: make it, change its key, check it.",
        {"create": vault.create, "rotate": vault.rotate, "check": vault.check, "recount": vault.recount},
    ),
    "users": (
        "Who is enrolled.",
        {
            "list": users.list_users,
            "show": users.show,
            "delete": users.delete,
            "purge": users.purge,
            "export": users.export,
        },
    ),
    "web": ("The page that runs in a browser alone.", {"build": web.build, "serve": web.serve}),
    "audit": ("The audit log.", {"verify": audit.verify}),
    "model": (
        "What the networks cost.",
        {"liveness": model.liveness, "face": model_face.face, "personal": model_personal.personal},
    ),
    "weights": ("The weights that come with the package.", {"list": weights.list_weights}),
}

app.command("check")(check.check)
app.command("compare")(compare.compare)
app.command("embed")(compare.embed)
app.command("enrol")(gate.enrol)
app.command(
    "enroll", hidden=True, help="The same as `enrol`. Example: ostiary enroll ada ada.jpg --consent noted"
)(gate.enrol)
app.command("verify")(gate.verify)
app.command("identify")(gate.identify)
app.command("watch")(watch.watch)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("explain")(pages.explain)
app.command("calibrate")(calibrate.calibrate)
app.command("calibrate-site")(calibrate.calibrate_site)
app.command("attack-test")(calibrate.attack_test)
for _name, (_help, _commands) in GROUPS.items():
    _group = typer.Typer(help=_help, no_args_is_help=True)
    for _command, _function in _commands.items():
        _group.command(_command)(_function)
    app.add_typer(_group, name=_name)


def main() -> None:
    """Run the command line; errors raised on purpose are one line on stderr and exit code 2."""
    # Pillow's own remark on large pictures: images.py has a limit of its own, with a sentence of its own.
    warnings.filterwarnings("ignore", message=r"Image size .* could be decompression bomb")
    try:
        app()
    except OstiaryError as error:
        err.print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("interrupted", highlight=False)
        sys.exit(130)


if __name__ == "__main__":
    main()
