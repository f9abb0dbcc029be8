"use strict";
// The chart of the curve: what was judged, by uPlot and a few shapes of our own over and under it.

const SMALL_FONT = "11px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";
// If there are more marks than this, they are short lines at the top, without labels.
const MOST_WHOLE_MARKS = 40;

function middles({ start, width, end }, count) {
  return Array.from({ length: count }, (_, i) => {
    const begin = start + i * width;
    return (begin + Math.min(end, begin + width)) / 2;
  });
}

function axisStyle() {
  return {
    stroke: () => colour("muted"),
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { stroke: () => colour("mark"), width: 1, size: 4 },
    font: SMALL_FONT,
  };
}

// The value of a line in bins at a time; null where it is unknown.
function valueAt(line, t) {
  const last = line.mean.length - 1;
  const place = Math.floor((t - line.start) / line.width);
  return t < line.start || t > line.end ? null : line.mean[Math.min(place, last)];
}

// A row for each process, all over the same time: who came, grew and ended when.
function lanes(figure, { processes, times, unit }) {
  if (processes.length < 2) return;
  const [from, to] = times;
  const lane = (line, i) => {
    const known = line.mean.filter((value) => value !== null);
    const peak = Math.max(...known);
    const at = (t) => (1000 * (t - from)) / (to - from);
    const text = `${line.name}: up to ${amount(peak, unit)}`;
    const points = middles(line, line.mean.length).map((t, bin) => (line.mean[bin] === null ? null : [at(t), 40 * (1 - line.mean[bin] / (peak || 1))]));
    const picture = polylines(points, 1000, 40);
    picture.style.color = `var(--p${i % 8})`;
    return element("li", {}, element("span", { textContent: text }), picture);
  };
  figure.querySelector("ul").replaceChildren(...processes.map(lane));
  figure.hidden = false;
}

// A line through points, broken where there are none (null).
function polylines(points, width, height) {
  const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const picture = make("svg");
  for (const [name, value] of [["viewBox", `0 0 ${width} ${height}`], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) {
    picture.setAttribute(name, value);
  }
  let piece = [];
  for (const point of [...points, null]) {
    if (point !== null) {
      piece.push(point);
      continue;
    }
    if (piece.length === 0) continue;
    // What is brief is seen too.
    const [begin, end] = [piece[0], piece[piece.length - 1]];
    if (end[0] - begin[0] < width / 150) piece.push([begin[0] + width / 150, end[1]]);
    const line = make("polyline");
    line.setAttribute("points", piece.map((it) => it.map((at) => at.toFixed(1)).join(",")).join(" "));
    picture.append(line);
    piece = [];
  }
  return picture;
}

class CurveChart {
  constructor(figure, data, onView) {
    this.figure = figure;
    this.data = data;
    this.onView = onView;
    this.place = figure.querySelector(".plot");
    this.whole = data.times;
    this.view = data.times;
    this.times = middles(data.curve, data.curve.mean.length);
    this.others = data.compared === null ? [] : data.compared.runs;
    this.plot = new uPlot(this.options(), this.series(), this.place);
    this.legend();
  }

  series() {
    const { curve, processes } = this.data;
    const lines = processes.map((line) => this.times.map((t) => valueAt(line, t)));
    return [this.times, curve.max, curve.min, curve.mean, ...lines];
  }

  height() {
    return window.innerWidth < 600 ? 280 : 380;
  }

  options() {
    const { unit, processes } = this.data;
    const axis = axisStyle();
    const edge = { points: { show: false }, stroke: "transparent", width: 0 };
    const thin = (_, i) => ({ stroke: () => colour(`p${i % 8}`), width: 1.2, points: { show: false } });
    return {
      width: this.place.clientWidth,
      height: this.height(),
      legend: { show: false },
      padding: [14, 10, 0, 0],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => { this.show(this.whole); return null; } },
        points: { size: 6 },
      },
      scales: {
        x: { time: false, auto: false, range: () => this.view },
        y: { auto: false, range: () => this.valueRange() },
      },
      axes: [
        {
          ...axis,
          size: 34,
          splits: (u, _, from, to) => timeSteps(from, to, Math.max(2, Math.floor(u.bbox.width / uPlot.pxRatio / 70))),
          values: (_, ticks) => ticks.map(duration),
        },
        {
          ...axis,
          size: 74,
          splits: (_u, _i, from, to) => valueSteps(from, to, 6, unit),
          values: (_, ticks) => valueLabels(ticks, unit),
        },
      ],
      series: [
        {},
        edge,
        edge,
        { stroke: () => colour("curve"), width: 1.8, points: { show: false } },
        ...processes.map(thin),
      ],
      bands: [{ series: [1, 2], fill: () => faded("range", 0.3) }],
      hooks: {
        drawClear: [(u) => this.under(u)],
        draw: [(u) => this.over(u)],
        setSelect: [(u) => this.selected(u)],
        setCursor: [(u) => this.read(u)],
      },
    };
  }

  // Of the whole run as Seepmeter has chosen it; of a part of it as the values there need it.
  valueRange() {
    const { curve, values, unit } = this.data;
    if (this.view === this.whole) return values;
    const [from, to] = this.view;
    const half = curve.width / 2;
    let [low, high] = [Infinity, -Infinity];
    this.times.forEach((t, i) => {
      if (t + half < from || t - half > to || curve.min[i] === null) return;
      low = Math.min(low, curve.min[i]);
      high = Math.max(high, curve.max[i]);
    });
    if (low > high) return values;
    const pad = Math.max((high - low) * 0.08, unit === "bytes" ? 2048 : 0.5);
    return [Math.max(low - pad, Math.min(low, 0)), high + pad];
  }

  show([from, to]) {
    const [first, last] = this.whole;
    const least = Math.max((last - first) / 2000, this.data.curve.width);
    const length = Math.min(Math.max(to - from, least), last - first);
    const begin = Math.min(Math.max(from, first), last - length);
    this.view = length >= (last - first) * 0.999 ? this.whole : [begin, begin + length];
    this.redraw();
    this.onView(this.view === this.whole ? null : this.view);
  }

  redraw() {
    this.plot.setScale("x", { min: this.view[0], max: this.view[1] });
    this.plot.redraw(true, true);
  }

  resize() {
    this.plot.setSize({ width: this.place.clientWidth, height: this.height() });
  }

  zoom(factor) {
    const [from, to] = this.view;
    const middle = this.plot.cursor.idx == null ? (from + to) / 2 : this.times[this.plot.cursor.idx];
    this.show([middle - (middle - from) * factor, middle + (to - middle) * factor]);
  }

  selected(u) {
    if (u.select.width < 4) return;
    const times = [u.select.left, u.select.left + u.select.width].map((x) => u.posToVal(x, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.show(times);
  }

  // Moves the cursor by so many bins.
  move(step) {
    const u = this.plot;
    const known = u.cursor.idx ?? (step > 0 ? -1 : this.times.length);
    const next = Math.min(Math.max(known + step, 0), this.times.length - 1);
    const [from, to] = this.view;
    const t = this.times[next];
    if (t < from || t > to) this.show([t - (to - from) / 2, t + (to - from) / 2]);
    const left = u.valToPos(t, "x");
    u.setCursor({ left, top: 10 });
  }

  read(u) {
    const out = this.figure.querySelector(".readout");
    const i = u.cursor.idx;
    const { curve, unit, fit, processes } = this.data;
    if (i == null || u.cursor.left < 0) {
      out.textContent = "";
      return;
    }
    const t = this.times[i];
    const say = (value) => amount(value, unit);
    if (curve.mean[i] === null) {
      out.textContent = `${duration(t)}: not sampled`;
      return;
    }
    let text = `${duration(t)}: ${say(curve.mean[i])}`;
    if (curve.min[i] !== curve.max[i]) text += ` (${say(curve.min[i])} to ${say(curve.max[i])})`;
    if (fit && t >= fit.span[0]) text += `; line ${say(this.fitAt(t)[1])}`;
    processes.forEach((line) => {
      const value = valueAt(line, t);
      if (value !== null) text += `; ${line.name} ${say(value)}`;
    });
    out.textContent = text;
  }

  // The band of the fitted line at a time: low, line, high.
  fitAt(t) {
    const { pivot, height, rate } = this.data.fit;
    const [a, line, b] = rate.map((slope) => height + slope * (t - pivot));
    return [Math.min(a, b), line, Math.max(a, b)];
  }

  // Warm-up, the judged span and gaps, behind all else.
  under(u) {
    const { judged, warmUpEnd, gaps, curve } = this.data;
    const area = (name, [from, to]) => {
      const [left, right] = [from, to].map((t) => this.x(u, t));
      u.ctx.fillStyle = colour(name);
      u.ctx.fillRect(left, u.bbox.top, Math.max(right - left, 0), u.bbox.height);
    };
    if (judged) area("judged", judged);
    if (warmUpEnd !== null) area("warmup", [curve.start, warmUpEnd]);
    gaps.forEach((gap) => area("ground", gap));
  }

  // A time as a place within the plot.
  x(u, t) {
    const x = u.valToPos(t, "x", true);
    return Math.min(Math.max(x, u.bbox.left), u.bbox.left + u.bbox.width);
  }

  over(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    this.cycleEnds(u);
    this.otherRuns(u);
    this.fit(u);
    this.floors(u);
    this.limit(u);
    this.marks(u);
    if (!this.data.curve.mean.some((value) => value !== null)) {
      this.write(u, "nothing was sampled", bbox.left + bbox.width / 2, bbox.top + bbox.height / 2, "muted");
    }
    ctx.restore();
  }

  line(u, points, name, { width = 1.6, dashes = [] } = {}) {
    const { ctx } = u;
    ctx.beginPath();
    ctx.strokeStyle = colour(name);
    ctx.lineWidth = width * uPlot.pxRatio;
    ctx.setLineDash(dashes.map((it) => it * uPlot.pxRatio));
    points.forEach(([x, y], i) => (i === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y)));
    ctx.stroke();
    ctx.setLineDash([]);
  }

  write(u, text, x, y, name, align = "center") {
    const { ctx } = u;
    ctx.font = SMALL_FONT.replace("11px", `${11 * uPlot.pxRatio}px`);
    ctx.fillStyle = colour(name);
    ctx.textAlign = align;
    ctx.textBaseline = "alphabetic";
    ctx.fillText(text, x, y);
  }

  at(u, t, value) {
    return [u.valToPos(t, "x", true), u.valToPos(value, "y", true)];
  }

  cycleEnds(u) {
    const bottom = u.bbox.top + u.bbox.height;
    this.data.cycleEnds.forEach((t) => {
      const x = u.valToPos(t, "x", true);
      this.line(u, [[x, bottom], [x, bottom - 6 * uPlot.pxRatio]], "muted", { width: 1 });
    });
  }

  // The runs that it is compared with may be longer than its own bins.
  otherRuns(u) {
    this.others.forEach((run) => {
      const points = middles(run, run.mean.length).map((t, i) => (run.mean[i] === null ? null : this.at(u, t, run.mean[i])));
      let piece = [];
      for (const point of [...points, null]) {
        if (point !== null) piece.push(point);
        else if (piece.length > 0) {
          this.line(u, piece, run.isBase ? "mark" : "curve", { width: 1.2, dashes: run.isBase ? [5, 3] : [] });
          piece = [];
        }
      }
    });
  }

  fit(u) {
    const { fit, limit, classification } = this.data;
    if (!fit) return;
    const [from, to] = fit.span;
    const places = [from, Math.min(Math.max(fit.pivot, from), to), to];
    const edge = (which) => places.map((t) => this.at(u, t, this.fitAt(t)[which]));
    const { ctx } = u;
    ctx.beginPath();
    [...edge(2), ...edge(0).reverse()].forEach(([x, y], i) => (i === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y)));
    ctx.closePath();
    ctx.fillStyle = faded(classification, 0.18);
    ctx.fill();
    this.line(u, [from, to].map((t) => this.at(u, t, this.fitAt(t)[1])), classification, { width: 1.8 });
    if (limit && limit.reached !== null) {
      const ahead = [to, limit.reached].map((t) => this.at(u, t, this.fitAt(t)[1]));
      this.line(u, ahead, classification, { dashes: [6, 4] });
    }
  }

  floors(u) {
    const { ctx } = u;
    this.data.floors.forEach(([t, value, isJudged]) => {
      const [x, y] = this.at(u, t, value);
      ctx.beginPath();
      ctx.arc(x, y, 2.6 * uPlot.pxRatio, 0, 2 * Math.PI);
      ctx.lineWidth = uPlot.pxRatio;
      ctx.fillStyle = ctx.strokeStyle = colour("floor");
      if (isJudged) ctx.fill();
      else ctx.stroke();
    });
  }

  limit(u) {
    const { limit } = this.data;
    if (!limit) return;
    const { left, width, top } = u.bbox;
    const px = uPlot.pxRatio;
    const right = left + width - 6 * px;
    // The line that goes up to the limit comes from the left, and ends at the right.
    const [x, align] = limit.reached === null ? [right, "right"] : [left + 6 * px, "left"];
    if (limit.value === null) {
      this.write(u, limit.label, right, top + 14 * px, "limit", "right");
      return;
    }
    const y = u.valToPos(limit.value, "y", true);
    this.line(u, [[left, y], [left + width, y]], "limit");
    this.write(u, limit.label, x, y + 14 * px, "limit", align);
  }

  marks(u) {
    const { marks } = this.data;
    const { top, height } = u.bbox;
    const px = uPlot.pxRatio;
    const isShort = marks.length > MOST_WHOLE_MARKS;
    let free = -Infinity;
    marks.forEach(([t, label]) => {
      const x = u.valToPos(t, "x", true);
      const bottom = isShort ? top + 8 * px : top + height;
      this.line(u, [[x, top], [x, bottom]], "mark", { width: 1, dashes: isShort ? [] : [2, 3] });
      const text = label.length > 28 ? `${label.slice(0, 27)}…` : label;
      const room = u.ctx.measureText(text).width + 8 * px;
      // At the right edge a label stands before its line.
      const before = x + room > u.bbox.left + u.bbox.width;
      const begin = before ? x - room : x;
      if (isShort || begin < free) return;
      this.write(u, text, before ? x - 4 * px : x + 4 * px, top + 11 * px, "muted", before ? "right" : "left");
      free = begin + room;
    });
  }

  legend() {
    const { data } = this;
    const { curve, name, classification } = data;
    const hasRange = curve.min.some((low, i) => low !== null && low < curve.max[i]);
    const entries = [
      [true, "line", "curve", name],
      ...data.processes.map((line, i) => [true, "line", `p${i % 8}`, line.name]),
      ...this.others.map((run) => [true, run.isBase ? "line dashed" : "line", run.isBase ? "mark" : "curve", `${run.isBase ? "base" : "new"}: ${run.name}`]),
      [hasRange, "fill", "range", "from the lowest to the highest value"],
      [data.floors.length > 0, "dot", "floor", "floors (hollow: not judged)"],
      [data.fit !== null, "line", classification, "fitted line, with its 95 % band"],
      [data.judged !== null, "fill", "judged", "judged"],
      [data.warmUpEnd !== null, "fill", "warmup", "warm-up"],
      [data.cycleEnds.length > 0, "line", "muted", "ends of cycles, on the axis"],
      [data.limit !== null && data.limit.value !== null, "line", "limit", "limit"],
      [data.marks.length > 0, "line", "mark", "marks and events"],
      [data.gaps.length > 0, "fill", "ground", "not sampled: the curve is broken"],
    ];
    const shown = entries.filter(([isThere]) => isThere).map(([, ...entry]) => legendEntry(...entry));
    this.figure.querySelector(".legend").replaceChildren(...shown);
  }
}
