/** The chosen head as lines between two columns of words: what looks on the right, what is looked at on the left. */

import { svg, widest, wordLabel } from "./dom.mjs";
import { KINDS } from "./model.mjs";

const ROW = 24;
const HEAD = 30;
const PAD = 8;

export function linesView(holder, { onPoint, onPin }) {
  let view = null;
  let lines = [];
  let labels = { row: [], column: [] };

  function draw(next, { threshold }) {
    view = next;
    const { rows, columns, values } = view.matrix;
    const names = KINDS[view.kind];
    const left = Math.max(40, widest([...view.columnLabels, names.columns])) + 2 * PAD;
    const right = Math.max(40, widest([...view.rowLabels, names.rows])) + 2 * PAD;
    const width = Math.max(left + right + 70, Math.min(holder.clientWidth, left + right + 240));
    const height = HEAD + ROW * Math.max(rows, columns);
    const linked = new Set(view.links.map(([row, column]) => row * columns + column));
    lines = [];
    const group = svg("g", { class: "lines" });
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const weight = values[row * columns + column];
        if (weight < threshold || weight < 0.004) continue;
        const [y0, y1] = [HEAD + ROW * (column + 0.5), HEAD + ROW * (row + 0.5)];
        const bend = (width - left - right) / 2;
        const path = svg("path", {
          d: `M${left} ${y0}C${left + bend} ${y0} ${width - right - bend} ${y1} ${width - right} ${y1}`,
          "stroke-opacity": Math.max(weight, 0.04).toFixed(3),
          "stroke-width": (0.8 + 3.2 * weight).toFixed(2),
          class: linked.has(row * columns + column) ? "link" : "",
        });
        lines.push({ row, column, path });
        group.append(path);
      }
    }
    labels = {
      column: view.columnLabels.map((label, column) => labelAt(label, left - PAD, column, "end", { "data-column": column })),
      row: view.rowLabels.map((label, row) => labelAt(label, width - right + PAD, row, "start", { "data-row": row })),
    };
    holder.replaceChildren(
      svg(
        "svg",
        { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
        svg("text", { class: "head", x: left - PAD, y: 14, "text-anchor": "end" }, names.columns),
        svg("text", { class: "head", x: width - right + PAD, y: 14 }, names.rows),
        group, ...labels.column, ...labels.row,
      ),
    );
    light(null);
  }

  /** Bring out the lines of a row, of a column, or the one between both. */
  function light(point) {
    holder.classList.toggle("lighting", point !== null);
    const row = point?.row ?? null;
    const column = point?.column ?? null;
    for (const line of lines) {
      const exact = line.row === row && line.column === column;
      line.path.classList.toggle("lit", line.row === row || line.column === column);
      line.path.classList.toggle("exact", exact);
    }
    labels.row.forEach((label, i) => label.classList.toggle("lit", i === row));
    labels.column.forEach((label, j) => label.classList.toggle("lit", j === column));
  }

  holder.addEventListener("pointermove", (event) => onPoint(pointAt(event)));
  holder.addEventListener("pointerleave", () => onPoint(null));
  holder.addEventListener("click", (event) => {
    const point = pointAt(event);
    if (point) onPin(point);
  });

  return { draw, light };
}

function pointAt(event) {
  const label = event.target.closest?.("text[data-row], text[data-column]");
  if (!label) return null;
  if (label.dataset.row !== undefined) return { row: Number(label.dataset.row), column: null };
  return { row: null, column: Number(label.dataset.column) };
}

function labelAt(label, x, position, anchor, data) {
  const place = { x, y: HEAD + ROW * (position + 0.5), "text-anchor": anchor, "dominant-baseline": "central" };
  return wordLabel(label, { ...place, ...data });
}
