"""The numbers that TotalSegmentator (task ``total``, version 2) gives its structures."""

_SIDES = ("left", "right")
_RIBS = tuple(f"rib_{side}_{number}" for side in _SIDES for number in range(1, 13))
_VERTEBRAE = (
    "vertebrae_S1",
    *(f"vertebrae_L{number}" for number in range(5, 0, -1)),
    *(f"vertebrae_T{number}" for number in range(12, 0, -1)),
    *(f"vertebrae_C{number}" for number in range(7, 0, -1)),
)
_ORGANS = (
    "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas",
    "adrenal_gland_right", "adrenal_gland_left", "lung_upper_lobe_left", "lung_lower_lobe_left",
    "lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right", "esophagus",
    "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon", "urinary_bladder", "prostate",
    "kidney_cyst_left", "kidney_cyst_right",
)  # fmt: skip
_VESSELS = (
    "heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk", "subclavian_artery_right",
    "subclavian_artery_left", "common_carotid_artery_right", "common_carotid_artery_left",
    "brachiocephalic_vein_left", "brachiocephalic_vein_right", "atrial_appendage_left",
    "superior_vena_cava", "inferior_vena_cava", "portal_vein_and_splenic_vein",
    "iliac_artery_left", "iliac_artery_right", "iliac_vena_left", "iliac_vena_right",
)  # fmt: skip
_LIMBS = tuple(
    f"{bone}_{side}"
    for bone in ("humerus", "scapula", "clavicula", "femur", "hip")
    for side in _SIDES
)
_MUSCLES = tuple(
    f"{muscle}_{side}"
    for muscle in (
        "gluteus_maximus",
        "gluteus_medius",
        "gluteus_minimus",
        "autochthon",
        "iliopsoas",
    )
    for side in _SIDES
)

NUMBERS = {
    name: number
    for number, name in enumerate(
        (*_ORGANS, "sacrum", *_VERTEBRAE, *_VESSELS, *_LIMBS, "spinal_cord", *_MUSCLES,
         "brain", "skull", *_RIBS, "sternum", "costal_cartilages"),
        start=1,
    )
}  # fmt: skip
"""Number of each structure by its name."""
