"""The files of the four networks."""

import csv
from pathlib import Path

from addersim import load

FILES = {"ad": "ad01_int8", "kws": "kws_ref_model", "ic": "pretrainedResnet_quant", "vww": "vww_96_int8"}


def programs(folder):
    """The four networks as programs, by the benchmark's short names."""
    return {name: load(str(Path(folder) / f"{file}.tflite")) for name, file in FILES.items()}


def table_of(path):
    """Rows of a .csv file, by its column names."""
    with Path(path).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
