"""Figures as PNG files, as headless Chromium draws them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import plotly.graph_objects as go

EDGE_PX = 16  # the page's own margin, beside the figure


def draw(figure: go.Figure, path: Path) -> None:
    """Write a figure of fixed width and height to a PNG; without Chromium, say so and leave the file as it is."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print(f"{path.name}: not drawn, Chromium is not installed")
        return
    size = f"{figure.layout.width + EDGE_PX},{figure.layout.height + EDGE_PX}"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "figure.html")
        figure.write_html(page, config={"displayModeBar": False})
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={size}", "--virtual-time-budget=5000"]
        subprocess.run([chromium, *options, f"--screenshot={path.resolve()}", page.as_uri()], check=True, capture_output=True)
