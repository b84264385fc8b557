"""Image sets: what each holds, where its files lie, and how they are read."""

from addersim.datasets.find import find_images
from addersim.datasets.own import FoundImages, load_own
from addersim.datasets.records import Dataset, Images, Split
from addersim.datasets.registry import DATASETS, load, read

__all__ = ["DATASETS", "Dataset", "FoundImages", "Images", "Split", "find_images", "load", "load_own", "read"]
