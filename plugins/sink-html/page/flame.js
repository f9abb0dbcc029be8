"use strict";
// The flame graph: a frame for each function, below the one that has called it, and a table of the same stacks.

const FRAME_HEIGHT = 19;
// A frame that would be narrower than this is not drawn, in pixels.
const LEAST_WIDTH = 2;
const FIRST_STACKS = 25;
// Of a path in the table so many functions, the innermost.
const PATH_FRAMES = 12;

class FlameGraph {
  constructor(section, data) {
    this.weights = new StackWeights(data);
    this.section = section;
    this.figure = section.querySelector("figure");
    this.frames = section.querySelector(".frames");
    this.view = null;
    this.text = "";
    this.focus = 0;
    this.current = 0;
    this.shownStacks = FIRST_STACKS;
    this.controls();
    this.listen();
    this.update();
  }

  find(id) {
    return this.section.querySelector(`#flame-${id}`);
  }

  // What grew, if anything did: that is where a leak is.
  controls() {
    const { weights } = this;
    const grew = (choice) => choice !== "grown" || weights.tree(choice, null, weights.hasBase(choice)).nodes[0].weight > 0;
    const options = weights.choices.map((value) => element("option", { value, textContent: STACK_WEIGHTS[value].option }));
    this.find("weight").replaceChildren(...options);
    this.choice = weights.choices.find(grew);
    this.find("weight").value = this.choice;
    this.comparisons();
  }

  // What colours and growth are against.
  comparisons() {
    const within = this.choice === "samples" ? "the first half" : "the start";
    const names = this.weights.hasBase(this.choice) ? [["base", "the base"], ["self", within]] : [["self", within]];
    this.find("against").replaceChildren(...names.map(([value, textContent]) => element("option", { value, textContent })));
    this.againstBase = names[0][0] === "base";
  }

  listen() {
    const on = (id, kind, act) => this.find(id).addEventListener(kind, () => act(this.find(id).value));
    on("weight", "change", (value) => {
      this.choice = value;
      this.comparisons();
      this.update();
    });
    on("against", "change", (value) => {
      this.againstBase = value === "base";
      this.update();
    });
    on("search", "input", (value) => {
      this.text = value.toLowerCase();
      this.update();
    });
    on("whole", "click", () => this.zoom(0));
    on("more", "click", () => {
      this.shownStacks = Infinity;
      this.table();
    });
    const nodeOf = (event) => event.target.dataset.node;
    this.frames.addEventListener("click", (event) => nodeOf(event) && this.zoom(Number(nodeOf(event))));
    this.frames.addEventListener("mouseover", (event) => nodeOf(event) && this.read(Number(nodeOf(event))));
    this.frames.addEventListener("mouseleave", () => this.read(this.current));
    this.figure.addEventListener("focus", () => this.select(this.current));
    this.figure.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.target !== this.figure || event.ctrlKey || event.altKey || event.metaKey) return;
    const { current, weights } = this;
    const [firstChild] = this.shownChildren(current);
    const siblings = current === 0 ? [0] : this.shownChildren(weights.parent(current));
    const place = siblings.indexOf(current);
    const acts = {
      ArrowDown: () => this.select(firstChild ?? current),
      ArrowUp: () => this.select(weights.parent(current)),
      ArrowRight: () => this.select(siblings[Math.min(place + 1, siblings.length - 1)]),
      ArrowLeft: () => this.select(siblings[Math.max(place - 1, 0)]),
      Enter: () => this.zoom(current),
      Backspace: () => this.zoom(weights.parent(this.focus)),
      Escape: () => this.zoom(0),
      0: () => this.zoom(0),
    };
    if (!(event.key in acts)) return;
    event.preventDefault();
    acts[event.key]();
  }

  // A part of the run is shown; null if it is all of it.
  show(view) {
    this.view = view;
    this.update();
  }

  // Everything from the weights on.
  update() {
    const { choice, weights } = this;
    this.tree = weights.tree(choice, this.view, this.againstBase);
    const matches = this.text === "" ? [] : this.tree.nodes.map((_, node) => node > 0 && weights.name(node).toLowerCase().includes(this.text));
    this.matches = matches;
    this.note();
    this.found();
    this.draw();
    this.table();
    this.read(this.current);
  }

  amount(value) {
    return amount(value, this.weights.unit(this.choice));
  }

  share(weight) {
    const [all] = this.tree.nodes;
    return all.weight > 0 ? `${figures((100 * weight) / all.weight)} %` : "none";
  }

  // What is wide, and over which time.
  note() {
    const { choice, weights } = this;
    const { says, graph } = STACK_WEIGHTS[choice];
    const { base, leftOut } = weights.graphs[graph];
    const [from, to] = weights.times(weights.binsOf(choice, this.view)).map(duration);
    const isJudged = this.view === null && graph === "mapped" && weights.isJudged;
    const isLevel = choice === "held" || (choice === "grown" && this.againstBase);
    const when = isLevel ? `at ${to}` : `from ${from} to ${to}${isJudged ? " (the judged span)" : ""}`;
    const more = choice === "grown" && this.againstBase ? "address space that is more than in the base" : says;
    const sentences = [`Width: ${more}, ${when}: ${this.amount(this.tree.nodes[0].weight)} in all.`];
    if (this.againstBase) sentences.push(`The base is ${base.runs === 1 ? "one run" : `the mean of ${base.runs} runs`}, ${graph === "mapped" ? "as it was at its end" : "as a whole"}.`);
    else if (weights.isCompared && base === null) sentences.push("The base has no such stacks.");
    if (leftOut > 0) sentences.push(`${leftOut} smaller stacks are one frame.`);
    if (choice === "samples") sentences.push("Samples show where threads were, not who takes memory.");
    this.find("note").textContent = sentences.join(" ");
    this.legend();
  }

  legend() {
    const words = this.choice === "samples" ? ["a larger share than", "a smaller share than"] : ["more than", "less than"];
    const entry = (className, text) => element("li", {}, element("span", { className: `swatch ${className}` }), text);
    this.section.querySelector(".legend").replaceChildren(
      entry("grew", `${words[0]} ${this.than()}, the stronger the more`),
      entry("shrank", `${words[1]} ${this.than()}`),
      entry("same", this.choice === "samples" ? "alike, or the difference may be chance" : "as much"),
    );
  }

  // How much of all the functions that match are or have called: of nested ones the outermost counts.
  found() {
    const { matches, weights, tree } = this;
    let [count, weight] = [0, 0];
    const walk = [0];
    while (walk.length > 0) {
      const node = walk.pop();
      if (matches[node]) {
        weight += tree.nodes[node].weight;
        count += tree.nodes[node].weight > 0 ? 1 : 0;
      } else walk.push(...weights.children[node]);
    }
    const says = count === 0 ? "nothing found" : `found in ${this.share(weight)}`;
    this.find("found").textContent = this.text === "" ? "" : says;
  }

  // The heaviest first.
  shownChildren(node) {
    const { nodes } = this.tree;
    const children = this.weights.children[node].filter((child) => nodes[child].weight > 0);
    return children.sort((a, b) => nodes[b].weight - nodes[a].weight || a - b);
  }

  zoom(node) {
    this.focus = node;
    this.current = node;
    this.draw();
    this.table();
    this.read(node);
  }

  draw() {
    const { nodes } = this.tree;
    const least = (100 * LEAST_WIDTH) / Math.max(this.frames.clientWidth, 1);
    const path = [0, ...this.weights.path(this.focus)];
    const made = path.map((node, depth) => this.frame(node, depth, 0, 100));
    let deepest = path.length - 1;
    let narrow = 0;
    const walk = nodes[this.focus].weight > 0 ? [[this.focus, path.length - 1, 0, 100]] : [];
    while (walk.length > 0) {
      const [node, depth, left, width] = walk.pop();
      let at = left;
      for (const child of this.shownChildren(node)) {
        const part = (width * nodes[child].weight) / nodes[node].weight;
        if (part >= least) {
          made.push(this.frame(child, depth + 1, at, part));
          walk.push([child, depth + 1, at, part]);
          deepest = Math.max(deepest, depth + 1);
        } else narrow += 1;
        at += part;
      }
    }
    this.frames.style.height = `${(deepest + 1) * FRAME_HEIGHT}px`;
    this.frames.replaceChildren(...made);
    this.find("narrow").textContent = narrow === 0 ? "" : `${narrow} frames are too narrow to be drawn: zoom in.`;
    this.find("whole").hidden = this.focus === 0;
  }

  frame(node, depth, left, width) {
    const { strength } = this.tree.nodes[node];
    const isFaded = this.text !== "" && !this.matches[node];
    const names = ["frame", strength > 0 ? "grew" : strength < 0 ? "shrank" : "same"];
    if (this.matches[node]) names.push("match");
    if (isFaded) names.push("other");
    if (node === this.current) names.push("current");
    const made = element("div", { className: names.join(" "), textContent: this.weights.name(node) });
    made.dataset.node = node;
    made.style.left = `${left}%`;
    made.style.width = `${width}%`;
    made.style.top = `${depth * FRAME_HEIGHT}px`;
    // Text stays legible on the strongest colour, and the weakest is still a hue.
    made.style.setProperty("--much", `${Math.round(8 + 44 * Math.abs(strength))}%`);
    return made;
  }

  // The keyboard is at a frame.
  select(node) {
    this.current = node;
    for (const frame of this.frames.children) frame.classList.toggle("current", frame.dataset.node === String(node));
    this.frames.querySelector(".current")?.scrollIntoView({ block: "nearest" });
    this.read(node);
  }

  read(node) {
    this.section.querySelector(".readout").textContent = `${this.weights.name(node)}: ${this.figuresOf(this.tree.nodes[node])}`;
  }

  figuresOf({ weight, now, before, change: difference }) {
    const share = this.share(weight);
    const [all] = this.tree.nodes;
    if (this.choice === "samples") {
      const [here, there] = [this.percent(now, all.now), this.percent(before, all.before)];
      const halves = this.againstBase ? `; ${there} in the base` : `; ${there} of the first half, ${here} of the second`;
      const isChance = difference === null && here !== there;
      return `${weight} samples, ${share}${halves}${isChance ? ", which may be chance" : ""}`;
    }
    const grown = this.choice === "grown" ? " grown" : "";
    return `${this.amount(weight)}${grown}, ${share}; ${this.amount(before)} ${this.than()}, ${this.amount(now)} at the end (${change(difference, "bytes")})`;
  }

  // What the colours compare with.
  than() {
    if (this.againstBase) return "in the base";
    return this.choice === "samples" ? "in the first half" : "at the start";
  }

  percent(part, all) {
    return all > 0 ? `${figures((100 * part) / all)} %` : "none";
  }

  // The stacks that are in the graph as it is zoomed and searched.
  table() {
    const { weights, focus, matches } = this;
    const isShown = ({ node, weight, now, before }) => {
      const path = weights.path(node);
      const isFound = this.text === "" || path.some((it) => matches[it]);
      return (weight > 0 || now !== before) && (focus === 0 || path.includes(focus)) && isFound;
    };
    const stacks = this.tree.stacks.filter(isShown).sort((a, b) => b.weight - a.weight || Math.abs(b.now - b.before) - Math.abs(a.now - a.before));
    const isBytes = this.choice !== "samples";
    const than = this.againstBase ? "base" : isBytes ? "at the start" : "first half";
    const titles = ["stack", STACK_WEIGHTS[this.choice].option, "share", than, isBytes || this.againstBase ? "at the end" : "second half"];
    if (!isBytes && this.againstBase) titles.splice(3, 2, "share in the base");
    const table = this.section.querySelector("table");
    table.tHead.replaceChildren(element("tr", {}, ...titles.map((textContent, place) => element("th", { textContent, scope: "col", className: place > 2 ? WIDE_ONLY : "" }))));
    table.tBodies[0].replaceChildren(...stacks.slice(0, this.shownStacks).map((stack) => this.row(stack, titles.length)));
    this.find("more").hidden = stacks.length <= this.shownStacks;
    this.find("more").textContent = `Show all ${stacks.length} stacks`;
  }

  row(stack, columns) {
    const path = this.weights.path(stack.node).map((node) => this.weights.name(node));
    const [inner] = path.slice(-1);
    const callers = path.slice(0, -1).slice(-PATH_FRAMES).reverse();
    const more = path.length - 1 > PATH_FRAMES ? " ← …" : "";
    const from = callers.length > 0 ? `← ${callers.join(" ← ")}${more}` : "";
    const name = element("td", { className: "name", textContent: inner }, element("span", { className: "note", textContent: from }));
    const isShares = columns === 4;
    const [all] = this.tree.nodes;
    const rest = isShares ? [this.percent(stack.before, all.before)] : [this.amount(stack.before), this.amount(stack.now)];
    const cells = [this.amount(stack.weight), this.share(stack.weight), ...rest];
    return element("tr", {}, name, ...cells.map((textContent, place) => element("td", { textContent, className: place > 1 ? WIDE_ONLY : "" })));
  }

  // Colours are those of the style at any time; what is too narrow depends on the width.
  redraw() {}

  resize() {
    this.draw();
  }
}
