"""One line about the machine, to stand above every table."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path


def describe() -> str:
    """Processor, cores, load, versions and date."""
    import onnxruntime

    parts = [
        _processor(),
        f"{os.cpu_count()} cores",
        f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"ONNX Runtime {onnxruntime.__version__}",
        datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    ]
    return ", ".join(parts)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
