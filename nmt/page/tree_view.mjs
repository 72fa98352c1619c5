/** Beam search as a tree: every hypothesis that it held, with scores and why it ended. */

import { html, svg, textWidth } from "../inspection/explorer/dom.mjs";

const FONT = "13px system-ui, sans-serif";
const ROW = 26;
const GAP = 26;
const PAD = 7;

/** @param onChoose called with the pieces of a hypothesis that the reader wants the translation to begin with */
export function treeView(holder, readout, { onChoose }) {
  function draw(tree, beam) {
    const { places, rows, columns } = layoutOf(tree);
    const width = columns.at(-1).x + columns.at(-1).width + 2;
    const lines = tree.map((node, number) => (node.parent < 0 ? null : edge(places[node.parent], places[number], columns)));
    const groups = tree.map((node, number) => {
      const { column, y } = places[number];
      const { x, width: room } = columns[column];
      const text = fateOf(tree, number, beam);
      const kind = node.rank === 0 ? "best" : node.fate;
      return svg("g", {
        class: `node ${kind}`, tabindex: 0, role: "button", "aria-label": text, "data-node": number,
        onpointerenter: () => light(number), onfocus: () => light(number), onpointerleave: () => light(null), onblur: () => light(null),
        onclick: () => choose(number),
        onkeydown: (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          choose(number);
        },
      }, svg("rect", { x, y, width: room, height: ROW - 6, rx: 5 }), svg("text", { x: x + room / 2, y: y + ROW / 2 - 3, "text-anchor": "middle", "dominant-baseline": "central" }, node.piece));
    });

    function light(number) {
      const path = new Set(number === null ? [] : pathTo(tree, number));
      groups.forEach((group, one) => group.classList.toggle("lit", path.has(one)));
      lines.forEach((line, one) => line?.classList.toggle("lit", path.has(one)));
      readout.textContent = number === null ? hint(beam) : fateOf(tree, number, beam);
    }

    function choose(number) {
      const pieces = pathTo(tree, number).slice(1).map((one) => tree[one].piece);
      onChoose(pieces);
    }

    holder.replaceChildren(
      svg("svg", { width, height: rows * ROW + 2, viewBox: `0 0 ${width} ${rows * ROW + 2}`, role: "group", "aria-label": "beam search as a tree" },
        svg("g", { class: "edges" }, ...lines.filter(Boolean)), ...groups),
    );
    light(null);
  }

  return { draw };
}

function hint(beam) {
  return `Each column is a step, with the ${beam} best beginnings that the search held. Point at one to see its score and why it ended; click, and the translation begins with it.`;
}

/** A node's column and height; a parent stands beside its best child, children in order of their scores. */
function layoutOf(tree) {
  const children = tree.map(() => []);
  tree.forEach(({ parent }, number) => parent >= 0 && children[parent].push(number));
  for (const own of children) own.sort((a, b) => tree[b].logProbability - tree[a].logProbability);
  const places = tree.map(() => null);
  let rows = 0;
  const stack = [[0, 0]];
  while (stack.length > 0) {
    const [number, column] = stack.pop();
    places[number] = { column, y: rows * ROW };
    if (children[number].length === 0) rows += 1;
    stack.push(...children[number].toReversed().map((child) => [child, column + 1]));
  }
  const columns = [];
  tree.forEach(({ piece }, number) => {
    const { column } = places[number];
    columns[column] ??= { width: 0 };
    columns[column].width = Math.max(columns[column].width, Math.ceil(textWidth(piece, FONT)) + 2 * PAD);
  });
  let x = 1;
  for (const column of columns) {
    column.x = x;
    x += column.width + GAP;
  }
  return { places, rows, columns };
}

function edge(from, to, columns) {
  const [x0, x1] = [columns[from.column].x + columns[from.column].width, columns[to.column].x];
  const [y0, y1] = [from.y + ROW / 2 - 3, to.y + ROW / 2 - 3];
  return svg("path", { d: `M${x0} ${y0}C${x0 + GAP / 2} ${y0} ${x1 - GAP / 2} ${y1} ${x1} ${y1}` });
}

export function pathTo(tree, number) {
  const path = [];
  for (let node = number; node >= 0; node = tree[node].parent) path.unshift(node);
  return path;
}

/** A hypothesis in words: what it wrote, its scores, and why it grew no further. */
export function fateOf(tree, number, beam) {
  const { logProbability, score, fate, rank } = tree[number];
  const text = pathTo(tree, number).slice(1).map((one) => tree[one].piece).join("").replaceAll("▁", " ").trim();
  const numbers = `log-probability ${logProbability.toFixed(2)}, score ${score.toFixed(3)}`;
  if (number === 0) return "<s>, from which every hypothesis grows";
  const reasons = {
    grew: "it went on",
    finished: rank === null ? "finished, but better ones took its place" : `finished, number ${rank + 1} of the finished`,
    pruned: `it ended here: none of its continuations were among the best ${beam === 1 ? "one" : beam}`,
    stopped: "still alive when the search was over: it could not have won any more, or enough had finished",
  };
  return `“${text}”: ${numbers}; ${reasons[fate]}.`;
}

/** What the tree's colours mean. */
export function treeLegend() {
  const names = { best: "the translation", finished: "finished", grew: "went on", pruned: "pruned", stopped: "alive at the end" };
  return Object.entries(names).map(([kind, name]) => html("span", { class: `fate ${kind}` }, name));
}
