"""Figures: one function a question, from the tables of `frames`.

Bars lie flat, so that layer names stay legible on a phone and with a hundred layers. Layers are drawn by stage: a window with
what follows it in the pipeline. Figures of several networks share their axes. Names are escaped: plotly reads markup in texts.
"""

from addersim.report.figures.contrast import area_by_unit, energy_by_table, ratio_by_scope, ratio_by_table
from addersim.report.figures.energy import energy_by_layer, energy_by_level, energy_by_network, energy_by_part
from addersim.report.figures.time import latency_by_layer, roofline
from addersim.report.figures.values import errors_by_layer, operations_by_width, ranges_by_layer

__all__ = [
    "area_by_unit",
    "energy_by_layer",
    "energy_by_level",
    "energy_by_network",
    "energy_by_part",
    "energy_by_table",
    "errors_by_layer",
    "latency_by_layer",
    "operations_by_width",
    "ranges_by_layer",
    "ratio_by_scope",
    "ratio_by_table",
    "roofline",
]
