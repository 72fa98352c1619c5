/** What is copied, not translated, as nmt/text/copied.py: links, addresses, emoji, tags, brackets, list markers. */

import { without } from "./typography.mjs";
import { WORD } from "./words.mjs";

const SPACE = String.raw`\p{White_Space}`;
const EMOJI = String.raw`\p{Extended_Pictographic}\p{Emoji_Modifier}?\ufe0f?`;
const LETTER = String.raw`\p{L}`;
const SYMBOL = String.raw`[\p{Ps}\p{Pe}\p{S}&/\\*#•·§]`;
/** A telephone number with a part in brackets: slots.mjs treats it as a number. */
export const PHONE = String.raw`(?<![${WORD}.,])(?:\+?\p{Nd}{1,3} ?)?\(\p{Nd}{2,4}\) ?\p{Nd}[\p{Nd} .\-]*\p{Nd}(?![${WORD}])`;
const FILES = (
  "txt|pdf|docx?|xlsx?|pptx?|csv|tsv|json|xml|html?|css|py|js|md|ya?ml|toml|jpe?g|png|gif|svg|mp[34]|zip|gz|exe|" +
  "com|org|net|edu|io|uk|es|eu|info"
).replace(/[a-z]/g, anyCase);
const RAISED = String.raw`\u00b2\u00b3\u00b9\u2070\u2074-\u2079`;
const LOWERED = String.raw`\u2080-\u2089`;
const TERM = String.raw`(?:\p{L}{1,2}[${RAISED}${LOWERED}]*|\p{Nd}[\p{Nd}.,]*)`;
/** A name with a symbol or points, a file's or a site's, an equation, code, what a program fills in: names.mjs treats it as a name. */
export const SYMBOL_NAME = [
  String.raw`(?<![${WORD}&.])(?:\p{Lu}{1,2}&\p{Lu}s?|\p{Lu}(?:\+\+|#)\p{Nd}*|\p{Lu}\+\p{Lu}|\p{Lu}*\.NET)(?![${WORD}&+#])`,
  String.raw`(?<![${WORD}.])(?!(?:U\.[SKN]|U\.S\.A|[AP]\.M)\.(?!\p{Lu}))\p{Lu}\p{Ll}?\.(?:\p{Lu}\.)+(?![${WORD}])`,
  String.raw`(?<![${WORD}.\/\\~\-])(?:[A-Za-z]:|~)?(?:[\/\\][${WORD}.\-]*[${WORD}]){2,}(?![${WORD}\/\\@])`,
  String.raw`(?<![${WORD}.\/\\~@\-])(?:[${WORD}\-]+[.\/])+(?:${FILES})(?:\.\p{Ll}{2})?(?:\/[${WORD}.\/\-]*[${WORD}])?(?![${WORD}\/\\@])`,
  String.raw`(?<![${WORD}\p{N}.])[\p{L}\p{N}]+(?:_[\p{L}\p{N}]+)+(?![${WORD}])`,
  String.raw`(?<![${WORD}.,+*×÷\/^=\-])(?<![\-+*×÷\/^=] )(?:${TERM} ?[\-+*×÷\/^] ?)*${TERM} ?= ?${TERM}(?: ?[\-+*×÷\/^=] ?${TERM})*(?![${WORD}.,]*[${WORD}])`,
  String.raw`(?<![${WORD}.,\/])(?:\p{L}{1,3}[${RAISED}]+(?![${WORD}])|[\p{L}\p{Nd}]*[${LOWERED}][\p{L}\p{Nd}${LOWERED}]*)`,
  String.raw`\{\{?[${WORD}.]*\}\}?|\$\{[${WORD}.]*\}|%(?:\p{Nd}\$)?s(?![${WORD}])`,
  `(?<![${WORD}\`])\`[^\`\\n]+\`(?![${WORD}\`])`,
].join("|");
/** A unit with a stroke, such as `km/h`; it belongs to the number before it. */
export const UNIT = String.raw`\p{L}{1,2}/[hls][²³]?(?![${WORD}])`;
const RELATIVE = `(?:${"that|who|whose|which|que|quien|cuyo|cuya|cuyos|cuyas".replace(/[a-z]/g, anyCase)})`;
/** Words in brackets within a sentence, but no relative clause. */
const ASIDE = `(?<=[${SPACE}])\\((?=[¿¡"]?\\p{L}|\\p{Nd}[\\p{Nd}.,]* ?\\p{L})(?!${RELATIVE}(?![${WORD}]))` +
  `(?:[^()\\[\\]{}<>.:;]|\\.(?=[${SPACE}][\\p{Ll}\\p{Nd}])){2,60}\\)(?![${WORD}(\\[])`;
const ANY = [
  `\\]\\([^()${SPACE}]+\\)`, // a link's target in Markdown
  `(?:https?://|www\\.)[^${SPACE}<>"“”«»]*[^${SPACE}<>"“”«».,;:!?)'’\\]]`, // a link, without the mark that ends the sentence
  `(?<![${WORD}.+\\-])[${WORD}.+\\-]+@[${WORD}\\-]+(?:\\.[${WORD}\\-]+)+`, // an e-mail address
  `(?<slot>${PHONE}|${SYMBOL_NAME})`,
  `(?<![${WORD}&])#[${WORD}]*${LETTER}[${WORD}]*`,
  `(?<![${WORD}.])@[${WORD}]+(?:\\.[${WORD}]+)*`,
  // What begins an item of a list, or a speech.
  `(?<=^[${SPACE}]*)(?:\\p{Nd}{1,3}(?:[.)]|\\.?-)(?=[${SPACE}]+[^${SPACE}]|[${SPACE}]*$)|[A-Za-z]\\)(?=[${SPACE}])|-(?=[${SPACE}]+[^${SPACE}]|[^${SPACE}\\p{Nd}\\p{Sc}.\\-]))`,
  `(?<=${LETTER})\\(e?s\\)`, // word(s)
  // Tags, entities, lines to write on, [x] (c) (a).
  `</?${LETTER}[${WORD}\\-]*(?:[${SPACE}][^<>]*=[^<>]*)?[${SPACE}]*/?>|&(?:[${WORD}]+|#\\p{Nd}+);|_{2,}|(?<![${WORD}])_(?=[${WORD}])|(?<=[${WORD}])_(?![${WORD}])`,
  `\\[[ xX]\\]|\\([cCrR]\\)|(?<=[${SPACE}])\\(\\p{Lu}\\)|(?<=^[${SPACE}]*)\\([${WORD}]\\)(?=[${SPACE}])`,
  `(?<![${WORD}])(?:[:;=8][\\-o^']?[()\\[\\]DPpOo3/\\\\|*]|:'[()]|<3+|\\^_*\\^|[xX]D)(?![${WORD}])`, // :-) <3 xD
  `(?:(?<![${WORD}])[0-9#*]\\ufe0f?\\u20e3|\\p{RI}\\p{RI}|${EMOJI}(?:\\u200d${EMOJI})*)+`, // keycaps, flags, other emoji
  // Brackets and symbols.
  `(?:(?![${WORD}]|\\p{Sc} ?\\p{Nd}|(?<=\\p{Nd} ?)[°\\p{Sc}]|(?<=\\p{Nd})/(?=\\p{Nd})|(?<=\\p{Nd} ?\\p{L}{1,2})/(?=[hls](?![${WORD}]))|\\+\\p{Nd}|\\$)${SYMBOL})`,
].join("|");
const [COPIED, WITH_ASIDES] = [new RegExp(ANY, "gu"), new RegExp(`${ASIDE}|${ANY}`, "gu")];

/**
 * First and one-past-last place of everything in `text` that is copied: all of it if it has neither letters nor digits, or, with
 * `numbers`, no letters. With `asides`, these are spans too, if they leave letters.
 */
export function copiedSpans(text, numbers = false, asides = false) {
  const spelled = (numbers ? /\p{L}/u : /[\p{L}\p{N}]/u).test(text);
  const pattern = spelled ? (asides ? WITH_ASIDES : COPIED) : new RegExp(`[^${SPACE}]+`, "gu");
  const matches = Array.from(text.matchAll(pattern)).filter((match) => match.groups?.slot === undefined);
  const spans = matches.map((match) => [match.index, match.index + match[0].length]);
  return pattern === WITH_ASIDES && !/\p{L}/u.test(without(text, spans).plain) ? copiedSpans(text, numbers) : spans;
}

/** Whether a copied span is an aside, words in brackets such as `(more or less)`; not the `(es)` of `box(es)`. */
export function isAside(text, [start, end]) {
  return text[start] === "(" && text[end - 1] === ")" && end - start > 3 && !/\p{L}$/u.test(text.slice(0, start));
}

/** A class of a letter in both cases. */
function anyCase(letter) {
  return `[${letter}${letter.toUpperCase()}]`;
}
