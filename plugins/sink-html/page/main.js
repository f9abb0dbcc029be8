"use strict";
// From the data of the page to its charts and its table.

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { growth, unit } = data;
  const charts = [];
  let [area, table, flame] = [null, null, null];

  // Whatever part of the run the curve shows, the rest of the page is about.
  const curve = new CurveChart(document.getElementById("curve"), data, (view) => {
    if (area !== null) area.show(view);
    if (table !== null) table.show(view);
    if (flame !== null) flame.show(view);
  });
  charts.push(curve);

  const note = document.getElementById("growth-note");
  if (growth.missing !== null) {
    note.textContent = `Growth by part is not known: ${growth.missing}.`;
  } else {
    const [from, to] = growth.span.map(duration);
    note.textContent = `What each part gained from ${from} to ${to}${growth.hasRates ? ", the judged span" : ""}.`;
    for (const id of ["growth", "growth-tools"]) document.getElementById(id).hidden = false;
    table = new GrowthTable(data);
  }
  if (growth.area !== null) {
    const figure = document.getElementById("area");
    figure.hidden = false;
    figure.setAttribute("aria-label", "The parts in layers; the table below has their figures.");
    area = new AreaChart(figure, data);
    charts.push(area);
  }
  lanes(document.getElementById("lanes"), data);
  if (data.compared !== null) intervals(document.getElementById("compared"), data);
  if (data.stacks !== null) {
    const section = document.getElementById("flame");
    section.hidden = false;
    flame = new FlameGraph(section, data);
    charts.push(flame);
  }
  offerFiles(data, flame);

  // The keys, while the curve has the focus.
  const keys = {
    ArrowLeft: () => curve.move(-1),
    ArrowRight: () => curve.move(1),
    PageUp: () => curve.move(-20),
    PageDown: () => curve.move(20),
    "+": () => curve.zoom(0.5),
    "=": () => curve.zoom(0.5),
    "-": () => curve.zoom(2),
    0: () => curve.show(curve.whole),
    Escape: () => curve.show(curve.whole),
  };
  curve.figure.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target !== curve.figure) return;
    event.preventDefault();
    act();
  });
  const buttons = { in: () => curve.zoom(0.5), out: () => curve.zoom(2), all: () => curve.show(curve.whole) };
  for (const button of curve.figure.querySelectorAll("button")) {
    button.addEventListener("click", buttons[button.dataset.zoom]);
  }

  // Charts have the colours and the width of the moment: of another theme, of paper.
  const redraw = () => charts.forEach((chart) => chart.redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("print").addEventListener("change", redraw);
  new ResizeObserver(() => charts.forEach((chart) => chart.resize())).observe(document.querySelector("main"));

  // For tests: what is drawn, and where.
  window.seepmeter = { data, curve, area, table, flame };
})();
