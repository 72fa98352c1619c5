/** One form for what is typed in many, as nmt/text/typography.py: quotes, dashes, spaces, characters that nobody sees. */

const VARIANTS = { "'": "‘’‚‛′ʼ`´", '"': "“”„‟″«»", "-": "‐‑‒–—―−", " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000" };
/** Variants and the character that stands for them, one for one. */
export const PLAIN = new Map(Object.entries(VARIANTS).flatMap(([plain, all]) => [...all].map((variant) => [variant, plain])));
for (let code = 0; code < 160; code += 1) if (/[^\P{Cc}\t\n\r]/u.test(String.fromCharCode(code))) PLAIN.set(String.fromCharCode(code), " ");
/** Code between grave accents, which stays as it is. */
export const CODE = /(?<![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`])`[^`\n]+`(?![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`])/gu;
/** What ends a sentence. */
export const MARKS = ".!?…";
/** Marks without a space before them. */
export const AFTER_WORDS = `${MARKS},;:`;
export const INVISIBLE = /\ufe0e|[\ue000-\ue007\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g;

/**
 * The plain form of what lies outside `spans`, and for each of its UTF-16 units, and its end, the place in `text`. A span
 * between letters or digits leaves a space, so that it parts names and numbers; one before a mark leaves none.
 */
export function without(text, spans) {
  const inside = new Uint8Array(text.length);
  for (const { index } of text.matchAll(INVISIBLE)) inside[index] = 1;
  for (const [start, end] of spans) inside.fill(2, start, end);
  const code = new Set();
  for (const { 0: { length }, index } of text.matchAll(CODE)) for (let place = index; place < index + length; place += 1) code.add(place);
  const plainAt = (place) => (code.has(place) ? undefined : PLAIN.get(text[place]));
  let [plain, parted] = ["", false];
  const places = [];
  for (let place = 0; place < text.length; place += 1) {
    if (inside[place]) {
      parted ||= inside[place] === 2;
      continue;
    }
    if (parted && /[\p{L}\p{N}] *$/u.test(plain) && /^[\p{L}\p{N}]/u.test(plainAt(place) ?? text.slice(place, place + 2))) {
      plain += " ";
      places.push(place);
    }
    if (parted && AFTER_WORDS.includes(text[place]) && plain.endsWith(" ")) {
      plain = plain.slice(0, -1);
      places.pop();
    }
    plain += plainAt(place) ?? text[place];
    places.push(place);
    parted = false;
  }
  return { plain, places: [...places, text.length] };
}
