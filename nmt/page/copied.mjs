/** What is copied, not translated, as nmt/text/slots.py: emoji, links, addresses, #tags and @names. */

import { WORD } from "./words.mjs";

const SPACE = String.raw`\p{White_Space}`;
const EMOJI = String.raw`\p{Extended_Pictographic}\p{Emoji_Modifier}?\ufe0f?`;
const LETTER = String.raw`\p{L}`;
const COPIED = new RegExp(
  [
    `(?:https?://|www\\.)[^${SPACE}<>"“”«»]*[^${SPACE}<>"“”«».,;:!?)'’\\]]`, // a link, without the mark that ends the sentence
    `(?<![${WORD}.+\\-])[${WORD}.+\\-]+@[${WORD}\\-]+(?:\\.[${WORD}\\-]+)+`, // an e-mail address
    `(?<![${WORD}&])#[${WORD}]*${LETTER}[${WORD}]*`,
    `(?<![${WORD}.])@[${WORD}]+(?:\\.[${WORD}]+)*`,
    `(?:(?<![${WORD}])[0-9#*]\\ufe0f?\\u20e3|\\p{RI}\\p{RI}|${EMOJI}(?:\\u200d${EMOJI})*)+`, // keycaps, flags, other emoji
  ].join("|"),
  "gu",
);

/** First and one-past-last place of everything in `text` that is copied, in order. */
export function copiedSpans(text) {
  return Array.from(text.matchAll(COPIED), (match) => [match.index, match.index + match[0].length]);
}
