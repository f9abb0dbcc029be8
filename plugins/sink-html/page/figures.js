"use strict";
// Amounts, rates and times as Seepmeter writes them everywhere else.

const SCALES = {
  bytes: [[2 ** 40, " TiB"], [2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"], [1, " B"]],
  ns: [[1e9, " s"], [1e6, " ms"], [1e3, " µs"], [1, " ns"]],
  count: [[1, ""]],
};
const RATE_TIMES = [[1, "s"], [60, "min"], [3600, "h"], [86400, "d"]];

function figures(number) {
  const size = Math.abs(number);
  const text = number.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
  const short = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return short === "-0" ? "0" : short;
}

function scaleOf(size, unit) {
  const scales = SCALES[unit] || SCALES.count;
  return scales.find(([scale]) => size >= scale) || scales[scales.length - 1];
}

function amount(value, unit) {
  const [scale, name] = scaleOf(Math.abs(value), unit);
  return figures(value / scale) + name;
}

function change(value, unit) {
  return (value > 0 ? "+" : "") + amount(value, unit);
}

function rateTime(rate, unit) {
  const least = unit === "bytes" ? 1024 : 1;
  const fits = RATE_TIMES.find(([seconds]) => rate * seconds >= least);
  return fits || RATE_TIMES[rate === 0 ? 0 : 3];
}

function rate(perSecond, unit) {
  const [seconds, time] = rateTime(Math.abs(perSecond), unit);
  return `${change(perSecond * seconds, unit)}/${time}`;
}

function rateWithInterval([low, estimate, high], unit) {
  const widest = Math.max(...[low, estimate, high].map(Math.abs));
  const [seconds, time] = rateTime(widest, unit);
  const [scale, name] = scaleOf(widest * seconds, unit);
  const [middle, from, to] = [estimate, low, high].map((it) => figures((it * seconds) / scale));
  const dash = from.startsWith("-") || to.startsWith("-") ? " to " : "–";
  return `${estimate > 0 ? "+" : ""}${middle}${name}/${time} (${from}${dash}${to})`;
}

function duration(seconds) {
  if (seconds <= 0) return "0 s";
  if (seconds < 59.95) return amount(seconds * 1e9, "ns");
  const all = Math.round(seconds);
  const [whole, large, part, small] =
    all < 3600 ? [all / 60, "m", all % 60, "s"]
    : all < 86400 ? [all / 3600, "h", (all % 3600) / 60, "m"]
    : [all / 86400, "d", (all % 86400) / 3600, "h"];
  const rest = Math.floor(part);
  return `${Math.floor(whole)} ${large}${rest === 0 ? "" : ` ${rest} ${small}`}`;
}

// Round places on an axis of values: of bytes, steps are powers of two.
function valueSteps(from, to, most, unit) {
  const least = (to - from) / most;
  let step = unit === "bytes" ? 2 ** Math.ceil(Math.log2(Math.max(least, 1))) : decimalStep(least);
  if (unit === "count") step = Math.max(step, 1);
  return places(from, to, step);
}

const TIME_STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

function timeSteps(from, to, most) {
  const least = (to - from) / most;
  if (least <= 0.5) return places(from, to, decimalStep(least));
  const step = TIME_STEPS.find((it) => it >= least) || 86400 * Math.max(decimalStep(least / 86400), 1);
  return places(from, to, step);
}

function decimalStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-9)));
  return power * ([1, 2, 5, 10].find((it) => it * power >= least * 0.999999) || 10);
}

function places(from, to, step) {
  const all = [];
  for (let place = Math.ceil(from / step); place <= Math.floor(to / step) && all.length < 100; place++) {
    all.push(place * step);
  }
  return all;
}

// Neighbouring ticks have labels of their own: 29.97 GiB and 30 GiB.
function valueLabels(ticks, unit) {
  const usual = ticks.map((tick) => amount(tick, unit));
  if (new Set(usual).size === usual.length || ticks.length < 2) return usual;
  const [scale, name] = scaleOf(Math.max(...ticks.map(Math.abs)), unit);
  const digits = Math.min(9, Math.max(0, Math.ceil(Math.log10(scale / (ticks[1] - ticks[0])))));
  return ticks.map((tick) => (tick / scale).toFixed(digits) + name);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A colour that covers only a part of what is behind it.
function faded(name, opacity) {
  const number = parseInt(colour(name).slice(1), 16);
  return `rgba(${number >> 16},${(number >> 8) & 255},${number & 255},${opacity})`;
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function legendEntry(kind, name, text) {
  const swatch = element("span", { className: `swatch ${kind} ${name}` });
  swatch.style[kind.startsWith("line") ? "borderColor" : "background"] = `var(--${name})`;
  return element("li", {}, swatch, text);
}
