"""Where the command line writes: answers to stdout, progress and remarks to stderr."""

from rich.console import Console

out = Console()
err = Console(stderr=True)
