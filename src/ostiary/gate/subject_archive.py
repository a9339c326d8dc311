"""What a vault knows of one person, as an archive that this person can read without this package.

It answers a request for access (GDPR Article 15, and 20 as far as it applies). It is in clear on purpose, so it is
written readable by its owner alone, and belongs into the person's hand and nowhere else.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path

from ostiary.errors import InputError
from ostiary.gate.enrolments import Enrolments

_README = """\
This archive holds everything that the vault of an Ostiary gate stored about you.

record.json   your handle, the note on your consent, the last day on which your enrolment may be used (null: no
              end was set), and for each template when it was made and with which model.
templates/    what the gate recognises you by, byte for byte as it was stored. "embedding": a list of numbers that
              a network made of your face, as 32-bit floating point numbers, little-endian. "personal": a small
              network that was made for you alone. No photo was kept.

A template is biometric data. Whoever has it may try to pass for you, or to find you in other systems: keep this
archive as you would keep a copy of a key.
"""


def write_archive(people: Enrolments, out: Path) -> Path:
    """Write the zip archive of one person, whole or not at all.

    Raises:
        InputError: ``out`` does not end in ``.zip``, or cannot be written.

    """
    if out.suffix != ".zip":
        raise InputError(f"{out} does not end in .zip: name an archive for the export.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{out.name}-", suffix=".partial", dir=out.parent)
        try:
            with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                _fill(archive, people)
            Path(name).replace(out)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}); name a file in a folder that can be written."
        ) from None
    return out


def _fill(archive: zipfile.ZipFile, people: Enrolments) -> None:
    described = []
    for number, one in enumerate(people.templates, 1):
        name = f"templates/{number}-{one.kind}.bin"
        archive.writestr(name, one.template)
        described.append(
            {
                "file": name,
                "kind": one.kind,
                "added": one.added.isoformat(),
                "model_sha256": one.model,
                "preprocess_sha256": one.preprocess_hash,
            }
        )
    record = {
        "handle": people.user,
        "consent": people.consent,
        "retention": people.retention and people.retention.isoformat(),
        "templates": described,
    }
    archive.writestr("record.json", json.dumps(record, indent=1, ensure_ascii=False))
    archive.writestr("README.txt", _README)
