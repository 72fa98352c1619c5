/** Beam search as a tree: every hypothesis that it held, with scores and why it ended. */

import { html, moveOf, svg, textWidth } from "../inspection/explorer/dom.mjs";
import { pieceLabel } from "../inspection/explorer/model.mjs";

const FONT = "13px system-ui, sans-serif";
const ROW = 26;
const GAP = 26;
const PAD = 7;

/** @param onChoose called with the pieces of a hypothesis that the reader wants the translation to begin with */
export function treeView(holder, readout, { onChoose }) {
  function draw(tree, beam) {
    const { places, rows, columns } = layoutOf(tree);
    const best = Math.max(0, tree.findIndex(({ rank }) => rank === 0));
    let tapped = null;
    const width = columns.at(-1).x + columns.at(-1).width + 2;
    const lines = tree.map((node, number) => (node.parent < 0 ? null : edge(places[node.parent], places[number], columns)));
    const groups = tree.map((node, number) => {
      const { column, y } = places[number];
      const { x, width: room } = columns[column];
      const text = fateOf(tree, number, beam);
      const kind = node.rank === 0 ? "best" : node.fate;
      return svg("g", {
        class: `node ${kind}`, tabindex: number === best ? 0 : -1, role: "button", "aria-label": text, "data-node": number,
        onpointerenter: () => light(number), onfocus: () => light(number), onpointerleave: () => light(null), onblur: () => light(null),
        onclick: (event) => (event.pointerType === "touch" && tapped !== number ? tap(number) : choose(number)),
        onkeydown: (event) => {
          const move = moveOf(event);
          if (!move && event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          if (move) groups[neighbour(tree, places, number, move)]?.focus();
          else choose(number);
        },
      }, svg("rect", { x, y, width: room, height: ROW - 6, rx: 5 }), svg("text", { x: x + room / 2, y: y + ROW / 2 - 3, "text-anchor": "middle", "dominant-baseline": "central" }, pieceLabel(node.piece)));
    });

    function light(number) {
      const path = new Set(number === null ? [] : pathTo(tree, number));
      groups.forEach((group, one) => group.classList.toggle("lit", path.has(one)));
      lines.forEach((line, one) => line?.classList.toggle("lit", path.has(one)));
      readout.textContent = number === null ? hint(beam) : fateOf(tree, number, beam);
    }

    /** A finger cannot point: its first tap shows what a pointer would, its second chooses. */
    function tap(number) {
      tapped = number;
      light(number);
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
  const held = beam === 1 ? "the best beginning" : `the ${beam} best beginnings`;
  return `Each column is one step and shows ${held} kept by the search. Point at one, or use the arrow keys, to see its score and what became of it; click it to make the translation begin with it.`;
}

/**
 * A node's column and height: a parent stands beside its best child, children in order of their scores, each as high as the
 * ones before it let all of its own stand.
 */
function layoutOf(tree) {
  const places = tree.map(() => null);
  tree.forEach(({ parent }, number) => { places[number] = { column: parent < 0 ? 0 : places[parent].column + 1, y: 0 }; });
  const children = tree.map(() => []);
  tree.forEach(({ parent }, number) => parent >= 0 && children[parent].push(number));
  const shapes = tree.map(() => null);
  for (let number = tree.length - 1; number >= 0; number -= 1) { // each after its children
    const best = children[number].toSorted((a, b) => tree[b].logProbability - tree[a].logProbability);
    shapes[number] = shapeOf(number, places[number].column, best.map((child) => shapes[child]));
  }
  for (const [number, row] of shapes[0].rows) places[number].y = row * ROW;
  const rows = Math.max(...shapes[0].bottoms.values()) + 1;
  const columns = [];
  tree.forEach(({ piece }, number) => {
    const { column } = places[number];
    columns[column] ??= { width: 0 };
    columns[column].width = Math.max(columns[column].width, Math.ceil(textWidth(pieceLabel(piece), FONT)) + 2 * PAD);
  });
  let x = 1;
  for (const column of columns) {
    column.x = x;
    x += column.width + GAP;
  }
  return { places, rows, columns };
}

/** A node over its children's shapes: {rows, [[node, row]] from its own row 0 on; tops and bottoms, by column}. */
function shapeOf(number, column, children) {
  const [rows, tops, bottoms] = [[[number, 0]], new Map([[column, 0]]), new Map([[column, 0]])];
  children.forEach((child, place) => {
    const free = [...child.tops].map(([at, top]) => (bottoms.get(at) ?? -1) + 1 - top);
    const down = place === 0 ? 0 : Math.max(1, ...free);
    for (const [node, row] of child.rows) rows.push([node, row + down]);
    for (const [at, top] of child.tops) tops.set(at, Math.min(tops.get(at) ?? Infinity, top + down));
    for (const [at, bottom] of child.bottoms) bottoms.set(at, Math.max(bottoms.get(at) ?? 0, bottom + down));
  });
  return { rows, tops, bottoms };
}

/** The node that an arrow key goes to: the parent, the best child, or the next in the column. */
function neighbour(tree, places, number, [down, right]) {
  if (right < 0) return tree[number].parent;
  const column = places[number].column + right;
  const there = tree.map((_, one) => one)
    .filter((one) => places[one].column === column && (right === 0 || tree[one].parent === number))
    .toSorted((a, b) => places[a].y - places[b].y);
  return there[right > 0 ? 0 : there.indexOf(number) + down];
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
  const text = pathTo(tree, number).slice(1).map((one) => pieceLabel(tree[one].piece)).join("").replaceAll("▁", " ").trim();
  const numbers = `log-probability ${logProbability.toFixed(2)}, score ${score.toFixed(3)}`;
  if (number === 0) return "<s>, from which every hypothesis grows";
  const reasons = {
    grew: "it was extended",
    finished: rank === null ? "finished, but pushed out by better ones" : `finished, number ${rank + 1} of the finished`,
    pruned: `it ended here: none of its continuations were among the best ${beam === 1 ? "one" : beam}`,
    stopped: "still alive when the search ended: it could no longer win, or enough hypotheses had finished",
  };
  return `“${text}”: ${numbers}; ${reasons[fate]}.`;
}

/** What the tree's colours mean. */
export function treeLegend() {
  const names = { best: "the translation", finished: "finished", grew: "went on", pruned: "pruned", stopped: "alive at the end" };
  return Object.entries(names).map(([kind, name]) => html("span", { class: `fate ${kind}` }, name));
}
