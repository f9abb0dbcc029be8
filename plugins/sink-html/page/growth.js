"use strict";
// Growth by part: an area in layers, and a table that can be sorted and searched.

const FIRST_ROWS = 25;
// What there is no room for on a small screen; it stands below the name there.
const WIDE_ONLY = "wide";
const LEVELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The places of a row's fields.
const [NAME, KIND, OWNER, LAST, PEAK, GAIN, RATE, SHARE, SPARK, NOTE] = Array(10).keys();

function isText(field) {
  return field === NAME || field === KIND || field === OWNER;
}

function spark(text) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("viewBox", `0 0 ${text.length - 1} 63`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true");
  let points = [];
  const end = () => {
    if (points.length > 0) {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
      // A single bin is a short line.
      if (points.length === 1) points.push(points[0].map((at, i) => at + (i === 0 ? 0.4 : 0)));
      line.setAttribute("points", points.map((point) => point.join(",")).join(" "));
      picture.append(line);
    }
    points = [];
  };
  [...text].forEach((letter, i) => (letter === "." ? end() : points.push([i, 63 - LEVELS.indexOf(letter)])));
  end();
  return picture;
}

class GrowthTable {
  constructor(data) {
    this.unit = data.unit;
    this.growth = data.growth;
    this.table = document.getElementById("growth");
    this.shownRows = FIRST_ROWS;
    this.sort = { field: GAIN, down: true };
    this.text = "";
    this.columns = [
      [NAME, "part"],
      [KIND, "what"],
      ...(this.growth.hasOwners ? [[OWNER, "of"]] : []),
      [LAST, "at the end"],
      [PEAK, "peak"],
      [GAIN, "gained"],
      ...(this.growth.hasRates ? [[RATE, "rate (95 % CI)"]] : []),
      [SHARE, "share"],
      [SPARK, "curve"],
    ];
    this.heading();
    this.update();
    this.listen();
  }

  listen() {
    const search = document.getElementById("growth-search");
    search.addEventListener("input", () => {
      this.text = search.value.toLowerCase();
      this.shownRows = FIRST_ROWS;
      this.update();
    });
    document.getElementById("growth-more").addEventListener("click", () => {
      this.shownRows = Infinity;
      this.update();
    });
  }

  cellClass(field) {
    const isWide = field === KIND || field === OWNER || field === PEAK;
    return `${isText(field) ? "words" : ""} ${isWide ? WIDE_ONLY : ""}`.trim();
  }

  heading() {
    const cell = ([field, title]) => {
      const th = element("th", { scope: "col", className: this.cellClass(field) });
      if (field === SPARK) {
        th.textContent = title;
        return th;
      }
      const button = element("button", { type: "button", textContent: title });
      button.addEventListener("click", () => this.sortBy(field));
      th.append(button);
      th.dataset.field = field;
      return th;
    };
    this.table.tHead.rows[0].replaceChildren(...this.columns.map(cell));
  }

  // What grew most first, names from A on; the same column again turns the order round.
  sortBy(field) {
    const { sort } = this;
    this.sort = { field, down: sort.field === field ? !sort.down : !isText(field) };
    this.update();
  }

  sorted() {
    const { field, down } = this.sort;
    const key = (row) => (field === RATE ? row[RATE][1] : row[field]);
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      // What is not known stands last in both orders.
      if (x === null || y === null) return (x === null) - (y === null);
      return (isText(field) ? x.localeCompare(y) : x - y) * (down ? -1 : 1);
    };
    const matches = (row) => [NAME, KIND, OWNER, NOTE].some((it) => row[it].toLowerCase().includes(this.text));
    return this.growth.rows.filter(matches).sort(compare);
  }

  update() {
    const rows = this.sorted();
    this.table.tBodies[0].replaceChildren(...rows.slice(0, this.shownRows).map((row) => this.row(row)));
    for (const th of this.table.tHead.rows[0].cells) {
      const isSorted = th.dataset.field === String(this.sort.field);
      if (isSorted) th.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
      const button = th.querySelector("button");
      if (button) button.textContent = button.textContent.replace(/ [▲▼]$/, "") + (isSorted ? (this.sort.down ? " ▼" : " ▲") : "");
    }
    const more = document.getElementById("growth-more");
    more.hidden = rows.length <= this.shownRows;
    more.textContent = `Show all ${rows.length}`;
    const { rowsLeftOut } = this.growth;
    const left = rowsLeftOut > 0 ? `; ${rowsLeftOut} that gained less are left out` : "";
    document.getElementById("growth-count").textContent = `${rows.length} of ${this.growth.rows.length} parts${left}`;
  }

  row(row) {
    const cell = ([field]) => {
      const td = element("td", { className: this.cellClass(field) });
      td.append(this.shown(row, field));
      if (field === NAME) {
        td.classList.add("name");
        const what = row[OWNER] ? `${row[KIND]} of ${row[OWNER]}` : row[KIND];
        td.append(element("span", { className: "note narrow", textContent: what }));
        if (row[NOTE]) td.append(element("span", { className: "note", textContent: row[NOTE] }));
      }
      return td;
    };
    return element("tr", {}, ...this.columns.map(cell));
  }

  shown(row, field) {
    const value = row[field];
    switch (field) {
      case SPARK: return spark(value);
      case LAST: case PEAK: return amount(value, this.unit);
      case GAIN: return change(value, this.unit);
      case RATE: return rateWithInterval(value, this.unit);
      case SHARE: return value === null ? "" : `${Math.round(100 * value)} %`;
      default: return value;
    }
  }
}

// The layers, the first at the bottom, and the whole as a line.
class AreaChart {
  constructor(figure, data) {
    this.place = figure.querySelector(".plot");
    this.data = data;
    this.area = data.growth.area;
    this.times = middles(this.area, this.area.layers[0].values.length);
    const inks = this.inks();
    this.plot = new uPlot(this.options(inks), this.series(), this.place);
    // As they lie: the top one first.
    const entries = this.area.layers.map((layer, i) => legendEntry("fill", inks[i], layer.name)).reverse();
    entries.unshift(legendEntry("line", "text", data.name));
    figure.querySelector(".legend").replaceChildren(...entries);
  }

  inks() {
    const { length } = this.area.layers;
    return this.area.layers.map((_, i) => `p${(length - 1 - i) % 8}`);
  }

  // Each layer's upper edge, and the whole.
  series() {
    let below = this.times.map(() => 0);
    const edges = this.area.layers.map(({ values }) => {
      below = below.map((sum, i) => (values[i] === null || sum === null ? null : sum + values[i]));
      return below;
    });
    const whole = this.times.map((t) => valueAt(this.data.curve, t));
    return [this.times, this.times.map(() => 0), ...edges, whole];
  }

  options(inks) {
    const { unit, curve, times } = this.data;
    const axis = {
      stroke: () => colour("muted"),
      grid: { stroke: () => colour("grid"), width: 1 },
      ticks: { stroke: () => colour("mark"), width: 1, size: 4 },
      font: SMALL_FONT,
    };
    const edge = (name) => ({ stroke: () => colour(name), width: 0.5, points: { show: false } });
    this.view = [Math.max(times[0], 0), curve.end];
    return {
      width: this.place.clientWidth,
      height: 240,
      legend: { show: false },
      padding: [8, 10, 0, 0],
      cursor: { show: false },
      scales: { x: { time: false, auto: false, range: () => this.view }, y: { range: (_, low, high) => [Math.min(low, 0), high * 1.05 || 1] } },
      axes: [
        { ...axis, splits: (u, _, from, to) => timeSteps(from, to, Math.max(2, Math.floor(u.bbox.width / uPlot.pxRatio / 70))), values: (_, ticks) => ticks.map(duration) },
        { ...axis, size: 74, splits: (_u, _i, from, to) => valueSteps(from, to, 4, unit), values: (_, ticks) => valueLabels(ticks, unit) },
      ],
      series: [
        {},
        { stroke: "transparent", width: 0, points: { show: false } },
        ...inks.map(edge),
        { stroke: () => colour("text"), width: 1.4, points: { show: false } },
      ],
      bands: inks.map((name, i) => ({ series: [i + 2, i + 1], fill: () => faded(name, 0.75) })),
    };
  }

  show(view) {
    this.view = view || [Math.max(this.data.times[0], 0), this.data.curve.end];
    this.redraw();
  }

  redraw() {
    this.plot.setScale("x", { min: this.view[0], max: this.view[1] });
    this.plot.redraw(true, true);
  }

  resize() {
    this.plot.setSize({ width: this.place.clientWidth, height: 240 });
  }
}
