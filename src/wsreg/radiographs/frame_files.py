"""The frames of a sequence as files hold them: one multi-frame DICOM, a folder, or a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from wsreg.dicom.files import DICOM_SUFFIXES, is_dicom, read_dataset
from wsreg.dicom.header import file_header
from wsreg.errors import InputError
from wsreg.files.names import as_path, different, stem
from wsreg.files.reading_from import naming
from wsreg.radiographs.blank import is_blank
from wsreg.radiographs.cine import Cine, open_cine
from wsreg.radiographs.radiograph import Radiograph
from wsreg.radiographs.raster import RASTER_SUFFIXES
from wsreg.radiographs.raw_xray import RawXray
from wsreg.radiographs.reading import radiograph_like, read_radiograph, read_raw

AHEAD = 2
"""How many frames are read before they are asked for."""

ReadFirst = Callable[[Path, int | None], Radiograph]


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameSource:
    """Where frames lie.

    Args:
        files: of the frames, one each; or one file of all.
        names: of the frames.
        cine: the one file, if it is a multi-frame DICOM.
    """

    files: tuple[Path, ...]
    names: tuple[str, ...]
    cine: Cine | None = None

    def raw(self, number: int) -> RawXray:
        """Return what the file says of a frame.

        Raises:
            InputError: it cannot be read.
        """
        return read_raw(self.files[number]) if self.cine is None else self.cine.raw(number)

    def place(self, number: int) -> tuple[Path, int | None]:
        """Return the file of a frame, and its number in there if it holds several."""
        return (self.files[number], None) if self.cine is None else (self.files[0], number)


def read_frames(source: str | Path | Sequence[str | Path], **options: Any) -> FrameFiles:
    """Return the frames of one camera, which are read as they are asked for.

    Args:
        source: a multi-frame DICOM; a folder, whose X-rays are the frames in their natural order
            (frame-2 before frame-10); or files in their order, of which a shell's is put right.
        options: of :func:`~wsreg.radiographs.reading.read_radiograph`, for the frame whose field,
            polarity and geometry are those of all.

    Raises:
        InputError: there is no frame, none can be read, or the camera moved between them.
    """
    found = frame_source(source)
    return FrameFiles(found, lambda path, frame: read_radiograph(path, frame=frame, **options))


def frame_source(source: str | Path | Sequence[str | Path]) -> FrameSource:
    """Return where the frames of a sequence lie.

    Raises:
        InputError: there is none, or the camera moved between them.
    """
    given = [source] if isinstance(source, str | Path) else list(source)
    files = [as_path(path, "frames") for path in given]
    if len(files) == 1 and files[0].is_dir():
        files = _frames_in(files[0])
    if not files:
        raise InputError("frames must be at least one X-ray, got none")
    if files == sorted(files):  # a shell's order, in which frame-10 comes before frame-2
        files = in_natural_order(files)
    if len(files) == 1 and is_dicom(files[0]):
        cine = open_cine(files[0])
        numbers = range(cine.frames)
        names = tuple(f"{stem(files[0])}-{number}" for number in numbers)
        return FrameSource(files=tuple(files), names=names, cine=cine)
    for path in files:
        _check_holds_one(path)
    return FrameSource(files=tuple(files), names=tuple(different(map(stem, files))))


def _check_holds_one(path: Path) -> None:
    """Refuse one of several files that is a sequence itself; one that is damaged is named later."""
    try:
        header = file_header(read_dataset(path, ["NumberOfFrames"])) if is_dicom(path) else None
    except InputError:
        return
    count = None if header is None else header.whole("NumberOfFrames")
    if count is not None and count > 1:
        raise InputError(
            "frames must be one multi-frame DICOM or files of one frame each, got several of "
            f"which {path} holds {count} frames"
        )


def _frames_in(folder: Path) -> list[Path]:
    """Return the X-rays of a folder in their natural order."""
    suffixes = (*RASTER_SUFFIXES, *DICOM_SUFFIXES)
    files = [
        path for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".")
        and (path.name.lower().endswith(suffixes) or is_dicom(path))
    ]  # fmt: skip
    if not files:
        raise InputError(f"folder {folder} must hold X-rays, it holds none")
    return in_natural_order(files)


def in_natural_order(paths: Sequence[Path]) -> list[Path]:
    """Return paths by their names, numbers in which count as such: 2 before 10."""

    def key(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]

    return sorted(paths, key=key)


class FrameFiles(Sequence[Radiograph]):
    """Frames of one camera, read when they are asked for and a little ahead.

    One that shows something is read as a single X-ray; its field, polarity and geometry are those
    of all.
    """

    def __init__(self, source: FrameSource, read_first: ReadFirst) -> None:
        self.source = source
        self.first = _first(source, read_first)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frames")
        self._read: dict[int, Future[Radiograph]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Return what the frames are called, also those that cannot be read."""
        return self.source.names

    def __len__(self) -> int:
        return len(self.source.names)

    @overload
    def __getitem__(self, number: int) -> Radiograph: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Radiograph]: ...
    def __getitem__(self, number: int | slice) -> Radiograph | Sequence[Radiograph]:
        """Return a frame, or several.

        Raises:
            InputError: it cannot be read.
        """
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        number = range(len(self))[number]
        wanted = range(number, min(number + AHEAD + 1, len(self)))
        for one in wanted:
            if one not in self._read:
                self._read[one] = self._pool.submit(self._frame, one)
        for old in set(self._read) - set(wanted):
            self._read.pop(old).cancel()
        return self._read[number].result()

    def _frame(self, number: int) -> Radiograph:
        source = self.source
        with naming(source.place(number)[0]):
            return radiograph_like(source.raw(number), self.first, source.names[number])


class FramesOfViews(Sequence[tuple[Radiograph, ...]]):
    """Frames of several cameras that took them together, one X-ray of each."""

    def __init__(self, views: Sequence[FrameFiles]) -> None:
        self.views = views
        self.names = views[0].names

    def __len__(self) -> int:
        return len(self.views[0])

    @overload
    def __getitem__(self, number: int) -> tuple[Radiograph, ...]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[tuple[Radiograph, ...]]: ...
    def __getitem__(self, number: int | slice) -> Any:
        """Return the X-rays of a frame, or of several.

        Raises:
            InputError: one cannot be read.
        """
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        return tuple(view[number] for view in self.views)


def frames_of_views(views: Sequence[FrameFiles]) -> FramesOfViews:
    """Return the frames that cameras took together.

    Raises:
        InputError: one took more of them than another.
    """
    counts = [len(view) for view in views]
    if len(set(counts)) > 1:
        raise InputError(
            f"views must have as many frames as each other, got {', '.join(map(str, counts))}"
        )
    return FramesOfViews(views)


def _first(source: FrameSource, read_first: ReadFirst) -> Radiograph:
    """Return the frame by which all others are read.

    Of the first that shows something, one in the middle and the last it is the one with the largest
    field, for something may lie in the beam.  Where none shows anything it is the first that can be
    read.

    Raises:
        InputError: none can be read.
    """
    found: list[Radiograph] = []
    readable: Radiograph | None = None
    reason: InputError | None = None
    last = len(source.names) - 1
    more = ((last + 1) // 2, last)
    for number in range(last + 1):
        if found and number not in more:
            continue
        try:
            path, frame = source.place(number)
            with naming(path):
                one = read_first(path, frame)
        except InputError as error:
            reason = reason or error
            continue
        readable = readable or one
        if not is_blank(one.image, one.mask):
            found.append(one)
    if found:
        alike = [one for one in found if one.image.shape == found[0].image.shape]
        return max(alike, key=lambda one: int(one.mask.sum()))
    if readable is None:
        assert reason is not None
        raise InputError(f"no frame can be read: {reason}") from reason
    return readable
