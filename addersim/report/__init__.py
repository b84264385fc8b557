"""Report: results as tables, figures and one self-contained page. The only folder that imports pandas and plotly."""

from addersim.report.frames import Frames, energy_frame, layers_frame, operations_frame, prices_frame, ranges_frame
from addersim.report.images import write_figures
from addersim.report.page.render import render_page, report_page, write_report
from addersim.results.result import Result

__all__ = [
    "Frames",
    "Result",
    "energy_frame",
    "layers_frame",
    "operations_frame",
    "prices_frame",
    "ranges_frame",
    "render_page",
    "report_page",
    "write_figures",
    "write_report",
]
