/** Making elements. Text is only ever set as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

export function html(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const pen = document.createElement("canvas").getContext("2d");

/** Width of text in pixels. */
export function textWidth(text, font) {
  pen.font = font;
  return pen.measureText(text).width;
}

/** Text cut to a width in characters as people see them. */
export function shortened(text, length) {
  const graphemes = [...new Intl.Segmenter().segment(text)];
  return graphemes.length <= length ? text : `${graphemes.slice(0, length - 1).map((part) => part.segment).join("")}…`;
}

/** A key press to a move [down, right], or null. */
export function moveOf(event) {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  return event.altKey || event.ctrlKey || event.metaKey ? null : (moves[event.key] ?? null);
}

export function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
