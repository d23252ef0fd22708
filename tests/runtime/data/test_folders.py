"""Image folders: class folders, lists of labels, sizes, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runtime.data import load_dataset
from tests.runtime.data.archives import images

Image: Any = pytest.importorskip("PIL.Image")


def written(path: Path, array: np.ndarray, mode: str | None = None) -> np.ndarray:
    """Writes [C, H, W] bytes as a lossless image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = Image.fromarray(array[0] if len(array) == 1 else np.ascontiguousarray(array.transpose(1, 2, 0)))
    (shown if mode is None else shown.convert(mode)).save(path)
    return array


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, list[np.ndarray]]:
    """val/ and train/ with three classes of two images each."""
    held = []
    for label, name in enumerate(("ant", "bee", "cat")):
        for number in range(2):
            array = images(1, 10 * label + number, (3, 6, 8))[0]
            held.append(written(tmp_path / "set" / "val" / name / f"{number}.png", array))
            written(tmp_path / "set" / "train" / name / f"{number}.png", array)
    return tmp_path / "set", held


def test_class_folders_keep_every_byte(made: tuple[Path, list[np.ndarray]]) -> None:
    root, held = made
    data = load_dataset(f"folder:{root}")
    assert (data.shape, data.num_classes, len(data.train)) == ((3, 6, 8), 3, 6)
    assert data.y_test.tolist() == [0, 0, 1, 1, 2, 2]
    for index, array in enumerate(held):
        assert torch.equal(data.x_test[index], torch.from_numpy(array.astype(np.float32) / np.float32(255)))
    assert data.x_test[[4, 1]].shape == data.x_test[1:5:3].shape == (2, 3, 6, 8)
    assert torch.equal(data.x_train, data.x_test[:])
    assert data.sha256 == load_dataset(f"folder:{root}").sha256
    assert load_dataset(f"folder:{root / 'val'}").y_test.tolist() == [0, 0, 1, 1, 2, 2]
    written(root / "val" / "cat" / "2.png", held[0])
    assert data.sha256 != load_dataset(f"folder:{root}").sha256


def test_images_are_read_when_they_are_asked_for(made: tuple[Path, list[np.ndarray]]) -> None:
    root, _ = made
    (root / "val" / "cat" / "1.png").write_bytes(b"no image")
    data = load_dataset(f"folder:{root}")
    assert data.x_test[0].shape == (3, 6, 8)
    with pytest.raises(ValueError, match="damaged or no image"):
        _ = data.x_test[5]
    with pytest.raises(IndexError):
        _ = data.x_test[6]


def test_resize_and_crop_are_those_of_the_shorter_side_and_the_middle(
    made: tuple[Path, list[np.ndarray]],
) -> None:
    root, held = made
    cropped = load_dataset(f"folder:{root}", crop=4)
    assert torch.equal(
        cropped.x_test[3], torch.from_numpy(held[3][:, 1:5, 2:6].astype(np.float32) / np.float32(255))
    )
    resized = load_dataset(f"folder:{root}", resize=12, crop=12)
    assert resized.shape == (3, 12, 12) and resized.sha256 != cropped.sha256
    shown = Image.fromarray(np.ascontiguousarray(held[0].transpose(1, 2, 0))).resize(
        (16, 12), Image.Resampling.BILINEAR
    )
    expected = np.asarray(shown)[:, 2:14].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    assert torch.equal(resized.x_test[0], torch.from_numpy(expected))
    with pytest.raises(ValueError, match="smaller than the crop of 7"):
        load_dataset(f"folder:{root}", crop=7)
    with pytest.raises(ValueError, match="at least 1"):
        load_dataset(f"folder:{root}", crop=0)
    with pytest.raises(ValueError, match="for image files"):
        load_dataset("digits", resize=8)


def test_sizes_that_differ_are_named(made: tuple[Path, list[np.ndarray]]) -> None:
    root, _ = made
    written(root / "val" / "cat" / "1.png", images(1, 0, (3, 9, 9))[0])
    with pytest.raises(ValueError, match=r"input 5 has shape \(3, 9, 9\).*--resize and --crop"):
        _ = load_dataset(f"folder:{root}").x_test[:]


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    for label in ("0", "1"):
        written(tmp_path / label / "a.png", images(1, int(label), (1, 5, 5))[0])
    assert load_dataset(f"folder:{tmp_path}").shape == (1, 5, 5)


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "LA"])
def test_transparent_and_deep_images_are_refused(mode: str, tmp_path: Path) -> None:
    for label in ("0", "1"):
        path = tmp_path / label / "a.png"
        path.parent.mkdir()
        Image.new(mode, (4, 4)).save(path)
    with pytest.raises(ValueError, match=f"has mode {mode}"):
        load_dataset(f"folder:{tmp_path}")


def test_a_list_of_labels(tmp_path: Path) -> None:
    for number in range(3):
        written(tmp_path / "val" / f"val_{number}.png", images(1, number, (3, 4, 4))[0])
    (tmp_path / "val.txt").write_text("val_2.png 999\nval_0.png 0\nval_1.png 7\n")
    data = load_dataset(f"imagenet:{tmp_path}")
    assert data.num_classes == 1000 and data.y_test.tolist() == [999, 0, 7]
    for text, message in (
        ("val_2.png 1\nval_9.png 0\n", "which does not exist"),
        ("val_2.png one\n", "line 1: 'name label'"),
        ("val_2.png -1\n", "line 1"),
        ("", "lists no images"),
        ("val_2.png 3\nval_0.png 1\n", "has 4 classes, 1000 are required"),
    ):
        (tmp_path / "val.txt").write_text(text)
        with pytest.raises(ValueError, match=message):
            load_dataset(f"imagenet:{tmp_path}")


def test_a_subset_of_the_classes_keeps_their_places(made: tuple[Path, list[np.ndarray]]) -> None:
    root, _ = made
    (root / "classes.txt").write_text("aardvark\nant\nbadger\nbee\ncat\n")
    data = load_dataset(f"folder:{root}")
    assert data.num_classes == 5 and data.y_test.tolist() == [1, 1, 3, 3, 4, 4]
    (root / "classes.txt").write_text("ant\nbee\n")
    with pytest.raises(ValueError, match="has the folder cat, which is none of the 2 classes"):
        load_dataset(f"folder:{root}")
    (root / "classes.txt").write_text("ant\nbee\ncat\nant\n")
    with pytest.raises(ValueError, match="names a class twice"):
        load_dataset(f"folder:{root}")
    (root / "classes.txt").unlink()
    names = [f"n{number:08d} thing" for number in range(997)]
    (root / "LOC_synset_mapping.txt").write_text("\n".join(["ant x", "bee y", "cat z", *names]))
    assert load_dataset(f"imagenet:{root}").num_classes == 1000


def test_folders_without_what_is_needed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder"):
        load_dataset(f"folder:{tmp_path / 'none'}")
    with pytest.raises(ValueError, match="neither class folders nor a list"):
        load_dataset(f"folder:{tmp_path}")
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="has no images; known endings"):
        load_dataset(f"folder:{tmp_path}")
    written(tmp_path / "a" / "x.png", images(1, 0, (3, 4, 4))[0])
    with pytest.raises(ValueError, match="1 classes, 2 or more"):
        load_dataset(f"folder:{tmp_path}")


def test_a_missing_pillow_is_named(
    made: tuple[Path, list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ValueError, match=r"need Pillow.*pip install"):
        load_dataset(f"folder:{made[0]}")
