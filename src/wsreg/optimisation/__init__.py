"""Solvers over parameter vectors: nothing here knows a pose, a camera or an image."""
