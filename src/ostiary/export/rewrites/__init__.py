"""Exact rewrites of face networks: the same embedding by operations that a runtime does faster."""
