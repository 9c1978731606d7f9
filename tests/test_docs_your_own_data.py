"""Every command of docs/your-own-data.md runs, on small phantoms under the names that it uses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
import torch
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from torch import Tensor

from wsreg import Camera, Volume, read_pose, render, view_pose
from wsreg.cli.main import main
from wsreg.files.json_files import write_json
from wsreg.geometry.calibration_writing import write_opencv_camera, write_opencv_pose
from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.diffdrr import diffdrr_from_camera_from_centred_ct
from wsreg.geometry.itk_transform import write_itk_transform
from wsreg.geometry.mayacam import write_mayacam
from wsreg.geometry.pose_file import pose_record
from wsreg.geometry.rig import orbit_rig
from wsreg.geometry.rigid import inverse_rigid, perturb, rigid
from wsreg.volumes.phantom import analytic_phantom

DOC = Path(__file__).parents[1] / "docs" / "your-own-data.md"
BLOCK = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CAMERA = Camera(source_to_detector_mm=1020.0, rows=96, columns=96, pixel_spacing_mm=(3.0, 3.0))
RTK = """<RTKThreeDCircularGeometry version="3">
  <SourceToIsocenterDistance>700</SourceToIsocenterDistance>
  <SourceToDetectorDistance>1020</SourceToDetectorDistance>
  <Projection><GantryAngle>0</GantryAngle></Projection>
  <Projection><GantryAngle>90</GantryAngle></Projection>
</RTKThreeDCircularGeometry>"""


SEEN_ALIKE = (
    "slicer", "search", "opencv", "biplane", "again", "cbct",
    "total", "masks", "slicer-bones", "seg",
)  # fmt: skip
"""Results that have the pose of the first, but for depth."""


def commands(kind: str) -> list[str]:
    blocks = [block["text"] for block in BLOCK.finditer(DOC.read_text()) if block["kind"] == kind]
    return [line for text in blocks for line in text.splitlines() if line.strip()]


def twist(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own-data")
    volume = analytic_phantom()
    true = perturb(view_pose(volume, CAMERA), twist(0.05, -0.04, 0.03, 6, -8, 15), volume.centre_mm)
    start = perturb(true, twist(0.03, 0.02, -0.02, 3, 3, -10), volume.centre_mm)
    write_ct(folder, volume)
    write_labels(folder, volume)
    write_poses(folder, start, volume)
    write_json(folder / "camera.json", camera_record(CAMERA))
    write_opencv_camera(CAMERA, None, folder / "calibration.yml", nominal=True)
    (folder / "geometry.xml").write_text(RTK)
    write_xrays(folder, volume, true)
    return folder


def write_ct(folder: Path, volume: Volume) -> None:
    affine = np.diag([-1.0, -1, 1, 1]) @ volume.ct_from_voxel.numpy()
    assert volume.labels is not None
    for name, voxels in (("ct", volume.hu), ("segmentation", volume.labels)):
        image = nibabel.Nifti1Image(voxels.numpy().transpose(2, 1, 0), affine)
        nibabel.save(image, folder / f"{name}.nii.gz")
    greys = (0.8 * volume.hu.numpy() + 1000).astype(np.int16)  # of air 200, of water 1000
    nibabel.save(nibabel.Nifti1Image(greys.transpose(2, 1, 0), affine), folder / "cbct.nii.gz")
    write_json(folder / "names.json", {str(v): name for v, name in volume.label_names.items()})
    (folder / "ct").mkdir()
    place = volume.ct_from_voxel
    for index, plane in enumerate(volume.hu.numpy()):
        header = dicom("CT", pydicom.uid.CTImageStorage, f"1.2.3.{index + 1}")
        header.SeriesInstanceUID = header.FrameOfReferenceUID = "1.2.3"
        header.ImagePositionPatient = (place[:3, 3] + index * place[:3, 2]).tolist()
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        header.PixelSpacing = [float(place[1, 1]), float(place[0, 0])]
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        save(header, plane.astype(np.int16), folder / "ct" / f"{index}.dcm")


def write_labels(folder: Path, volume: Volume) -> None:
    """The same bones in every form: with names inside, masks, segments of Slicer and of DICOM."""
    assert volume.labels is not None
    labels, names = volume.labels.numpy(), dict(volume.label_names)
    affine = np.diag([-1.0, -1, 1, 1]) @ volume.ct_from_voxel.numpy()
    image = nibabel.Nifti1Image(labels.transpose(2, 1, 0), affine)
    rows = "".join(f'<Label Key="{value}">{name}</Label>' for value, name in names.items())
    table = f"<CaretExtension><LabelTable>{rows}</LabelTable></CaretExtension>"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, table.encode()))
    nibabel.save(image, folder / "total.nii.gz")
    (folder / "segmentations").mkdir()
    slicer = SimpleITK.GetImageFromArray(labels)
    slicer.SetSpacing(volume.spacing_mm)
    slicer.SetOrigin(volume.ct_from_voxel[:3, 3].tolist())
    for number, (value, name) in enumerate(names.items()):
        mask = (labels == value).astype(np.uint8).transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(mask, affine), folder / f"segmentations/{name}.nii.gz")
        for field, said in (("Name", name), ("Layer", 0), ("LabelValue", value)):
            slicer.SetMetaData(f"Segment{number}_{field}", str(said))
    SimpleITK.WriteImage(slicer, str(folder / "bones.seg.nrrd"), useCompression=True)
    write_dicom_seg(folder / "seg.dcm", volume)


def write_dicom_seg(path: Path, volume: Volume) -> None:
    assert volume.labels is not None
    labels, place = volume.labels.numpy(), volume.ct_from_voxel
    frames = [(v, k) for v in volume.label_names for k in range(len(labels)) if v in labels[k]]
    header = dicom("SEG", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.6")
    header.SegmentationType, header.PhotometricInterpretation = "BINARY", "MONOCHROME2"
    header.Rows, header.Columns = labels.shape[1:]
    header.NumberOfFrames, header.SamplesPerPixel = len(frames), 1
    header.BitsAllocated = header.BitsStored = 1
    header.HighBit = header.PixelRepresentation = 0
    planes = np.stack([labels[k] == v for v, k in frames])
    header.PixelData = np.packbits(planes.ravel(), bitorder="little").tobytes()
    header.SegmentSequence = [
        item(SegmentNumber=v, SegmentLabel=name) for v, name in volume.label_names.items()
    ]
    x_mm, y_mm, z_mm = volume.spacing_mm
    measures = item(PixelSpacing=[y_mm, x_mm], SliceThickness=z_mm)
    header.SharedFunctionalGroupsSequence = [item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
    )]  # fmt: skip
    header.PerFrameFunctionalGroupsSequence = [item(
        PlanePositionSequence=[
            item(ImagePositionPatient=(place[:3, 3] + k * place[:3, 2]).tolist())
        ],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=v)],
    ) for v, k in frames]  # fmt: skip
    header.save_as(path, enforce_file_format=True)


def item(**fields: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def write_poses(folder: Path, start: Tensor, volume: Volume) -> None:
    write_json(folder / "start.json", pose_record(start))
    write_opencv_pose(start, folder / "start.yml")
    write_itk_transform(inverse_rigid(start), folder / "start.tfm")
    text = (folder / "start.tfm").read_text()  # as Slicer writes it, without our mark
    (folder / "start.tfm").write_text(re.sub(r"#wsreg.*\n", "", text))
    centred = start @ rigid(torch.eye(3, dtype=torch.float64), volume.centre_mm)
    matrix = diffdrr_from_camera_from_centred_ct(centred, orientation="PA", reverse_x_axis=False)
    fields = {"convention": "diffdrr", "matrix": matrix[None].tolist(), "orientation": "PA",
              "reverse_x_axis": False}  # fmt: skip
    write_json(folder / "xvr.json", fields)


def write_xrays(folder: Path, volume: Volume, true: Tensor) -> None:
    rig = orbit_rig(CAMERA, angle_rad=1.5, source_to_isocentre_mm=700, names=("cam1", "cam2"))
    for view in rig.views:
        stored = transmission(volume, view.camera_from_rig @ true)
        Image.fromarray(stored).save(folder / f"{view.name}.png")
        write_mayacam(CAMERA, view.camera_from_rig, folder / f"{view.name}.txt", 10.0)
    stored = transmission(volume, true)
    Image.fromarray(stored).save(folder / "xray.png")
    header = dicom("XA", pydicom.uid.XRayAngiographicImageStorage, "1.2.4")
    header.DistanceSourceToDetector, header.ImagerPixelSpacing = 1020.0, [3.0, 3.0]
    header.PositionerPrimaryAngle = header.PositionerSecondaryAngle = 0.0
    header.PixelIntensityRelationship = "LIN"
    save(header, stored, folder / "xray.dcm")
    header = dicom("RTIMAGE", pydicom.uid.RTImageStorage, "1.2.5")
    header.RTImageSID, header.RadiationMachineSAD = 1500.0, 1000.0
    header.ImagePlanePixelSpacing = [3.0, 3.0]
    save(header, stored, folder / "rtimage.dcm")


def transmission(volume: Volume, pose: Tensor) -> np.ndarray:
    image = render(volume, CAMERA, pose)[0, 0].numpy()
    stored: np.ndarray = np.round(np.exp(-image) * 60000).astype(np.uint16)
    return stored


def dicom(modality: str, sop_class: str, uid: str) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = sop_class
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = uid
    header.Modality = modality
    return header


def save(header: Dataset, pixels: np.ndarray, path: Path) -> None:
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.SamplesPerPixel = 15, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    header.PixelData = pixels.tobytes()
    header.save_as(path, enforce_file_format=True)


def test_every_command_runs_and_its_answer_is_right(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    ran = commands("sh")
    assert len(ran) >= 15
    for line in ran:
        program, *words = shlex.split(line)
        assert program == "wsreg", line
        status = main(words)
        assert status == 0, f"{line}\n{capsys.readouterr().err}"
    dicom_pose = read_pose("result-dicom/pose.json")
    centre = torch.tensor([0.0, 0, 0, 1], dtype=torch.float64)
    for name in SEEN_ALIKE:
        apart = (read_pose(f"result-{name}/pose.json") - dicom_pose) @ centre
        assert float(apart[:2].norm()) < 1.0, name
    named = [list(json.loads(Path(f"result-{name}/result.json").read_text())["bodies"])
             for name in ("bones", "total", "masks", "slicer-bones", "seg")]  # fmt: skip
    assert len(named[0]) >= 3
    assert all(names == named[0] for names in named)
    start = read_pose("start.json")
    torch.testing.assert_close(read_pose("pose-of-xvr.json"), start, rtol=0, atol=1e-6)
    answer = read_pose("result-slicer/pose.json")
    torch.testing.assert_close(read_pose("to-camera.tfm"), answer, rtol=0, atol=1e-9)
    assert json.loads(Path("rig.json").read_text())["views"][1]["name"] == "cam2"
    assert "data:image/gif" in Path("result-trace/report.html").read_text()
    assert "cam2" in Path("result-biplane/report.html").read_text()
    assert 'href="#result-10"' in Path("all-runs.html").read_text()


def test_every_block_is_run_but_those_of_python() -> None:
    assert {block["kind"] for block in BLOCK.finditer(DOC.read_text())} == {"sh", "python"}
