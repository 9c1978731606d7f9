"""Whole methods, the published ones beside ours: what they train, and how they register."""
