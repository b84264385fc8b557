"use strict";

const figures = JSON.parse(document.getElementById("figures").textContent);

// The library comes packed. Its text is known to the page's policy by its hash, so that it may run as a script.
async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.body.append(script);
}

// A link into a table that is closed opens it.
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  if (target) target.scrollIntoView();
}

// Paper is narrower than most windows: figures are redrawn to its width, two beside each other, and back.
// Prices and their sources are printed, other tables only where the reader opened them.
const PAPER_PX = 672;
function toPaper() {
  const prices = document.getElementById("numbers-prices");
  if (prices) prices.open = true;
  for (const id of Object.keys(figures)) {
    const alone = document.getElementById(id).closest(".figures").children.length === 1;
    Plotly.relayout(id, { autosize: false, width: alone ? PAPER_PX : PAPER_PX / 2 - 10 });
  }
}
function toScreen() {
  for (const id of Object.keys(figures)) Plotly.relayout(id, { autosize: true, width: null });
}

async function draw() {
  await unpack("library");
  for (const [id, figure] of Object.entries(figures)) {
    Plotly.newPlot(id, figure.data, figure.layout, { responsive: true, displayModeBar: false });
  }
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
  reveal();
  document.dispatchEvent(new Event("drawn"));
}

addEventListener("hashchange", reveal);
if (Object.keys(figures).length) draw();
else reveal();
