"use strict";
// What differs from the base: for each figure the difference with its interval, beside no difference.

const CHANGE_INKS = { worse: "growing", better: "steady", alike: "muted", inconclusive: "inconclusive" };

function intervals(place, { compared, unit }) {
  const rows = compared.figures.map((figure) => {
    const say = (value) => (figure.isRate ? rate(value, unit) : change(value, unit));
    const unsigned = (value) => say(value).replace(/^\+/, "");
    const [low, high] = figure.interval || [figure.difference, figure.difference];
    const picture = interval(figure, low, high);
    const what = figure.subject ? `${figure.figure} of ${figure.subject}` : figure.figure;
    const range = figure.interval ? `${unsigned(low)} to ${unsigned(high)}` : "one run on a side: not known";
    const cells = [what, figure.change, unsigned(figure.base), say(figure.difference), range];
    return element("tr", {}, ...cells.map((textContent, i) => element("td", { textContent, className: i < 2 ? "words" : "" })), element("td", {}, picture));
  });
  const titles = ["figure", "answer", "base", "change", "95 % CI of the change", "beside no change"];
  const heading = element("tr", {}, ...titles.map((textContent, i) => element("th", { textContent, scope: "col", className: i < 2 ? "words" : "" })));
  const table = element("table", {}, element("thead", {}, heading), element("tbody", {}, ...rows));
  place.replaceChildren(element("div", { className: "scroll" }, table));
}

// The interval as a bar, the difference as a dot, and no difference as the line in the middle. Each figure has a
// scale of its own, up to the larger of its base and its interval.
function interval({ difference, base, change: answer }, low, high) {
  const make = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const most = Math.max(Math.abs(low), Math.abs(high), Math.min(Math.abs(base), 2 * Math.abs(difference))) || 1;
  const x = (value) => 100 + (95 * value) / most;
  const picture = make("svg", { viewBox: "0 0 200 16", class: "interval", "aria-hidden": "true" });
  picture.style.color = `var(--${CHANGE_INKS[answer] || "muted"})`;
  picture.append(
    make("line", { x1: 100, x2: 100, y1: 0, y2: 16, class: "none" }),
    make("line", { x1: x(low), x2: x(high), y1: 8, y2: 8, class: "bar" }),
    make("circle", { cx: x(difference), cy: 8, r: 4 }),
  );
  return picture;
}
