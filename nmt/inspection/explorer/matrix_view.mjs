/** The chosen head as a matrix: rows look, columns are looked at. */

import { clamp, moveOf, svg, widest, wordLabel } from "./dom.mjs";
import { readsRightToLeft } from "./model.mjs";
import { colourOf, formatWeight } from "./weights.mjs";

const SLANT = 60;
const PAD = 6;
/** With more columns than this the matrix takes the whole width, and smaller cells. */
const WIDE = 22;

/**
 * @param {HTMLElement} holder is focusable; arrow keys move through the cells, Enter pins.
 * @param onPoint called with {row, column} (either may be null) or null when the pointer or the focus moves.
 * @param onPin called with the same on a click or Enter.
 * @param onMove called with a row and a column when a cell of cross-attention is dragged to that column of its row.
 */
export function matrixView(holder, { onPoint, onPin, onMove = null }) {
  let view = null;
  let layout = null;
  let marks = null;
  let cursor = { row: 0, column: 0 };
  let dragged = null;

  function draw(next, { threshold, colours }) {
    view = next;
    holder.classList.toggle("wide", view.matrix.columns > WIDE);
    layout = layoutOf(view, holder.clientWidth);
    cursor = { row: clamp(cursor.row, 0, view.matrix.rows - 1), column: clamp(cursor.column, 0, view.matrix.columns - 1) };
    const { cell, left, top, width, height } = layout;
    const { rows, columns, values } = view.matrix;
    const cells = svg("g", { class: "cells" });
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const weight = values[row * columns + column];
        if (weight < threshold || weight === 0) continue;
        const place = { x: layout.x(column), y: layout.y(row), width: cell, height: cell };
        cells.append(svg("rect", { ...place, fill: colourOf(colours, weight), "data-row": row, "data-column": column }));
      }
    }
    const grid = svg("path", { class: "grid", d: gridPath(layout, rows, columns) });
    const links = svg("g", { class: "links" });
    for (const [row, column] of view.links) {
      const place = { x: layout.x(column) + 1, y: layout.y(row) + 1, width: cell - 2, height: cell - 2 };
      links.append(svg("rect", { ...place, "data-row": row, "data-column": column }));
    }
    for (const [row, column] of view.moved ?? []) {
      const place = { x: layout.x(column) + 1, y: layout.y(row) + 1, width: cell - 2, height: cell - 2 };
      cells.append(svg("rect", { ...place, class: "moved" }));
    }
    holder.classList.toggle("movable", Boolean(onMove) && view.kind === "cross");
    marks = {
      row: svg("rect", { class: "band", x: 0, width: left + columns * cell, height: cell }),
      column: svg("rect", { class: "band", y: 0, width: cell, height: top + rows * cell }),
      cell: svg("rect", { class: "cursor", width: cell, height: cell }),
      rowLabels: view.rowLabels.map((label, row) => rowLabel(layout, label, row, view.doubtful?.includes(row))),
      columnLabels: view.columnLabels.map((label, column) => columnLabel(layout, label, column)),
      links: [...links.children],
    };
    const paper = svg("rect", { class: "paper", x: left, y: top, width: columns * cell, height: rows * cell, fill: colourOf(colours, 0) });
    const picture = svg(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
      paper, cells, grid, links, marks.row, marks.column, marks.cell, ...marks.rowLabels, ...marks.columnLabels,
    );
    holder.replaceChildren(picture);
    holder.setAttribute("aria-label", `${view.title}: ${rows} rows, ${columns} columns. Arrow keys move, Enter pins.`);
    light(null);
  }

  /** Light up the row, the column and their links. */
  function light(point) {
    if (!marks) return;
    const row = point?.row ?? null;
    const column = point?.column ?? null;
    show(marks.row, row !== null, { y: layout.y(row ?? 0) });
    show(marks.column, column !== null, { x: layout.x(column ?? 0) });
    show(marks.cell, row !== null && column !== null, { x: layout.x(column ?? 0), y: layout.y(row ?? 0) });
    const lit = view.links.map(([i, j]) => i === row || j === column);
    marks.links.forEach((link, number) => link.classList.toggle("lit", lit[number]));
    marks.rowLabels.forEach((label, i) => {
      label.classList.toggle("lit", i === row);
      label.classList.toggle("linked", i !== row && view.links.some((link) => link[0] === i && link[1] === column));
    });
    marks.columnLabels.forEach((label, j) => {
      label.classList.toggle("lit", j === column);
      label.classList.toggle("linked", j !== column && view.links.some((link) => link[0] === row && link[1] === j));
    });
  }

  /** Where a cell is on the screen, for the tooltip. */
  function placeOf({ row, column }) {
    const box = holder.firstChild.getBoundingClientRect();
    return { x: box.left + layout.x(column) + layout.cell, y: box.top + layout.y(row) + layout.cell };
  }

  function pointAt(event) {
    const box = holder.firstChild.getBoundingClientRect();
    let column = Math.floor((event.clientX - box.left - layout.left) / layout.cell);
    const row = Math.floor((event.clientY - box.top - layout.top) / layout.cell);
    if (layout.mirrored) column = view.matrix.columns - 1 - column;
    const label = event.target.closest?.("text");
    if (label?.dataset.row !== undefined) return { row: Number(label.dataset.row), column: null };
    if (label?.dataset.column !== undefined) return { row: null, column: Number(label.dataset.column) };
    const inside = row >= 0 && row < view.matrix.rows && column >= 0 && column < view.matrix.columns;
    return inside ? { row, column } : null;
  }

  /** Where a drag of a cell has come to: its own row, whatever the pointer is on. */
  function draggedTo(event) {
    const box = holder.firstChild.getBoundingClientRect();
    const column = clamp(Math.floor((event.clientX - box.left - layout.left) / layout.cell), 0, view.matrix.columns - 1);
    return { row: dragged.row, column: layout.mirrored ? view.matrix.columns - 1 - column : column };
  }

  // Touch scrolls, so it does not drag.
  holder.addEventListener("pointerdown", (event) => {
    const point = onMove && view?.kind === "cross" && event.pointerType !== "touch" && event.button === 0 ? pointAt(event) : null;
    dragged = point && point.row !== null && point.column !== null ? point : null;
  });
  addEventListener("pointerup", (event) => {
    if (!dragged) return;
    const { row, column } = draggedTo(event);
    if (column !== dragged.column) onMove(row, column);
    else dragged = null;
  });
  addEventListener("click", () => { dragged = null; });
  holder.addEventListener("pointermove", (event) => onPoint(dragged && event.buttons ? draggedTo(event) : pointAt(event)));
  holder.addEventListener("pointerleave", () => onPoint(null));
  holder.addEventListener("click", (event) => {
    if (dragged) return;
    const point = pointAt(event);
    if (point && point.row !== null && point.column !== null) cursor = point;
    if (point) onPin(point);
  });
  holder.addEventListener("focus", () => {
    if (holder.matches(":focus-visible") && view.matrix.rows > 0) onPoint({ ...cursor });
  });
  holder.addEventListener("blur", () => onPoint(null));
  holder.addEventListener("keydown", (event) => {
    if (!view || view.matrix.rows === 0) return;
    const move = moveOf(event);
    if (move) {
      const right = layout.mirrored ? -move[1] : move[1];
      cursor = {
        row: clamp(cursor.row + move[0], 0, view.matrix.rows - 1),
        column: clamp(cursor.column + right, 0, view.matrix.columns - 1),
      };
    } else if (event.key === "Home" || event.key === "End") {
      cursor = { ...cursor, column: event.key === "Home" ? 0 : view.matrix.columns - 1 };
    } else if (event.key === "Enter" || event.key === " ") {
      onPin({ ...cursor });
      event.preventDefault();
      return;
    } else {
      return;
    }
    event.preventDefault();
    light(cursor);
    marks.cell.scrollIntoView({ block: "nearest", inline: "nearest" });
    onPoint({ ...cursor });
  });

  return { draw, light, placeOf };
}

function layoutOf(view, room) {
  const { rows, columns } = view.matrix;
  const left = Math.ceil(widest(view.rowLabels)) + 2 * PAD;
  const slanted = widest(view.columnLabels);
  const radians = (SLANT * Math.PI) / 180;
  const top = Math.ceil(slanted * Math.sin(radians)) + 2 * PAD + 6;
  const right = Math.ceil(slanted * Math.cos(radians));
  const cell = clamp(Math.floor((room - left - right) / Math.max(columns, 1)), columns > WIDE ? 14 : 18, 38);
  const mirrored = readsRightToLeft(view.columnLabels);
  return {
    cell, left, top, mirrored,
    width: left + columns * cell + right,
    height: top + rows * cell + 2,
    x: (column) => left + (mirrored ? columns - 1 - column : column) * cell,
    y: (row) => top + row * cell,
  };
}

function gridPath({ cell, left, top }, rows, columns) {
  let path = "";
  for (let row = 0; row <= rows; row += 1) path += `M${left} ${top + row * cell}h${columns * cell}`;
  for (let column = 0; column <= columns; column += 1) path += `M${left + column * cell} ${top}v${rows * cell}`;
  return path;
}

function rowLabel({ cell, left, y }, label, row, doubtful) {
  const place = { class: doubtful ? "doubtful" : "", x: left - PAD, y: y(row) + cell / 2, "text-anchor": "end", "dominant-baseline": "central" };
  return wordLabel(label, { ...place, "data-row": row });
}

function columnLabel({ cell, top, x }, label, column) {
  const transform = `translate(${x(column) + cell / 2 + 3} ${top - PAD}) rotate(${-SLANT})`;
  return wordLabel(label, { transform, "data-column": column });
}

function show(element, visible, attributes) {
  element.classList.toggle("hidden", !visible);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** The weight of a cell as text. */
export function weightText(view, row, column) {
  return formatWeight(view.matrix.values[row * view.matrix.columns + column]);
}
