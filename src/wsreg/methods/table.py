"""All methods by their names."""

from __future__ import annotations

from collections.abc import Mapping

from wsreg.methods.diffdrr import DiffDrr
from wsreg.methods.diffpose import DiffPose
from wsreg.methods.method import Method
from wsreg.methods.ours import Ours
from wsreg.methods.paper import WsReg
from wsreg.methods.psss import Psss
from wsreg.vocabulary import MethodName

METHODS: Mapping[MethodName, Method] = {
    "diffdrr": DiffDrr(),
    "psss": Psss(),
    "diffpose": DiffPose(),
    "wsreg-unet": WsReg(name="wsreg-unet", title="WSReg, U-Net", scheme="unet"),
    "wsreg-medsam": WsReg(name="wsreg-medsam", title="WSReg, MedSAM", scheme="medsam"),
    "wsreg-mixed": WsReg(name="wsreg-mixed", title="WSReg, MedSAM and U-Net", scheme="mixed"),
    "ours-search": Ours(
        name="ours-search", title="Ours, one body, search", init="search", bodies=None
    ),
    "ours-encoder": Ours(
        name="ours-encoder", title="Ours, one body, encoder", init="encoder", bodies=None
    ),
    "ours": Ours(name="ours", title="Ours, bodies apart", init="search", bodies="auto"),
}
"""In the order of tables; ``wsreg-mixed`` is the paper's case study."""
