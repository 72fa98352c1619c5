/** Making elements. Text is only ever set as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";
/** Labels of words: what they are written in, and most characters that are shown. */
const FONT = "13px system-ui, sans-serif";
const LONGEST = 18;

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
function shortened(text) {
  const graphemes = [...new Intl.Segmenter().segment(text)];
  return graphemes.length <= LONGEST ? text : `${graphemes.slice(0, LONGEST - 1).map((part) => part.segment).join("")}…`;
}

/** A word in a drawing, cut if it is long, with the whole as its title. */
export function wordLabel(word, attributes) {
  return svg("text", attributes, svg("title", {}, word), shortened(word));
}

/** Pixels that the widest label takes. */
export function widest(words) {
  return Math.max(0, ...words.map((word) => textWidth(shortened(word), FONT)));
}

/** A key press to a move [down, right], or null. */
export function moveOf(event) {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  return event.altKey || event.ctrlKey || event.metaKey ? null : (moves[event.key] ?? null);
}

export function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
