"""How pictures and weights lie in memory: whichever way a device convolves faster."""

from __future__ import annotations

import torch


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels last on a CPU, where that is 1.5 times faster; as torch has it on a GPU."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format
