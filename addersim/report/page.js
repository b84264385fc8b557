"use strict";

const written = document.getElementById("figures").textContent;
const figures = JSON.parse(written);

// In the dark the inks of figures, which are made for paper, change places with lighter ones; files and prints are light.
const DARK = { "#24292f": "#e6edf3", "#57606a": "#a5b0bc", "#e4e7eb": "#2d343d", "#d9dee4": "#4a525c", "#332288": "#9d8df1", "#882255": "#d36a9c", "#08519c": "#1f6fc0", "#08306b": "#6f7fd0", "#994455": "#c0697b", "#004488": "#5592d8", '"white"': '"#1b222b"' };
const theme = matchMedia("(prefers-color-scheme: dark)");
function shaded() {
  return theme.matches ? JSON.parse(Object.entries(DARK).reduce((text, pair) => text.replaceAll(...pair), written)) : figures;
}
function shadeKeys() {
  for (const mark of document.querySelectorAll(".legend i, .legend b")) {
    mark.dataset.light ||= mark.getAttribute("style");
    const shade = Object.entries(DARK).reduce((text, pair) => text.replaceAll(...pair), mark.dataset.light);
    mark.setAttribute("style", theme.matches ? shade : mark.dataset.light);
  }
}

// A figure as a file, with its caption and its legend, on white whatever the screen is.
async function save(event) {
  const { figure: id, format } = event.currentTarget.dataset;
  const caption = event.currentTarget.closest("figcaption").firstChild.textContent;
  const { data, layout } = figures[id];
  const width = Math.max(document.getElementById(id).clientWidth, 480);
  const keys = 24 * Math.ceil(data.filter((one) => one.showlegend !== false).length / Math.floor(width / 160));
  const whole = {
    ...layout, width, height: layout.height + 44 + keys, showlegend: true, paper_bgcolor: "#fff",
    margin: { ...layout.margin, t: 44 + keys }, title: { text: caption, x: 0.01, y: 0.99, yanchor: "top", font: { size: 14 } },
  };
  const address = await Plotly.toImage({ data, layout: whole }, { format, width, height: whole.height, scale: format === "png" ? 3 : 1 });
  const link = document.createElement("a");
  link.download = `${caption.replace(/[^A-Za-z0-9]+/g, "-").replace(/^-|-$/g, "")}.${format}`;
  link.href = address;
  link.click();
}

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

// A table that is wider than its box is reached and moved by the keyboard too.
function reachable() {
  for (const box of document.querySelectorAll(".scroll")) {
    const wide = box.scrollWidth > box.clientWidth;
    const name = (box.querySelector("caption") || box.closest("section").querySelector("h2")).textContent;
    for (const [key, value] of Object.entries({ tabindex: "0", role: "region", "aria-label": name })) {
      if (wide) box.setAttribute(key, value);
      else box.removeAttribute(key);
    }
  }
}

// Paper is narrower than most windows: figures are redrawn to its width, two beside each other, and back; one that is higher
// than a page is drawn as high as that.
// Prices and their sources are printed, other tables only where the reader opened them.
const PAPER_PX = 672;
const PAGE_PX = 780;
function toPaper() {
  if (theme.matches) for (const id of drawn()) Plotly.react(id, figures[id].data, figures[id].layout);
  const prices = document.getElementById("numbers-prices");
  if (prices) prices.open = true;
  for (const id of drawn()) {
    const alone = document.getElementById(id).closest(".figures").children.length === 1;
    const height = Math.min(figures[id].layout.height, PAGE_PX);
    document.getElementById(id).style.height = `${height}px`;
    Plotly.relayout(id, { autosize: false, width: alone ? PAPER_PX : PAPER_PX / 2 - 10, height });
  }
}
function toScreen() {
  if (theme.matches) recolour();
  for (const id of drawn()) {
    const { height } = figures[id].layout;
    document.getElementById(id).style.height = `${height}px`;
    Plotly.relayout(id, { autosize: true, width: null, height });
  }
}

function recolour() {
  shadeKeys();
  const now = shaded();
  for (const id of drawn()) Plotly.react(id, now[id].data, now[id].layout);
}

// What is closed has no width: it is drawn when it opens.
function drawIn(part, inside) {
  for (const [id, figure] of Object.entries(shaded())) {
    const place = document.getElementById(id);
    if (!part.contains(place) || place.data || (!inside && place.closest("details"))) continue;
    Plotly.newPlot(id, figure.data, figure.layout, { responsive: true, displayModeBar: false });
  }
}
const drawn = () => Object.keys(figures).filter((id) => document.getElementById(id).data);

async function draw() {
  await unpack("library");
  shadeKeys();
  for (const part of document.querySelectorAll("details.drawn")) part.addEventListener("toggle", () => drawIn(part, true));
  drawIn(document, false);
  for (const button of document.querySelectorAll(".save button")) button.addEventListener("click", save);
  theme.addEventListener("change", recolour);
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
  reveal();
  document.dispatchEvent(new Event("drawn"));
}

reachable();
addEventListener("resize", reachable);
document.addEventListener("toggle", reachable, true);
addEventListener("hashchange", reveal);
if (Object.keys(figures).length) draw();
else reveal();
