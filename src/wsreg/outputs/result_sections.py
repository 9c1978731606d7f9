"""What a report says of one registration, read from the files of its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsreg.outputs.report import (
    Badge,
    Cell,
    Facts,
    Folded,
    Part,
    Picture,
    Sentences,
    Table,
    VerdictBlock,
)

PICTURES = {
    "overlay.png": "X-ray, rendered CT, outlines and difference: before above, after below.",
}
TRACE_PICTURES = {
    "overlay.gif": "Edges of the rendered CT over the X-ray, from the start to the answer.",
    "convergence.png": "Loss at each level, similarity and overlap of regions at the finest one.",
}
UNKNOWN = "not known"


def result_parts(result: Mapping[str, Any], folder: Path) -> list[Part]:
    """Return the parts of a report on a result, what was decided first.

    Args:
        result: what ``read_result`` reads.
        folder: where its pictures lie; those that are not there are left out.
    """
    verdict = result["verdict"]
    block = VerdictBlock(status=verdict["status"], reasons=verdict["reasons"])
    parts = [
        Part(title="", blocks=(block, *pictures(folder, PICTURES))),
        Part(title="Bodies", blocks=(_bodies(result["bodies"]),)),
        Part(title="X-rays", blocks=(_views(result["views"]),)),
        Part(title="Way to the answer", blocks=pictures(folder, TRACE_PICTURES)),
        notes_part(result),
        Part(title="Run", blocks=(_run(result),)),
        inputs_part(result),
        Part(title="Details", blocks=_details(result)),
    ]
    return [part for part in parts if part.blocks]


def pictures(folder: Path, captions: Mapping[str, str]) -> list[Picture]:
    """Return the pictures of these names that are there."""
    return [
        Picture(path=folder / name, caption=caption)
        for name, caption in captions.items()
        if (folder / name).is_file()
    ]


def notes_part(content: Mapping[str, Any]) -> Part:
    """Return the notes of a result.json or sequence.json; without blocks if there are none."""
    found = content.get("notes", [])
    notes = [str(note) for note in found] if isinstance(found, list) else []
    return Part(title="Notes", blocks=(Sentences(items=notes),) if notes else ())


def inputs_part(content: Mapping[str, Any]) -> Part:
    """Return the names and hashes of the inputs, and the versions of what ran."""
    rows = [
        (str(role), str(file.get("name", "")), str(file.get("sha256", "")))
        for role, file in _object(content, "inputs").items()
        if isinstance(file, Mapping)
    ]
    versions = {str(name): str(value) for name, value in _object(content, "versions").items()}
    blocks: list[Table | Facts] = []
    if rows:
        blocks.append(Table(columns=("Input", "Name", "SHA-256"), rows=rows))
    if versions:
        blocks.append(Facts(values=versions))
    return Part(title="Inputs and versions", blocks=blocks)


def _object(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name, {})
    return found if isinstance(found, Mapping) else {}


def number(value: Any, form: str = ".2f") -> str:
    """Return a number in a form; null, which stands for what is not finite, in words."""
    return format(value, form) if isinstance(value, int | float) else UNKNOWN


def _bodies(bodies: Mapping[str, Any]) -> Table:
    """Return each body's verdict, how surely it is placed, and how much of it shows.

    The reasons for the first one are those for the whole.
    """
    rows: list[Sequence[Cell]] = []
    for index, (name, body) in enumerate(bodies.items()):
        sd = body["standard_deviation"]
        turn, shift = sd["rotation_deg"], sd["translation_mm"]
        shown = body.get("shown")
        rows.append(
            (
                name,
                Badge(status=body["verdict"]["status"]),
                " / ".join(number(turn[axis]) for axis in ("rx", "ry", "rz")),
                " / ".join(number(shift[axis]) for axis in ("tx", "ty")),
                number(shift["tz"]),
                UNKNOWN if shown is None else f"{shown:.0%}",
                " ".join(body["verdict"]["reasons"]) if index else "as above",
            )
        )
    columns = (
        "Body", "Verdict", "± rotation x / y / z (deg)", "± across x / y (mm)", "± depth (mm)",
        "Shown", "Reasons",
    )  # fmt: skip
    numbers = frozenset({2, 3, 4, 5})
    if len(bodies) == 1:
        return Table(columns=columns[:-1], rows=[row[:-1] for row in rows], numbers=numbers)
    return Table(columns=columns, rows=rows, numbers=numbers)


def _views(views: Sequence[Mapping[str, Any]]) -> Table:
    """Return each X-ray's similarity, how it lies, and its camera."""
    rows = []
    for view in views:
        camera, similarity = view["camera"], view["similarity"]
        spacing = " x ".join(number(mm, ".4g") for mm in camera["pixel_spacing_mm"])
        rows.append(
            (
                str(view["xray"]),
                number(similarity["start"], ".3f"),
                number(similarity["end"], ".3f"),
                str(view["orientation"]),
                number(camera["source_to_detector_mm"], "g"),
                f"{camera['rows']} x {camera['columns']}",
                spacing,
            )
        )
    return Table(
        columns=(
            "X-ray", "Similarity before", "after", "Turned or mirrored", "Source to detector (mm)",
            "Rows x columns", "Pixels (mm)",
        ),
        rows=rows,
        numbers=frozenset({1, 2, 4, 5, 6}),
    )  # fmt: skip


def _run(result: Mapping[str, Any]) -> Facts:
    seconds = dict(result.get("seconds", {}))
    total = seconds.pop("total", None)
    stages = ", ".join(f"{name} {number(value)}" for name, value in seconds.items())
    values = {
        "Seconds": f"{number(total)} ({stages})" if stages else number(total),
        "Solver": str(result.get("method", UNKNOWN)),
        "Started by": str(result.get("init", UNKNOWN)),
        "Steps": str(result.get("iterations", UNKNOWN)),
        "Renderings": f"{result.get('renders', UNKNOWN)}, {result.get('backend', UNKNOWN)}",
        "Seen worst": str(result["standard_deviation"].get("weakest", UNKNOWN)),
    }
    return Facts(values=values)


def _details(result: Mapping[str, Any]) -> list[Folded]:
    settings = dict(result.get("config", {}))
    evidence = settings.pop("evidence", None)
    poses = {name: body["camera_from_ct"] for name, body in result["bodies"].items()}
    texts = [
        Folded(title="Poses: camera_from_ct, LPS mm to camera mm", text=pose_text(poses)),
        Folded(title="Settings", text=json_text(settings)),
    ]
    if evidence is not None:
        texts.append(Folded(title="Evidence that the verdict is made of", text=json_text(evidence)))
    return texts


def json_text(content: Any) -> str:
    """Return plain values to be read by people."""
    return json.dumps(content, indent=2, ensure_ascii=False)


def pose_text(poses: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Return [4,4] poses by name as lines of numbers."""
    lines: list[str] = []
    for name, pose in poses.items():
        lines += [name, *("  " + " ".join(f"{v:14.8f}" for v in row) for row in pose), ""]
    return "\n".join(lines).rstrip()
