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

// A curve that moves by less than this part of its height is drawn flat.
const LEAST_MOVE = 0.05;

function spark([low, range, letters]) {
  const height = Math.max(range, LEAST_MOVE * Math.abs(low + range)) || 1;
  const y = (letter) => 63 - (LEVELS.indexOf(letter) * range) / height;
  const points = [...letters].map((letter, i) => (LEVELS.includes(letter) ? [i, y(letter)] : null));
  return polylines(points, letters.length - 1, 63);
}

// What a row's small curve gained between two parts of the run, from 0 to 1; null if that is not known. It has 64
// levels, and so many bins.
function gainBetween([low, range, letters], from, to) {
  const value = (part) => {
    const letter = letters[Math.min(Math.max(Math.floor(part * letters.length), 0), letters.length - 1)];
    // Outside its life a part holds nothing.
    if (letter === ".") return 0;
    return letter === "?" ? NaN : low + (range * LEVELS.indexOf(letter)) / 63;
  };
  const gain = value(to) - value(from);
  return Number.isNaN(gain) ? null : gain;
}

class GrowthTable {
  constructor(data) {
    this.unit = data.unit;
    this.growth = data.growth;
    this.table = document.getElementById("growth");
    this.shownRows = FIRST_ROWS;
    this.sort = { field: GAIN, down: true };
    this.text = "";
    this.times = [data.curve.start, data.curve.end];
    // What was gained in the part of the run that is shown, if that is not all of it.
    this.inView = null;
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

  // Only a part of the run is shown: the table is about that.
  show(view) {
    this.inView = null;
    if (view !== null) {
      const [start, end] = this.times;
      const [from, to] = view.map((t) => (t - start) / (end - start));
      this.inView = new Map(this.growth.rows.map((row) => [row, gainBetween(row[SPARK], from, to)]));
      this.sort = { field: GAIN, down: true };
    }
    this.update();
  }

  gained(row) {
    return this.inView === null ? row[GAIN] : this.inView.get(row);
  }

  cellClass(field) {
    const isWide = field === KIND || field === OWNER || field === PEAK;
    return `${isText(field) ? "words" : ""} ${isWide ? WIDE_ONLY : ""} ${field === OWNER ? "owner" : ""}`.trim();
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
    const keys = { [RATE]: (row) => row[RATE][1], [GAIN]: (row) => this.gained(row) };
    const key = keys[field] || ((row) => row[field]);
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      // What is not known stands last in both orders.
      if (x === null || y === null) return (x === null) - (y === null);
      return (isText(field) ? x.localeCompare(y) : x - y) * (down ? -1 : 1);
    };
    const matches = (row) => [NAME, KIND, OWNER, NOTE].some((it) => row[it].toLowerCase().includes(this.text));
    const moves = (row) => this.inView === null || this.gained(row) !== 0;
    return this.growth.rows.filter((row) => moves(row) && matches(row)).sort(compare);
  }

  update() {
    const rows = this.sorted();
    this.table.tBodies[0].replaceChildren(...rows.slice(0, this.shownRows).map((row) => this.row(row)));
    for (const th of this.table.tHead.rows[0].cells) {
      const isSorted = th.dataset.field === String(this.sort.field);
      if (isSorted) th.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
      const button = th.querySelector("button");
      if (button) button.textContent = this.title(th) + (isSorted ? (this.sort.down ? " ▼" : " ▲") : "");
    }
    const more = document.getElementById("growth-more");
    more.hidden = rows.length <= this.shownRows;
    more.textContent = `Show all ${rows.length}`;
    const { rowsLeftOut } = this.growth;
    const left = rowsLeftOut > 0 ? `; ${rowsLeftOut} that gained less are left out` : "";
    const moved = this.inView === null ? "" : " changed in the view";
    document.getElementById("growth-count").textContent = `${rows.length} of ${this.growth.rows.length} parts${moved}${left}`;
  }

  title(th) {
    const field = Number(th.dataset.field);
    const [, title] = this.columns.find(([known]) => known === field);
    return field === GAIN && this.inView !== null ? "gained in view, about" : title;
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
      case GAIN: return this.gained(row) === null ? "not known" : change(this.gained(row), this.unit);
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
    const axis = axisStyle();
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
        { ...axis, size: 34, splits: (u, _, from, to) => timeSteps(from, to, Math.max(2, Math.floor(u.bbox.width / uPlot.pxRatio / 70))), values: (_, ticks) => ticks.map(duration) },
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
