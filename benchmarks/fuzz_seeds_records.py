"""Whole records for the fuzz of readers: poses, cameras, landmarks, networks, what runs leave."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fuzz_seeds as images
from wsreg.cli.bodies import parse_bodies
from wsreg.evaluation.journal import open_journal
from wsreg.evaluation.pose_errors import NO_ANSWER
from wsreg.evaluation.trial import Trial
from wsreg.files.journal import open_row_journal
from wsreg.files.json_files import write_json
from wsreg.files.pieces import open_pieces
from wsreg.geometry.calibration import CalibrationDetails
from wsreg.geometry.calibration_file import read_calibrations, read_rig
from wsreg.geometry.calibration_writing import write_opencv_camera
from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.itk_transform import write_itk_transform
from wsreg.geometry.landmarks import read_ct_landmarks, read_landmarks
from wsreg.geometry.mayacam import write_mayacam
from wsreg.geometry.pose_file import pose_record, read_pose
from wsreg.geometry.pose_frame import PoseFrame
from wsreg.geometry.pose_writing import write_pose
from wsreg.jobs.cache import Entry
from wsreg.networks.checkpoint import ModelCard, save_checkpoint
from wsreg.networks.pose_encoder import KIND, PoseEncoder, PoseEncoderConfig
from wsreg.networks.unet import UNet, UNetConfig
from wsreg.outputs.result_files import read_result
from wsreg.outputs.run_report import run_sections
from wsreg.registration.starts.pose_estimator import load_pose_estimator
from wsreg.segmentation.boxes import read_boxes
from wsreg.segmentation.segmenter import load_segmenter
from wsreg.simulation.parameters import XrayParameters
from wsreg.simulation.record_file import read_xray_record, xray_record
from wsreg.training.state import restore_state, save_state
from wsreg.volumes.views import view_pose

RTK = """<?xml version="1.0"?>
<!DOCTYPE RTKGEOMETRY>
<RTKThreeDCircularGeometry version="3">
  <SourceToIsocenterDistance>1000</SourceToIsocenterDistance>
  <SourceToDetectorDistance>1536</SourceToDetectorDistance>
  <Projection><GantryAngle>30</GantryAngle></Projection>
  <Projection><GantryAngle>90</GantryAngle></Projection>
</RTKThreeDCircularGeometry>
"""
FCSV = """# Markups fiducial file version = 4.11
# CoordinateSystem = LPS
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
1,10,20,30,0,0,0,1,1,1,0,left-asis,,
2,-10,25,35,0,0,0,1,1,1,0,right-asis,,
"""
POINTS = {"left-asis": [60.0, -40.0, 10.0], "right-asis": [-60.0, -40.0, 10.0],
          "pubis": [0.0, -50.0, -70.0]}  # fmt: skip
PIXELS = {"left-asis": [10.0, 12.0], "right-asis": [30.0, 12.0], "pubis": [20.0, 30.0]}
MARKUPS = {"markups": [{"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [
    {"label": name, "position": place, "positionStatus": "defined"}
    for name, place in POINTS.items()
]}]}  # fmt: skip
SETUP = {"method": "ours", "seed": 3, "steps": [1, 2]}
UNET = UNetConfig(rois=2, channels=(2, 3), output="softmax")


@lru_cache(maxsize=1)
def pose() -> torch.Tensor:
    """Return [4,4] camera_from_ct."""
    return view_pose(images.body(), images.camera(), "AP")


def _written(
    name: str, file: str, write: Callable[[Path], object], read: Callable[[Path], object]
) -> images.Seed:
    """Return a kind of one file."""
    return images.Seed(
        name=name, make=lambda folder: write(folder / file), read=lambda folder: read(folder / file)
    )


def _json(name: str, file: str, content: Any, read: Callable[[Path], object]) -> images.Seed:
    return _written(name, file, lambda path: write_json(path, content), read)


def _text(name: str, file: str, content: str, read: Callable[[Path], object]) -> images.Seed:
    return _written(name, file, lambda path: path.write_text(content), read)


def _poses() -> tuple[images.Seed, ...]:
    endings = (".json", ".tfm", ".h5", ".yml", ".xml", ".txt", ".csv", ".npy")

    def write(path: Path) -> None:
        if path.suffix in (".tfm", ".h5"):
            write_itk_transform(pose(), path)
        elif path.suffix == ".json":
            write_json(path, pose_record(pose()))
        else:
            write_pose(pose(), path)

    return tuple(
        _written(f"pose {ending}", f"pose{ending}", write, read_pose) for ending in endings
    )


def _cameras() -> tuple[images.Seed, ...]:
    details = CalibrationDetails(rows=48, columns=40, pixel_spacing_mm=(6.0, 6.0), units="mm")

    def read(path: Path) -> object:
        return read_calibrations(path, details)

    rig = {"views": [{"name": name, "camera": camera_record(images.camera()),
                      "camera_from_rig": torch.eye(4).tolist()} for name in ("a", "b")],
           "units": "mm"}  # fmt: skip

    def opencv(path: Path) -> None:
        write_opencv_camera(images.camera(), pose(), path)

    return (
        _json("camera .json", "camera.json", camera_record(images.camera()), read),
        _written("camera .yml", "camera.yml", opencv, read),
        _written("camera .xml", "camera.xml", opencv, read),
        _written("camera MayaCam", "camera.txt",
                 lambda path: write_mayacam(images.camera(), pose(), path, 1.0), read),
        _text("camera RTK", "geometry.xml", RTK, read),
        _json("rig", "rig.json", rig, read_rig),
    )  # fmt: skip


def _landmarks() -> tuple[images.Seed, ...]:
    boxes = {"xray": {"left-femur": [1.0, 2.0, 9.0, 9.0]}}
    bodies = {"pelvis": [1, 2], "femur": {"labels": ["vertebrae"], "joint_mm": [1.0, 2.0, 3.0]}}
    return (
        _json("landmarks", "landmarks.json", {"image_px": PIXELS, "ct_mm": POINTS},
              lambda path: read_landmarks(path, "xray")),
        _json("landmarks of views", "landmarks.json", {"image_px": {"xray": PIXELS},
              "ct_mm": POINTS}, lambda path: read_landmarks(path, "xray")),
        _json("landmarks markups", "points.mrk.json", MARKUPS, read_ct_landmarks),
        _text("landmarks .fcsv", "points.fcsv", FCSV, read_ct_landmarks),
        _json("boxes", "boxes.json", boxes,
              lambda path: read_boxes(path, ["xray"], ["left-femur"])),
        _json("bodies", "bodies.json", bodies, lambda path: parse_bodies([str(path)])),
        _json("simulated X-ray", "parameters.json", xray_record(XrayParameters(), 3),
              read_xray_record),
    )  # fmt: skip


def _unet(folder: Path) -> None:
    torch.manual_seed(0)
    config = {"channels": list(UNET.channels), "output": UNET.output}
    card = ModelCard(kind="unet", config=config, size_px=32, roi_names=("a", "b"))
    save_checkpoint(folder, card, UNet(UNET).state_dict())


def _encoder(folder: Path) -> None:
    torch.manual_seed(0)
    sizes = PoseEncoderConfig(width=2, hidden=3, stem="patches")
    frame = PoseFrame(
        camera=images.camera(), view="AP", pivot_mm=(0.0, 0.0, 0.0), depth_mm=700.0,
        scale=(0.1, 0.1, 0.1, 9.0, 9.0, 9.0),
    )  # fmt: skip
    record = {
        "camera": camera_record(frame.camera), "view": frame.view, "pivot_mm": list(frame.pivot_mm),
        "depth_mm": frame.depth_mm, "scale": list(frame.scale),
    }  # fmt: skip
    config = {
        "network": dataclasses.asdict(sizes),
        "frame": record,
        "calibration": 1.0,
        "people": 1,
    }
    card = ModelCard(kind=KIND, config=config, size_px=32, data_sha256="0")
    save_checkpoint(folder, card, PoseEncoder(sizes).state_dict())


def _trainee() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return network, optimiser


def _networks() -> tuple[images.Seed, ...]:
    return (
        images.Seed(name="U-Net", make=_unet, read=load_segmenter),
        images.Seed(name="encoder", make=_encoder, read=load_pose_estimator),
        images.Seed(
            name="training state",
            make=lambda folder: save_state(folder, *_trainee(), SETUP, 7),
            read=lambda folder: restore_state(folder, *_trainee(), SETUP, {}),
        ),
    )


def _trial(number: int) -> Trial:
    return Trial(
        specimen="17-1882", projection=f"{number:03d}", answered=True, errors=NO_ANSWER,
        start_mtre_3d_mm=20.0, verdict="pass", reasons=("good",), similarity_start=0.1,
        similarity_end=0.9, seconds=1.0, camera_from_ct=tuple(map(tuple, pose().tolist())),
    )  # fmt: skip


def _trials(path: Path) -> None:
    journal = open_journal(path, SETUP)
    for number in range(3):
        journal.append(_trial(number))


def _rows(path: Path) -> None:
    journal = open_row_journal(path, SETUP)
    for number in range(3):
        journal.append({"number": number})


PIECE: Mapping[str, Any] = {"image": np.arange(12.0).reshape(3, 4), "record": np.array("{}")}


def _pieces(folder: Path) -> None:
    open_pieces(folder / "parts", SETUP).save("17-1882/000", PIECE)


def _result(folder: Path) -> None:
    """Write the folder of a registration that makes one step."""
    import wsreg

    image = torch.from_numpy(-np.log((images.xray() + 1.0) / 65536.0)).float()
    radiograph = wsreg.Radiograph(image=image, camera=images.camera())
    result = wsreg.register(radiograph, images.body(), init=pose(), bodies=None)
    wsreg.write_result(result, folder, inputs={})
    for picture in folder.glob("*.png"):
        picture.write_bytes(picture.read_bytes()[:2000])


def _read_result(folder: Path) -> object:
    return read_result(folder), read_pose(folder), run_sections(folder)


SUMMARY = "name,verdict,error\nxray-1,,no such file\nxray-2,,cannot be read\n"
POSES = "frame,body,m00,verdict,reason\n0,ct,1.0,pass,good\n1,ct,1.0,fail,lost\n2,ct,1.0,check,so\n"


def _sequence(folder: Path) -> None:
    (folder / "poses.csv").write_text(POSES)
    write_json(folder / "sequence.json", {"frames": 3, "lost": 1, "notes": ["a"], "inputs": {}})


def _cached(folder: Path) -> None:
    entry = _entry(folder)
    entry.folder.mkdir()
    (entry.folder / "table.csv").write_text("a,b\n1,2\n")
    from wsreg.jobs.cache import _write_record

    _write_record(entry.folder, entry, 1.0)


def _entry(folder: Path) -> Entry:
    return Entry(cache=folder, name="table", recipe={"name": "table", "wsreg": "0"})


def _runs() -> tuple[images.Seed, ...]:
    return (
        _written("trials", "trials.journal", _trials, lambda path: open_journal(path, SETUP)),
        _written("journal", "rows.journal", _rows, lambda path: open_row_journal(path, SETUP)),
        images.Seed(
            name="parts of a cohort", make=_pieces,
            read=lambda folder: open_pieces(folder / "parts", SETUP).load("17-1882/000"),
        ),
        images.Seed(name="result", make=_result, read=_read_result),
        _text("summary of a batch", "summary.csv", SUMMARY, lambda path: run_sections(path.parent)),
        images.Seed(name="sequence results", make=_sequence, read=run_sections),
        images.Seed(name="cached task", make=_cached, read=lambda folder: _entry(folder).damage()),
    )  # fmt: skip


def record_seeds() -> tuple[images.Seed, ...]:
    """Return records of every kind that is read."""
    return (*_poses(), *_cameras(), *_landmarks(), *_networks(), *_runs())
