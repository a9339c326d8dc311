"""The parts of the fuzzing lie beside this file, where ``benchmarks/fuzz.py`` finds them too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
