"""Seconds by stage."""

from __future__ import annotations

import time


class Clock:
    """Takes the time of the stages of a registration."""

    def __init__(self) -> None:
        self.begin = self.last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Count the time since the last lap for a stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now

    def stop(self) -> dict[str, float]:
        """Return the seconds of every stage, and the ``total``."""
        return {**self.seconds, "total": time.perf_counter() - self.begin}
