"""Cameras, rigid motions, C-arm angles, views, and the files that hold them."""
