"""Image folders: one folder a class, or one folder and a list of labels. Images are read when they are asked for.

Labels are places in the list of classes: classes.txt where there is one (one folder name a line), else the sorted
names of the class folders.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from runtime.data.dataset import Dataset, labels_of
from runtime.data.images import Images, LazyImages, scaled

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_HELD_OUT = ("val", "test", "validation")
_LISTS = ("val.txt", "val_list.txt", "labels.txt", "val_map.txt")
_CLASS_LISTS = ("classes.txt", "LOC_synset_mapping.txt")
_IMAGENET = 1000


@dataclass(frozen=True)
class Processing:
    """What happens to an image between file and input: both explicit, both on bytes.

    Attributes:
        resize: the shorter side becomes this long (bilinear, antialiased); None leaves the size.
        crop: the middle square of this size is taken; None takes all.
    """

    resize: int | None = None
    crop: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("resize", self.resize), ("crop", self.crop)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


def folder(path: Path, processing: Processing, kind: str = "folder") -> Dataset:
    """A folder of images.

    Args:
        path: holds val/ (or test/) and perhaps train/, or is itself the held-out part. Each is class folders, or images
            with a list of "name label" lines in val.txt, val_list.txt or labels.txt.
        processing: resize and crop.
        kind: "folder", or "imagenet" for exactly 1,000 classes.

    Raises:
        ValueError: no folder, no images, no labels, a wrong number of classes, Pillow missing, sizes that differ.
    """
    if not path.is_dir():
        raise ValueError(f"{path} is no folder")
    inner = next((path / name for name in _HELD_OUT if (path / name).is_dir()), path)
    names = _classes(path, inner)
    files, labels, classes = _listed(path, inner, names)
    wanted = _IMAGENET if kind == "imagenet" else max(2, classes)
    if classes != wanted:
        raise ValueError(
            f"{path} has {classes} classes, {wanted} {'are' if kind == 'imagenet' else 'or more are'} required"
            + ("; list all of them in classes.txt where folders are missing" if kind == "imagenet" else "")
        )
    digest = hashlib.sha256(f"{kind}{processing}{classes}".encode())
    held_out = _images(inner, files, labels, processing, digest)
    train: Images = torch.zeros((0, *held_out.shape[1:]))
    train_labels = np.zeros(0, np.int64)
    if inner != path and (path / "train").is_dir():
        train_files, train_labels, _ = _listed(path / "train", path / "train", names or _folders(inner))
        train = _images(path / "train", train_files, train_labels, processing, digest)
    return Dataset(
        f"{kind}:{path}",
        train,
        torch.from_numpy(train_labels),
        held_out,
        torch.from_numpy(labels),
        classes,
        digest.hexdigest(),
    )


def _folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _classes(*places: Path) -> list[str] | None:
    """The class names of classes.txt or LOC_synset_mapping.txt (first word of each line)."""
    for place in places:
        for name in _CLASS_LISTS:
            if (place / name).is_file():
                lines = _lines(place / name)
                names = [line if name == "classes.txt" else line.split()[0] for line in lines]
                if len(set(names)) != len(names):
                    raise ValueError(f"{place / name} names a class twice")
                return names
    return None


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as text: {error}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _listed(outer: Path, inner: Path, names: list[str] | None) -> tuple[list[Path], np.ndarray, int]:
    """Files, labels and number of classes of one part."""
    for place in (inner, outer):
        for name in _LISTS:
            if (place / name).is_file():
                return _from_list(place / name, inner, names)
    found = _folders(inner)
    if not found:
        raise ValueError(
            f"{inner} has neither class folders nor a list of labels ({', '.join(_LISTS)}: lines 'name label')"
        )
    known = found if names is None else names
    strange = sorted(set(found) - set(known))
    if strange:
        raise ValueError(f"{inner} has the folder {strange[0]}, which is none of the {len(known)} classes")
    files, labels = [], []
    for label, name in enumerate(known):
        inside = _pictures(inner / name) if (inner / name).is_dir() else []
        files += inside
        labels += [label] * len(inside)
    if not files:
        raise ValueError(f"{inner} has no images; known endings are {', '.join(SUFFIXES)}")
    return files, labels_of(np.array(labels, np.int64), str(inner), len(files)), len(known)


def _pictures(path: Path) -> list[Path]:
    return sorted(entry for entry in path.rglob("*") if entry.suffix.lower() in SUFFIXES and entry.is_file())


def _from_list(path: Path, inner: Path, names: list[str] | None) -> tuple[list[Path], np.ndarray, int]:
    files, labels = [], []
    for number, line in enumerate(_lines(path), 1):
        name, _, label = line.replace("\t", " ").rpartition(" ")
        if names is not None and label in names:
            label = str(names.index(label))
        if not name or not label.isascii() or not label.isdigit():
            raise ValueError(
                f"{path}, line {number}: 'name label' with an integer label is required, got {line[:80]!r}"
            )
        files.append(inner / name.strip())
        labels.append(int(label))
    if not files:
        raise ValueError(f"{path} lists no images")
    lost = next((file for file in files if not file.is_file()), None)
    if lost is not None:
        raise ValueError(f"{path} names {lost}, which does not exist")
    classes = len(names) if names is not None else max(labels) + 1
    return files, labels_of(np.array(labels, np.int64), str(path), len(files), classes), classes


def _images(
    root: Path, files: list[Path], labels: np.ndarray, processing: Processing, digest: hashlib._Hash
) -> Images:
    for file, label in zip(files, labels.tolist(), strict=True):
        digest.update(f"{file.relative_to(root).as_posix()}\x1f{file.stat().st_size}\x1f{label}\n".encode())
    grey = picture(files[0], processing, None).shape[0] == 1
    return LazyImages(len(files), lambda index: scaled(picture(files[index], processing, grey)))


def picture(path: Path, processing: Processing, grey: bool | None) -> np.ndarray:
    """The bytes of an image file, uint8 [C, H, W]: one channel or RGB.

    Args:
        path: any file that Pillow reads.
        processing: resize and crop.
        grey: one channel, or three; None decides by the file.

    Raises:
        ValueError: Pillow missing; a damaged file; an image with transparency or more than 8 bits; one smaller than the crop.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ValueError(
            "image folders need Pillow; install it: pip install 'smoothing-radii[vision]'"
        ) from None
    try:
        with Image.open(path) as opened:
            opened.load()
            return processed(opened, processing, grey, str(path))
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is damaged or no image ({' '.join(str(error).split())[:200]})") from None


def processed(image: object, processing: Processing, grey: bool | None, source: str) -> np.ndarray:
    """A Pillow image as uint8 [C, H, W]; arguments and errors as for `picture`."""
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise ValueError(f"{source} is a {type(image).__name__}, a Pillow image is required")
    if image.mode not in ("1", "L", "P", "RGB", "CMYK", "YCbCr"):
        raise ValueError(
            f"{source} has mode {image.mode}; convert it to 8-bit grey or RGB without transparency"
        )
    shown = image.convert("L" if (image.mode in ("1", "L") if grey is None else grey) else "RGB")
    if processing.resize is not None:
        width, height = shown.size
        short = min(width, height)
        size = (max(1, width * processing.resize // short), max(1, height * processing.resize // short))
        shown = shown.resize(size, Image.Resampling.BILINEAR)
    if processing.crop is not None:
        side = processing.crop
        width, height = shown.size
        if min(width, height) < side:
            raise ValueError(
                f"{source} is {width}×{height}, smaller than the crop of {side}; pass --resize as well"
            )
        left, top = round((width - side) / 2.0), round((height - side) / 2.0)
        shown = shown.crop((left, top, left + side, top + side))
    numbers = np.asarray(shown, dtype=np.uint8)
    return numbers[None] if numbers.ndim == 2 else np.ascontiguousarray(numbers.transpose(2, 0, 1))
