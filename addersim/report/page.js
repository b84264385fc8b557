"use strict";

const figures = JSON.parse(document.getElementById("figures").textContent);
for (const [id, figure] of Object.entries(figures)) {
  Plotly.newPlot(id, figure.data, figure.layout, { responsive: true, displayModeBar: false });
}

// Paper is narrower than most windows: figures are redrawn to its width, two beside each other, and back.
const PAPER_PX = 672;
addEventListener("beforeprint", () => {
  for (const id of Object.keys(figures)) {
    const alone = document.getElementById(id).closest(".figures").children.length === 1;
    Plotly.relayout(id, { autosize: false, width: alone ? PAPER_PX : PAPER_PX / 2 - 10 });
  }
});
addEventListener("afterprint", () => {
  for (const id of Object.keys(figures)) Plotly.relayout(id, { autosize: true, width: null });
});
