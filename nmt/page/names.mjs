/** Which words are names: those that the training corpus does not know, and what goes with them, as nmt/text/names.py. */

import { SYMBOL_NAME } from "./copied.mjs";
import { WORD, spansOf } from "./words.mjs";

/** Fewest letters that two forms of a word share at their beginning, and most letters of an ending. */
const STEM = 4;
const ENDING = 6;
/** Share of the known lower-case words that must alternate between two endings for these to make forms of one word. */
const ALIKE = 1 / 1500;

const LETTERS = String.raw`[\p{L}\p{M}]+`;
const NAME = new RegExp(
  String.raw`(?<![${WORD}'\-])(?:\p{Lu}'\p{Lu}|\p{Ll}{0,2}\p{Lu})${LETTERS}(?:['\-]\p{Lu}${LETTERS})*(?![${WORD}]|-\p{Nd})`,
  "gu",
);
const ANY_NAME = new RegExp(`${SYMBOL_NAME}|${NAME.source}`, "gu");
const FIRST_NAME = new RegExp(String.raw`(?<![${WORD}'\-])(\p{Lu}${LETTERS}) $`, "u");
/** Characters before initials in which a first name is looked for. */
const LONGEST_NAME = 40;
export const WHOLE_WORD = new RegExp(
  String.raw`(?<![${WORD}'\-])${LETTERS}(?:['\-]${LETTERS})*(?![${WORD}]|-\p{Nd})`,
  "gu",
);
const LOWER_WORD = new RegExp(String.raw`(?<![${WORD}'\-])\p{Ll}+`, "gu");
const LOWER = new RegExp(String.raw`(?<![${WORD}'\-])\p{Ll}`, "gu");
const STARTS = '.!?…:"¿¡';
/** What days, months and places stand after: `on Monday Zork came`. */
const PLACE = new RegExp(String.raw`(?<![${WORD}])(?:in|on|at|en) $`, "iu");
/** After which a given name is a word: `Casa Blanca`. `a` is none in Spanish: `Vi a Rosa`. */
const DETERMINER = new RegExp(
  String.raw`(?:'s|(?<![${WORD}])(?:the|my|your|his|her|our|their|el|la|los|las|al|del|un|una|mi|tu|su|casa)) $`,
  "iu",
);
/** After which even a common word is a name: `is called Lucky`. */
const NAMED = new RegExp(String.raw`(?<![${WORD}])(?:(?:is|are|was|were|'s) (?:called|named)|(?:se|me) llam(?:an?|o|aba)) (?=\p{Lu})`, "gu");
const ARTICLE = new RegExp(String.raw`(?<![${WORD}])(?:an?|the|el|la|los|las|al|del|un|una) $`, "iu");

/** The words of the source language that a translator has been trained on, but for rare names. */
export class KnownWords {
  /**
   * @param coded the words between bars, each as how many of its first letters are the word's before, and the rest
   * @param numberWords number words and what they are in the other language; they get placeholders as numbers do
   * @param titles titles and what they are in the other language; with the name after them they get placeholders too
   * @param readings what is read of symbols, by pattern
   * @param lists `LISTS` of nmt/text/names.py
   */
  constructor(coded, numberWords, titles, readings, lists) {
    this.readings = Object.entries(readings).map(([pattern, reading]) => [new RegExp(pattern, "giu"), reading]);
    this.numberWords = new Map(Object.entries(numberWords));
    this.titles = new Map(Object.entries(titles));
    const asWritten = (title) => anyCase(title).replaceAll("[..]", String.raw`\.`);
    const each = [...this.titles.keys()].map(asWritten).join("|") || "(?!)"; // no title at all
    this.courtesy = new RegExp(
      String.raw`(?<![${WORD}])(?:(?:${anyCase("el")}|${anyCase("la")}) )?(?<title>${each}) ` +
        String.raw`(?<name>(?:[Dd]e (?:la )?)?(?!(?:${lists.roles})(?![${WORD}]))${NAME.source})`,
      "gu",
    );
    this.titleNames = new Set(lists.titles.split("|"));
    this.given = new Set(lists.given.split("|"));
    this.people = spelled(lists.people);
    this.common = spelled(lists.common);
    this.surnames = new Set(lists.surnames.split("|"));
    this.together = new Set(lists.together.split("|"));
    this.firstParts = new RegExp(`^(?:${lists.first_parts}) [${WORD}]+$`, "u");
    this.ranks = new Set(lists.ranks.split("|"));
    this.uncounted = new Set(lists.uncounted.split("|"));
    this.within = new Set(lists.within.split("|"));
    this.small = new Set(`${lists.within}|que|a|por|is|are|es|son`.split("|"));
    this.acts = new RegExp(`^ (?:${lists.acts})(?![${WORD}\\-])`, "u");
    const list = String.raw` (?:please|por favor)[^${WORD}]*$| \p{Ll}+(?:,| (?:and|or|y|o|e|u)(?![${WORD}]))`;
    this.actsOrIs = new RegExp(
      String.raw`^(?: (?:${lists.acts}|${lists.is})(?![${WORD}\-])|'s \p{Ll}|,(?!${list})| (?:and|y) \p{Lu})`,
      "u",
    );
    const openers = lists.openers.split("|").map(anyCase).join("|");
    // A name after a title or initials: `Dr. Brown`, `J. K. Rowling`.
    this.titledName = new RegExp(
      String.raw`(?<![${WORD}.'\-])(?<title>\p{Lu}|${lists.titles})\. (?:(?:\p{Lu}|${lists.titles})\. ){0,3}` +
        String.raw`(?<name>(?!(?:${openers})(?![${WORD}]))${NAME.source})`,
      "gu",
    );
    // The title of a work, in quotation marks or with an article: `"Gone with the Wind"`, `of The Great Gatsby`.
    const rest = String.raw`(?: (?:(?:${lists.within}) ){0,3}${NAME.source})+`;
    this.work = new RegExp(
      String.raw`(?<=")${NAME.source}${rest}(?=[.,!?]?")|(?<=(?<![${WORD}])\p{Ll}+ )(?:${lists.articles})${rest}`,
      "gu",
    );
    this.brand = new RegExp(
      String.raw`(?<![${WORD}'\-])(?:(?<=\p{Ll}[,;:]? )(?<!(?<![${WORD}])(?:the|el|la|los|las) )(?:${lists.brands})|${lists.phrases})(?![${WORD}\-])` +
        String.raw`|(?<!(?<![${WORD}])(?:[Tt]he|[Aa]n?) )(?!(?:${lists.no_roads})(?![${WORD}]))${NAME.source}(?= (?:${lists.roads})(?![${WORD}]))|(?<=(?<![${WORD}])(?:${lists.ways}) )${NAME.source}`,
      "gu",
    );
    this.articles = new Set(lists.articles.split("|"));
    // The first title of `Mr. and Mrs. Brown`.
    this.couple = new RegExp(String.raw`(?<![${WORD}'\-])(?:${lists.titles})\.(?= (?:and|y) (?:${lists.titles})\. \p{Lu})`, "gu");
    const words = [];
    for (const word of coded.split("|")) words.push((words.at(-1) ?? "").slice(0, Number(word[0])) + word.slice(1));
    this.words = new Set(words);
    this.letters = new Set(`${words.join("").toLowerCase()}'-ºª`);
    this.stems = new Set();
    for (const word of words) {
      if (word === word.toLowerCase() && word !== word.toUpperCase()) this.stems.add(stem(word).join(""));
    }
  }

  /**
   * Whether the capitalized word at text[start:end] is unknown. A first word must also be a common given name, or no
   * known word without its accents and, unless another name follows, no form of one.
   */
  isName(text, start, end) {
    const name = text.slice(start, end);
    const known = (part) => this.words.has(part) || this.words.has(part.toLowerCase());
    if (name.split("-").every(known)) return false;
    if (!begins(text, start) || this.common.get(name.toLowerCase()) === name) return true;
    if (this.given.has(name) && this.isSubject(text, start, end)) return true;
    const other = text[end] === " " ? spansOf(NAME, text).find(([next]) => next === end + 1) : undefined;
    const letters = stem(name);
    if (this.stems.has(letters.join(""))) return false;
    return Boolean(other && this.isName(text, ...other)) || !this.isForm(letters);
  }

  /** Whether the given name at text[start:end], the first word, is a person by what follows, as in Python. */
  isSubject(text, start, end) {
    return (this.uncounted.has(text.slice(start, end)) ? this.acts : this.actsOrIs).test(text.slice(end));
  }

  /** The endings that known words have after each beginning, and the beginnings of each ending. */
  get paradigms() {
    if (this.found) return this.found;
    const [endings, beginnings] = [new Map(), new Map()];
    for (const word of this.stems) {
      const letters = [...word];
      for (let length = Math.max(STEM, letters.length - ENDING); length <= letters.length; length += 1) {
        const [root, ending] = [letters.slice(0, length).join(""), letters.slice(length).join("")];
        addTo(endings, root, ending);
        addTo(beginnings, ending, root);
      }
    }
    this.found = { endings, beginnings };
    return this.found;
  }

  /** Whether a known word has the same beginning, and enough others have both endings, as in Python. */
  isForm(letters) {
    const needed = Math.max(1, rounded(ALIKE * this.stems.size));
    const { endings, beginnings } = this.paradigms;
    for (let length = Math.max(STEM, letters.length - ENDING); length <= letters.length; length += 1) {
      const own = beginnings.get(letters.slice(length).join("")) ?? new Set();
      for (const other of endings.get(letters.slice(0, length).join("")) ?? []) {
        const both = [...beginnings.get(other)].filter((root) => own.has(root));
        if (both.length >= needed) return true;
      }
    }
    return false;
  }

  /** Whether two capitalized words are read as they are typed. */
  areTogether(both) {
    return this.words.has(both) || this.together.has(both) || this.firstParts.test(both);
  }

  /** Whether one of the words of a text is known. */
  knowAny(text) {
    return (text.match(WHOLE_WORD) ?? []).some((word) => this.words.has(word) || this.words.has(word.toLowerCase()));
  }

  /** Whether a capitalized word is a name wherever it stands. */
  isUnknown(name) {
    const [span] = spansOf(ANY_NAME, name);
    return span?.[0] === 0 && span[1] === name.length && this.isName(name, 0, name.length);
  }

  /** The capitalized words that are names, with their neighbours and titles, as in Python. */
  names(text) {
    const spans = spansOf(ANY_NAME, text);
    const names = new Set(spans.filter(([start, end]) => this.isName(text, start, end)));
    const first = spans[0];
    if (first && begins(text, first[0]) && this.given.has(text.slice(...first)) && this.isSubject(text, ...first)) names.add(first);
    const titled = this.titled(text);
    const common = spansOf(LOWER, text).length;
    const within = spans.filter((span) => !begins(text, span[0]));
    const unusual = within.filter((span) => !this.words.has(text.slice(...span)));
    const few = unusual.length <= common + 1;
    for (const span of few ? spans : []) {
      const isGiven = this.given.has(text.slice(...span)) && !begins(text, span[0]);
      if (isGiven && !follows(DETERMINER, text, span[0])) names.add(span);
    }
    if (common === 0) {
      const whole = spans.length === 2 && this.arePerson(text, ...spans); // Mary Green
      return withoutParts(whole ? new Set([...names, ...spans]) : names, titled);
    }
    for (const row of [spans, spans.toReversed()]) {
      for (let place = 1; place < row.length; place += 1) {
        const [one, other] = [row[place - 1], row[place]];
        if (names.has(one) && adjacent(text, one, other) && this.joins(text, other, other[0] < one[0])) names.add(other);
      }
    }
    const named = new Set([...text.matchAll(NAMED)].map((match) => match.index + match[0].length));
    for (const span of within) if (named.has(span[0]) && this.words.has(text.slice(...span).toLowerCase())) names.add(span);
    for (let place = 1; place < spans.length; place += 1) {
      const [one, other] = [spans[place - 1], spans[place]]; // Professor Green
      const ranked = this.ranks.has(text.slice(...one)) && this.surnames.has(text.slice(...other));
      if (ranked && adjacent(text, one, other)) names.add(other);
    }
    if (few) {
      const rows = rowsOf(text, within);
      for (let place = 1; place < unusual.length; place += 1) {
        const [one, other] = [unusual[place - 1], unusual[place]];
        if (adjacent(text, one, other) && !follows(ARTICLE, text, rows.get(one))) names.add(one).add(other);
      }
      const sentence = (text.match(LOWER_WORD) ?? []).some((word) => !this.small.has(word));
      for (let place = 1; place < spans.length; place += 1) {
        const [one, other] = [spans[place - 1], spans[place]];
        if (sentence && this.arePerson(text, one, other)) names.add(one).add(other);
      }
    }
    return withoutParts(names, titled);
  }

  /** Whether the words are a given name and, beside it, a surname that is a word too. */
  arePerson(text, first, last) {
    const [given, word] = [text.slice(...first), text.slice(...last)];
    const person = this.people.get(given.toLowerCase()) === given;
    const common = this.words.has(word.toLowerCase()) && this.common.get(word.toLowerCase()) !== word;
    const surname = (person && common) || ((person || this.given.has(given)) && this.surnames.has(word));
    return surname && adjacent(text, first, last);
  }

  /** Whether the word beside a name, or before it, belongs to it. */
  joins(text, span, before) {
    const word = text.slice(...span);
    if (before && this.people.get(word.toLowerCase()) === word) return true;
    if (begins(text, span[0])) return before && this.given.has(word) && !text.endsWith("?"); // Will Zork come?
    if (before && follows(ARTICLE, text, span[0])) return false;
    return !this.words.has(word) || (before && !this.words.has(word.toLowerCase()) && !follows(PLACE, text, span[0]));
  }

  titled(text) {
    const known = (word) => this.words.has(word) || this.words.has(word.toLowerCase());
    const found = [...spansOf(this.courtesy, text), ...spansOf(this.brand, text)];
    for (const { 0: whole, index } of text.matchAll(this.work)) {
      const [article, ...rest] = whole.split(" ");
      const unknown = rest.filter((word) => /^\p{Lu}/u.test(word) && !this.words.has(word));
      const common = unknown.some((word) => this.words.has(word.toLowerCase()));
      if (common || (unknown.length > 0 && this.articles.has(article))) found.push([index, index + whole.length]);
    }
    for (const { 0: whole, index } of text.matchAll(this.couple)) {
      if (!known(whole.slice(0, -1))) found.push([index, index + whole.length]);
    }
    for (const { 0: whole, groups: { title, name }, index } of text.matchAll(this.titledName)) {
      const initial = [...title].length === 1;
      const initials = initial && whole.split(". ").length > 2; // the Wells of H. G. Wells may be known as wells
      const first = initial ? text.slice(Math.max(0, index - LONGEST_NAME), index).match(FIRST_NAME) : null;
      const end = index + whole.length;
      if (first && !this.words.has(first[1].toLowerCase())) found.push([index - first[0].length, end]);
      else if (!known(initial ? name : title) || (initials && !this.words.has(name))) found.push([index, end]);
      else if (!initial) found.push([end - name.length, end]); // the title is translated
    }
    return merged(found);
  }

  /** What a placeholder for `text` becomes: `treinta` is `thirty`, `el señor Zork` is `Mr. Zork`, other text itself. */
  translated(text) {
    const [first, ...rest] = text;
    const capital = first.toUpperCase() + rest.join("");
    if (this.common.has(text)) return this.common.get(text);
    if (text === text.toLowerCase() && this.given.has(capital)) return capital;
    const [match] = text.matchAll(this.courtesy);
    if (match?.index === 0) {
      const { title, name } = match.groups;
      return `${this.titles.get(title.toLowerCase())} ${text.slice(match[0].length - name.length)}`;
    }
    return this.numberWords.get(text.toLowerCase()) ?? text;
  }

  /** Words with a letter that no known word has; none if they are half of all words or more. */
  foreignWords(text) {
    const words = spansOf(WHOLE_WORD, text);
    const known = (letters) => [...letters.toLowerCase()].every((letter) => this.letters.has(letter));
    const foreign = words.filter(([start, end]) => !known(text.slice(start, end)));
    return 2 * foreign.length < words.length ? foreign : [];
  }
}

/** Names between bars, by their lower case. */
function spelled(names) {
  return new Map(names.split("|").map((name) => [name.toLowerCase(), name]));
}

/** The spans in order, those that overlap as one. */
function merged(spans) {
  const found = [];
  for (const [start, end] of spans.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = found.at(-1);
    if (last && start < last[1]) last[1] = Math.max(last[1], end);
    else found.push([start, end]);
  }
  return found;
}

/** Whether a space alone is between the two. */
function adjacent(text, one, other) {
  return text.slice(Math.min(one[1], other[1]), Math.max(one[0], other[0])) === " ";
}

/** For each span the beginning of the row that it stands in, such as `Museum of Modern Art`. */
function rowsOf(text, spans) {
  const rows = new Map();
  spans.forEach((span, place) => {
    const before = spans[place - 1];
    const joined = before && [" ", " of ", " de "].includes(text.slice(before[1], span[0]));
    rows.set(span, joined ? rows.get(before) : span[0]);
  });
  return rows;
}

/** Whether the few letters before `place` match. */
function follows(pattern, text, place) {
  return pattern.test(text.slice(Math.max(0, place - 6), place));
}

/** The letters of a word of a pattern, small or capital. */
function anyCase(word) {
  return [...word].map((letter) => `[${letter}${letter.toUpperCase()}]`).join("");
}

/** The spans and `wholes`, without the spans that begin within one of these. */
export function withoutParts(spans, wholes) {
  const covered = new Set();
  for (const [start, end] of wholes) for (let place = start; place < end; place += 1) covered.add(place);
  return [...[...spans].filter(([first]) => !covered.has(first)), ...wholes];
}

/** Whether the word at `place` begins the text, a sentence or a quotation. */
export function begins(text, place) {
  for (let end = place; end > 0; ) {
    const character = String.fromCodePoint(text.codePointAt(end - 2) > 0xffff ? text.codePointAt(end - 2) : text.codePointAt(end - 1));
    if (STARTS.includes(character)) return true;
    if (/[\p{L}\p{N}]/u.test(character)) return false;
    end -= character.length;
  }
  return true;
}

/** Add a value to the set of a key. */
function addTo(sets, key, value) {
  if (!sets.has(key)) sets.set(key, new Set());
  sets.get(key).add(value);
}

/** Round half to even, as Python. */
export function rounded(number) {
  const below = Math.floor(number);
  if (number - below !== 0.5) return Math.round(number);
  return below % 2 === 0 ? below : below + 1;
}

/** The letters in lower case, without accents and apostrophes. */
function stem(word) {
  return [...word.toLowerCase().normalize("NFD").replace(/[\p{Mn}']/gu, "")];
}
