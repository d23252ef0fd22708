"""Labelled images in [0, 1]: archives, folders, and data sets of other packages."""

from runtime.data.dataset import Dataset
from runtime.data.images import ByteImages, Images
from runtime.data.items import dataset_from
from runtime.data.load import KINDS, absolute, load_dataset

__all__ = ["KINDS", "ByteImages", "Dataset", "Images", "absolute", "dataset_from", "load_dataset"]
