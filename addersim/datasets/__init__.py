"""Image sets: what each holds, where its files lie, and how they are read."""

from addersim.datasets.records import Dataset, Images, Split
from addersim.datasets.registry import DATASETS, load, read

__all__ = ["DATASETS", "Dataset", "Images", "Split", "load", "read"]
