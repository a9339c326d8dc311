"""Every error that ostiary raises on purpose.

::

    OstiaryError
    ├── InputError            what the caller handed over cannot be used
    │   ├── ImageError        a picture that cannot be read, or is too large
    │   ├── DataIndexError    a data index with missing columns, a subject in two splits, ...
    │   ├── ScoreFileError    a score file with NaN, unknown labels, ...
    │   └── ConfigurationError  a configuration word that does not exist, an impossible setting
    ├── WeightsError          a weights file that is corrupt, of another version or task
    ├── RateError             a rate that the number of trials cannot support
    ├── VaultError            a vault that does not open: another key, damaged or exchanged rows, ...
    │   ├── NotEnrolledError  nobody of this handle is enrolled
    │   └── ExpiredError      the last day on which an enrolment may be used is over
    ├── SourceError           a camera, stream or video that cannot be opened, stalled or broke off
    ├── AuditError            an audit log whose chain is broken, or that cannot be written
    └── MissingExtraError     an optional dependency is not installed

Each message is one sentence that names the file or value, says what is wrong, and what to do about it.
The command line prints it and exits with 2.
"""

_LONGEST = 1200
"""Characters of a message that are shown."""


class OstiaryError(Exception):
    """Base of all errors raised on purpose; its message is fit to be shown to a user.

    A sentence may quote what stood in a file. So it is shown on one line, without control characters, and with
    its middle left out if it is very long.
    """

    def __str__(self) -> str:
        said = "".join(letter if letter.isprintable() else " " for letter in super().__str__())
        return said if len(said) <= _LONGEST else f"{said[: _LONGEST // 2]} [...] {said[-_LONGEST // 4 :]}"


class InputError(OstiaryError):
    """Something the caller handed over cannot be used."""


class ImageError(InputError):
    """A picture cannot be read, or is larger than the pixel limit."""


class DataIndexError(InputError):
    """A data index breaks its contract: columns, labels, splits or missing pictures."""


class ScoreFileError(InputError):
    """A score file breaks its contract: columns, NaN, labels."""


class ConfigurationError(InputError):
    """A configuration word does not exist in this model, or a setting is impossible."""


class WeightsError(OstiaryError):
    """A weights file is corrupt, of an unknown version, or made for another task."""


class RateError(OstiaryError):
    """The number of trials cannot support the error rate that was asked for."""


class VaultError(OstiaryError):
    """A vault, or a person's rows in it, does not open: another key, changed, exchanged or cut short."""


class NotEnrolledError(VaultError):
    """Nobody of this handle is enrolled."""


class ExpiredError(VaultError):
    """The last day on which an enrolment may be used is over."""


class SourceError(OstiaryError):
    """A source of pictures cannot be opened, stalled, broke off, or was cut short."""


class AuditError(OstiaryError):
    """An audit log's chain is broken, or the log cannot be read or written."""


class MissingExtraError(OstiaryError):
    """An optional dependency is missing; the message gives the install command."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed, and this command needs it: pip install 'ostiary[{extra}]'.")
