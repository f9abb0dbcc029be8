"use strict";
// What stacks weigh in a part of the run: the figures of the flame graph and of its table.

// What can weigh: how it is chosen, and in a sentence.
const STACK_WEIGHTS = {
  grown: { graph: "mapped", option: "bytes grown", says: "address space grown" },
  held: { graph: "mapped", option: "bytes mapped at the end", says: "address space mapped" },
  samples: { graph: "samples", option: "samples", says: "samples of threads" },
};

// A difference of two shares of samples that is less than this many standard errors may be chance.
const SURE_ERRORS = 3;

function standardError(share, ...counts) {
  return Math.sqrt(share * (1 - share) * counts.reduce((sum, count) => sum + 1 / count, 0));
}

class StackWeights {
  constructor({ stacks, judged, curve, compared }) {
    this.data = stacks;
    this.end = curve.end;
    // Bytes grow over the judged span, as parts do; samples are of the whole run.
    this.spans = { mapped: judged || [0, curve.end], samples: [0, curve.end] };
    this.isJudged = judged !== null;
    this.isCompared = compared !== null;
    this.graphs = Object.fromEntries(stacks.graphs.map((graph) => [graph.weight, graph]));
    this.choices = Object.keys(STACK_WEIGHTS).filter((choice) => STACK_WEIGHTS[choice].graph in this.graphs);
    this.children = stacks.nodes.map(() => []);
    stacks.nodes.forEach(([parent], node) => node > 0 && this.children[parent].push(node));
    this.series = new Map();
  }

  name(node) {
    return this.data.names[this.data.nodes[node][1]];
  }

  parent(node) {
    return this.data.nodes[node][0];
  }

  // From the outermost function to this one.
  path(node) {
    const path = [];
    for (let at = node; at > 0; at = this.parent(at)) path.unshift(at);
    return path;
  }

  hasBase(choice) {
    return this.graphs[STACK_WEIGHTS[choice].graph].base !== null;
  }

  unit(choice) {
    return choice === "samples" ? "count" : "bytes";
  }

  // The value of each bin; of bytes at its end.
  values(stack, isHeld) {
    if (!this.series.has(stack)) {
      const values = new Array(this.data.bins).fill(0);
      const [, changes] = stack;
      for (let i = 0; i < changes.length; i += 2) {
        if (isHeld) values.fill(changes[i + 1], changes[i]);
        else values[changes[i]] = changes[i + 1];
      }
      this.series.set(stack, values);
    }
    return this.series.get(stack);
  }

  // The bins of a part of the run, from the first up to the one before the last. Growth begins at the end of the
  // first bin of the run: what a program maps while it starts is no growth.
  binsOf(choice, view) {
    const { width, bins } = this.data;
    const { graph } = STACK_WEIGHTS[choice];
    const [from, to] = view || this.spans[graph];
    const least = graph === "mapped" ? Math.min(1, bins - 1) : 0;
    const first = Math.min(Math.max(Math.round(from / width), least), bins - 1);
    return [first, Math.min(Math.max(Math.round(to / width), first + 1), bins)];
  }

  // From when to when they are.
  times([first, last]) {
    return [first * this.data.width, Math.min(last * this.data.width, this.end)];
  }

  // What each stack weighs: `weight` is the width of its frame, `now` and `before` are what its colour compares.
  weigh(choice, view, againstBase) {
    const [first, last] = this.binsOf(choice, view);
    const graph = this.graphs[STACK_WEIGHTS[choice].graph];
    const isHeld = graph.weight === "mapped";
    const sum = (values, from, to) => values.slice(from, to).reduce((all, value) => all + value, 0);
    return graph.stacks.map((stack) => {
      const [node, , base = 0] = stack;
      const values = this.values(stack, isHeld);
      if (isHeld) {
        const now = values[last - 1];
        const before = againstBase ? base : first > 0 ? values[first - 1] : 0;
        return { node, now, before, weight: choice === "grown" ? Math.max(now - before, 0) : now };
      }
      const middle = (first + last) >> 1;
      const all = sum(values, first, last);
      if (againstBase) return { node, now: all, before: base * graph.base.total, weight: all };
      return { node, now: sum(values, middle, last), before: sum(values, first, middle), weight: all };
    });
  }

  // The sums of all nodes.
  tree(choice, view, againstBase) {
    const stacks = this.weigh(choice, view, againstBase);
    const nodes = this.data.nodes.map(() => ({ weight: 0, now: 0, before: 0 }));
    const add = (to, { weight, now, before }) => {
      to.weight += weight;
      to.now += now;
      to.before += before;
    };
    stacks.forEach((stack) => add(nodes[stack.node], stack));
    // A parent stands before its children.
    for (let node = nodes.length - 1; node > 0; node--) add(nodes[this.parent(node)], nodes[node]);
    const [all] = nodes;
    nodes.forEach((node) => {
      node.change = choice === "samples" ? this.shareChange(node, all) : node.now - node.before;
      const larger = choice === "samples" ? Math.max(node.now / all.now, node.before / all.before) : Math.max(node.now, node.before);
      // How strong its colour is, from -1 to 1.
      node.strength = node.change === null || !(larger > 0) ? 0 : Math.max(-1, Math.min(node.change / larger, 1));
    });
    return { nodes, stacks };
  }

  // By how much the share of samples has changed; null if that is not known, or may be chance.
  shareChange({ now, before }, all) {
    if (all.now < 1 || all.before < 1) return null;
    const change = now / all.now - before / all.before;
    const share = (now + before) / (all.now + all.before);
    const isSure = Math.abs(change) > SURE_ERRORS * standardError(share, all.now, all.before);
    return isSure ? change : null;
  }
}

// The stacks as folded lines, as the sink `stacks` writes them: of the whole run.
function foldedStacks(weights) {
  const graph = weights.graphs.mapped || weights.graphs.samples;
  const isHeld = graph.weight === "mapped";
  const lines = graph.stacks.map((stack) => {
    const values = weights.values(stack, isHeld);
    const total = isHeld ? values[values.length - 1] : values.reduce((sum, value) => sum + value, 0);
    const names = weights.path(stack[0]).map((node) => weights.name(node).replaceAll(";", ":"));
    return [names.join(";"), total];
  });
  return lines.filter(([, total]) => total > 0).map(([names, total]) => `${names} ${total}\n`).join("");
}
