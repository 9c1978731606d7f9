"""Every start by its name; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from wsreg.registration.starts.encoder import encoder
from wsreg.registration.starts.given import by_angles, given
from wsreg.registration.starts.landmarks import landmarks
from wsreg.registration.starts.roi import roi
from wsreg.registration.starts.search import search
from wsreg.registration.starts.start import Start

STARTS: Mapping[str, Start] = {
    "pose": given,
    "dicom": by_angles,
    "search": search,
    "encoder": encoder,
    "roi": roi,
    "landmarks": landmarks,
}
"""A pose that is given starts as ``pose``."""
NAMED = ("search", "dicom", "roi")
"""Those that are asked for by nothing but their name."""
