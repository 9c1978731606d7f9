"""``wsreg simulate``: what can be simulated."""

from __future__ import annotations

from dataclasses import dataclass

from wsreg.cli.simulate_cohort import Cohort
from wsreg.cli.simulate_rig import Rig
from wsreg.cli.simulate_xray import Xray


@dataclass(frozen=True, kw_only=True)
class Simulate:
    """Simulate an X-ray of a CT, the rig of a biplane, or a cohort of virtual specimens."""

    what: Xray | Rig | Cohort

    def run(self) -> int:
        """Run what was chosen and return the exit status."""
        return self.what.run()
