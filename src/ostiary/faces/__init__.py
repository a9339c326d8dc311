"""Faces in a picture: where they are (detector), and how they are cut out (crops)."""
