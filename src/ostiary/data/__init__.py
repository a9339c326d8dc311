"""Data sets: one index type, one reader a published layout."""
