
// A point's own report: made from what the page carries, of text alone, for the point that the address names.
const swept = JSON.parse(document.getElementById("swept").textContent);

function made(name, text, parent, look) {
  const part = document.createElement(name);
  if (text) part.textContent = text;
  if (look) part.className = look;
  parent.append(part);
  return part;
}

function tabulate(caption, heads, rows, parent) {
  const table = made("table", "", made("div", "", parent, "scroll"));
  made("caption", caption, table);
  const head = made("tr", "", made("thead", "", table));
  for (const text of heads) made("th", text, head, text === heads[0] ? "" : "n").scope = "col";
  const body = made("tbody", "", table);
  for (const cells of rows) {
    const row = made("tr", "", body);
    cells.forEach((text, place) => made(place ? "td" : "th", text, row, place ? "n" : ""));
  }
}

function openPoint(asked) {
  const one = swept.points[asked] || swept.points[swept.first];
  const place = document.getElementById("chosen");
  place.replaceChildren();
  made("h3", one.name, place);
  const list = made("dl", "", place);
  for (const [key, text] of one.facts) {
    made("dt", key, list);
    made("dd", text, list);
  }
  const tables = made("div", "", place, "tables");
  if (one.parts) tabulate("Energy of one image", ["component", "energy", "share"], one.parts, tables);
  const layers = swept.simulations[one.simulation];
  if (layers) tabulate("Accumulators, by layer", swept.heads, layers, tables);
  reachable();
}

function followAddress() {
  const named = /^#point-(\d+)$/.exec(location.hash);
  openPoint(named ? named[1] : swept.first);
  if (named) document.getElementById("point").scrollIntoView();
}

document.addEventListener("drawn", () => {
  for (const plot of document.querySelectorAll(".plot")) {
    plot.on("plotly_click", (event) => {
      const point = event.points[0].customdata?.[0];
      if (point in swept.points) location.hash = `point-${point}`;
    });
  }
  if (location.hash.startsWith("#point-")) followAddress();
});
addEventListener("hashchange", () => location.hash.startsWith("#point-") && followAddress());
if (swept.first !== null) followAddress();
