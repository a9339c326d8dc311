"""A weights file for the runtimes of phones and boards: one file a runtime, and the table of them.

``runtime.py`` says what each has to do, ``plain.py`` where all of them start, ``exporting.py`` does the whole.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from ostiary.errors import ConfigurationError
from ostiary.export.devices.runtime import Runtime

RUNTIMES = ("onnx", "litert", "ncnn", "executorch")
"""Names of the runtimes, as ``ostiary export device --to`` takes them."""


def runtime(name: str) -> Runtime:
    """A runtime by name; its own package is imported only when it writes or opens a file.

    Raises:
        ConfigurationError: there is none of this name.

    """
    if name not in RUNTIMES:
        raise ConfigurationError(f"there is no export to {name!r}; choose one of: {', '.join(RUNTIMES)}.")
    return cast(Runtime, import_module(f"ostiary.export.devices.{name}"))
