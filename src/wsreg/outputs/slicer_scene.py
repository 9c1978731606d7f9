"""A result as 3D Slicer shows it: the X-ray in its place, the C-arm, and a scene with the CT.

Everything lies in the CT's coordinates, at the pose of the first body: LPS mm, as the files say
that could also be RAS.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import torch
from torch import Tensor

from wsreg.files.json_files import write_json
from wsreg.files.names import different, file_name
from wsreg.files.whole import staged_folder, write_text
from wsreg.geometry.camera import Camera
from wsreg.geometry.itk_transform import write_itk_transform
from wsreg.geometry.rigid import inverse_rigid, transform_points
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.result import RegistrationResult

SCENE_FOLDER, SCENE = "slicer", "scene.mrml"
THICKNESS_MM = 1.0
"""Of the X-ray as a volume of one slice, which has none."""

_SCENE_FILE = re.compile(
    r"scene\.mrml|(xray(-.+)?\.nrrd)|(c-arm(-.+)?\.vtk)|(source(-.+)?\.mrk\.json)"
    r"|((camera-from-ct|ct-from-camera)(-.+)?\.tfm)"
)

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/"
    "Schema/markups-schema-v1.0.3.json#"
)


@dataclass(frozen=True, kw_only=True)
class _Node:
    """One file of a scene: what it is called there, and the kind of node that holds it."""

    file: str
    name: str
    kind: str


def write_slicer_scene(
    result: RegistrationResult,
    folder: str | Path,
    radiographs: Sequence[Radiograph],
    *,
    ct: str | Path | None = None,
    lies_in: str | Path | None = None,
) -> list[str]:
    """Write what 3D Slicer needs to show a result, all of it or nothing.

    For each view the X-ray as ``xray.nrrd``, one slice thick in the detector's plane; the beam as
    ``c-arm.vtk``; the source as ``source.mrk.json``; the pose both ways, ``camera-from-ct.tfm`` and
    ``ct-from-camera.tfm``, named by what ``TransformPoint`` does; of several views with their names
    behind a dash.  ``scene.mrml`` shows them, with the CT if it is a file.

    Args:
        result: what was found.
        folder: made if absent; files of these names there are replaced.
        radiographs: the X-rays of the result, in its order.
        ct: the file that the CT came from.
        lies_in: the folder in which the scene will lie, if not the one that it is written to.

    Returns:
        The names of the files.

    Raises:
        InputError: the folder cannot be written.
    """
    target = Path(folder)
    names = different(file_name(view.name) for view in result.views)
    endings = [f"-{name}" for name in names] if len(names) > 1 else [""]
    nodes: list[_Node] = []
    files: list[str] = []
    with staged_folder(target, scene_files(target)) as staging:
        for number, (ending, radiograph) in enumerate(zip(endings, radiographs, strict=True)):
            pose = result.pose_in_view(number)
            found = _write_view(staging, ending, radiograph, result.views[number].camera, pose)
            nodes += found
            files += [node.file for node in found]
            both = {"camera_from_ct": pose, "ct_from_camera": inverse_rigid(pose)}
            for direction, motion in both.items():
                files.append(f"{direction.replace('_', '-')}{ending}.tfm")
                write_itk_transform(motion, staging / files[-1], direction)
        if ct is not None and Path(ct).is_file():
            # The CT as it was given: what a link leads to may bear a patient's name.
            path = os.path.relpath(os.path.abspath(ct), os.path.realpath(lies_in or target))
            nodes.insert(0, _Node(file=path.replace(os.sep, "/"), name="CT", kind="volume"))
        write_text(staging / SCENE, _scene(nodes))
    return [*files, SCENE]


def scene_files(folder: str | Path) -> set[str]:
    """Return the names of the files of a scene in a folder; none if no scene is there."""
    folder = Path(folder)
    if not (folder / SCENE).is_file():
        return set()
    return {file.name for file in folder.iterdir() if _SCENE_FILE.fullmatch(file.name)}


def _write_view(
    folder: Path, ending: str, radiograph: Radiograph, camera: Camera, camera_from_ct: Tensor
) -> list[_Node]:
    """Write the X-ray, the beam and the source of one view."""
    ct_from_camera = inverse_rigid(camera_from_ct)
    nodes = [
        _Node(file=f"xray{ending}.nrrd", name=f"X-ray{ending}", kind="volume"),
        _Node(file=f"c-arm{ending}.vtk", name=f"C-arm{ending}", kind="model"),
        _Node(file=f"source{ending}.mrk.json", name=f"source{ending}", kind="markups"),
    ]
    image, beam, source = (folder / node.file for node in nodes)
    write_xray_plane(radiograph.image, camera, ct_from_camera, image)
    _write_beam(camera, ct_from_camera, beam)
    _write_point(ct_from_camera[:3, 3], nodes[2].name, source)
    return nodes


def write_xray_plane(image: Tensor, camera: Camera, ct_from_camera: Tensor, path: Path) -> None:
    """Write an image [H,W] as a volume of one slice whose voxels are the detector's pixels."""
    import SimpleITK

    corner = camera.detector_points(torch.zeros(1, 2, dtype=torch.float64))
    volume = SimpleITK.GetImageFromArray(image.detach().cpu().numpy()[None])
    row_mm, column_mm = camera.pixel_spacing_mm
    volume.SetSpacing((column_mm, row_mm, THICKNESS_MM))
    volume.SetDirection(ct_from_camera[:3, :3].flatten().tolist())
    volume.SetOrigin(transform_points(ct_from_camera, corner)[0].tolist())
    SimpleITK.WriteImage(volume, str(path), True)


def _write_beam(camera: Camera, ct_from_camera: Tensor, path: Path) -> None:
    """Write the pyramid from the source to the detector's outer corners as VTK's polygons."""
    right, bottom = camera.columns - 0.5, camera.rows - 0.5
    outline = torch.tensor(
        [[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]], dtype=torch.float64
    )
    corners = transform_points(ct_from_camera, camera.detector_points(outline))
    points = torch.cat((ct_from_camera[:3, 3][None], corners)).tolist()
    sides = [(0, 1 + n, 1 + (n + 1) % 4) for n in range(4)]
    lines = [
        "# vtk DataFile Version 3.0",
        "SPACE=LPS",  # which 3D Slicer reads here
        "ASCII",
        "DATASET POLYDATA",
        f"POINTS {len(points)} double",
        *(" ".join(map(repr, point)) for point in points),
        f"POLYGONS {len(sides) + 1} {4 * len(sides) + 5}",
        *(f"3 {a} {b} {c}" for a, b, c in sides),
        "4 1 2 3 4",
    ]
    write_text(path, "\n".join(lines) + "\n")


def _write_point(point_mm: Tensor, name: str, path: Path) -> None:
    content: dict[str, Any] = {
        "@schema": MARKUPS_SCHEMA,
        "markups": [
            {
                "type": "Fiducial",
                "coordinateSystem": "LPS",
                "coordinateUnits": "mm",
                "controlPoints": [{"id": "1", "label": name, "position": point_mm.tolist()}],
            }
        ],
    }
    write_json(path, content)


_TAGS = {
    "volume": ("Volume", "vtkMRMLScalarVolumeNode", "VolumeArchetypeStorage"),
    "model": ("Model", "vtkMRMLModelNode", "ModelStorage"),
    "markups": ("MarkupsFiducial", "vtkMRMLMarkupsFiducialNode", "MarkupsJsonStorage"),
}
_DISPLAYS = {
    "volume": ("VolumeDisplay", "vtkMRMLScalarVolumeDisplayNode", {"autoWindowLevel": "1"}),
    "model": (
        "ModelDisplay", "vtkMRMLModelDisplayNode",
        {"opacity": "0.2", "color": "1 0.8 0.2", "visibility": "true", "edgeVisibility": "true"},
    ),
    "markups": ("MarkupsDisplay", "vtkMRMLMarkupsDisplayNode", {"visibility": "true"}),
}  # fmt: skip
_COORDINATES = {"model": {"coordinateSystem": "LPS"}, "markups": {"coordinateSystem": "LPS"}}


def _scene(nodes: Sequence[_Node]) -> str:
    """Return a MRML scene of files: for each a node, how it is shown, and where it is stored."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<MRML version="Slicer4.4.0">']
    for number, node in enumerate(nodes, start=1):
        tag, kind, storage = _TAGS[node.kind]
        display, display_kind, look = _DISPLAYS[node.kind]
        shown, stored = f"{display_kind}{number}", f"vtkMRML{storage}Node{number}"
        lines += [
            _element(display, {"id": shown, "name": f"{node.name} display", **look}),
            _element(
                storage,
                {"id": stored, "fileName": quote(node.file), **_COORDINATES.get(node.kind, {})},
            ),
            _element(
                tag,
                {
                    "id": f"{kind}{number}",
                    "name": node.name,
                    "displayNodeRef": shown,
                    "storageNodeRef": stored,
                    "references": f"display:{shown};storage:{stored};",
                },
            ),
        ]
    return "\n".join([*lines, "</MRML>"]) + "\n"


def _element(tag: str, attributes: dict[str, str]) -> str:
    written = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    return f"  <{tag} {written}></{tag}>"
