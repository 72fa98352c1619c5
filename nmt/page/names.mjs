/** Which words are names: those that the training corpus does not know, and what goes with them, as nmt/text/names.py. */

import { WORD, spansOf } from "./words.mjs";

/** Fewest letters that two forms of a word share at their beginning, and most by which each ends. */
const STEM = 4;
const ENDING = 6;
/** Share of the known words that must alternate between two endings for these to make forms of one word. */
const ALIKE = 1 / 1500;


const LETTERS = String.raw`[\p{L}\p{M}]+`;
const NAME = new RegExp(
  String.raw`(?<![${WORD}'\-])(?:\p{Lu}'\p{Lu}|\p{Lu})${LETTERS}(?:['\-]\p{Lu}${LETTERS})*(?![${WORD}]|-\p{Nd})`,
  "gu",
);
const TITLE = String.raw`(?:\p{Lu}|[B-DF-HJ-NP-TV-XZ][b-df-hj-np-tv-xz]{1,3}a?)\. `;
/** A name after initials or a title without vowels, but for a last a: `J. K. Rowling`, `Dr. Brown`, `Sra. Rubio`. */
const TITLED = new RegExp(String.raw`(?<![${WORD}'\-])(?:${TITLE})+(?<name>${NAME.source})`, "gu");
const FIRST_NAME = new RegExp(String.raw`(?<![${WORD}'\-])(\p{Lu}${LETTERS}) $`, "u");
const WHOLE_WORD = new RegExp(
  String.raw`(?<![${WORD}'\-])${LETTERS}(?:['\-]${LETTERS})*(?![${WORD}]|-\p{Nd})`,
  "gu",
);
const EMPHASIS = new RegExp(String.raw`(?<![${WORD}'\-])\p{Lu}{3,}(?![${WORD}'\-])`, "gu");
const LOWER = new RegExp(String.raw`(?<![${WORD}'\-])\p{Ll}`, "gu");
const BEGINNING = /^[^\p{L}\p{N}]*$/u;
const STARTS = '.!?…:"¿¡';
const ARTICLE = new RegExp(String.raw`(?<![${WORD}])(?:an?|the|el|la|los|las|un|una) $`, "iu");

/** The words of the source language that a translator has been trained on, but for rare names. */
export class KnownWords {
  /**
   * @param coded the words between bars, each as how many of its first letters are the word's before, and the rest
   * @param numberWords number words and what they are in the other language; they get placeholders as numbers do
   */
  constructor(coded, numberWords) {
    this.numberWords = new Map(Object.entries(numberWords));
    const words = [];
    for (const word of coded.split("|")) words.push((words.at(-1) ?? "").slice(0, Number(word[0])) + word.slice(1));
    this.words = new Set(words);
    this.letters = new Set(`${words.join("").toLowerCase()}'-`);
    this.stems = new Set();
    for (const word of words) {
      if (word === word.toLowerCase() && word !== word.toUpperCase()) this.stems.add(stem(word).join(""));
    }
  }

  /**
   * Whether the capitalized word at text[start:end] is unknown. A first word must also be no form of a known lower-case
   * word, or, before another name, not have the letters of one.
   */
  isName(text, start, end) {
    const name = text.slice(start, end);
    const known = (part) => this.words.has(part) || this.words.has(part.toLowerCase());
    if (name.split("-").every(known)) return false;
    if (!BEGINNING.test(text.slice(0, start))) return true;
    const other = text[end] === " " ? spansOf(NAME, text).find(([next]) => next === end + 1) : undefined;
    if (other && this.isName(text, ...other)) return !this.stems.has(stem(name).join(""));
    return !this.isForm(stem(name));
  }

  /** Whether a known word begins with the same letters, and enough others have both endings, as in Python. */
  isForm(letters) {
    this.forwards ??= [...this.stems].toSorted();
    this.backwards ??= this.forwards.map(reversed).toSorted();
    const needed = Math.max(1, rounded(ALIKE * this.stems.size));
    for (let length = Math.max(STEM, letters.length - ENDING); length <= letters.length; length += 1) {
      const [root, ending] = [letters.slice(0, length).join(""), letters.slice(length).join("")];
      const others = new Set(Array.from(beginning(this.forwards, root), (one) => one.slice(root.length)));
      others.delete(ending);
      for (const other of others) {
        if ([...other].length > ENDING) continue;
        let both = 0;
        for (const one of beginning(this.backwards, reversed(ending))) {
          const shared = reversed(one.slice(ending.length));
          if ([...shared].length >= STEM && this.stems.has(shared + other) && (both += 1) === needed) return true;
        }
      }
    }
    return false;
  }

  /** Whether a capitalized word is a name wherever it stands. */
  isUnknown(name) {
    const [span] = spansOf(NAME, name);
    return span?.[0] === 0 && span[1] === name.length && this.isName(name, 0, name.length);
  }

  /** The capitalized words that are names, with their neighbours and titles, as in Python. */
  names(text) {
    const spans = spansOf(NAME, text);
    const names = new Set(spans.filter(([start, end]) => this.isName(text, start, end)));
    const titled = this.titled(text);
    const common = spansOf(LOWER, text).length;
    if (common === 0) return withoutParts(names, titled);
    for (const row of [spans, spans.toReversed()]) {
      for (let place = 1; place < row.length; place += 1) {
        const [one, other] = [row[place - 1], row[place]];
        if (names.has(one) && adjacent(text, one, other) && this.joins(text, other, other[0] < one[0])) names.add(other);
      }
    }
    const unusual = spans.filter((span) => !this.words.has(text.slice(...span)) && !begins(text, span[0]));
    if (unusual.length <= common + 1) {
      for (let place = 1; place < unusual.length; place += 1) {
        const [one, other] = [unusual[place - 1], unusual[place]];
        if (adjacent(text, one, other) && !afterArticle(text, one[0])) names.add(one).add(other);
      }
    }
    return withoutParts(names, titled);
  }

  /** Whether the word beside a name, or before it, belongs to it. */
  joins(text, span, before) {
    const word = text.slice(...span);
    if (begins(text, span[0]) || (before && afterArticle(text, span[0]))) return false;
    return !this.words.has(word) || (before && !this.words.has(word.toLowerCase()));
  }

  titled(text) {
    const known = (word) => this.words.has(word) || this.words.has(word.toLowerCase());
    const found = [];
    for (const { 0: whole, groups: { name }, index } of text.matchAll(TITLED)) {
      const [title] = whole.split(".", 1);
      const initial = [...title].length === 1;
      const first = initial ? text.slice(0, index).match(FIRST_NAME) : null;
      const end = index + whole.length;
      if (first && !this.words.has(first[1].toLowerCase())) found.push([first.index, end]);
      else if (!known(initial ? name : title)) found.push([index, end]);
    }
    return found;
  }

  /** Words with a letter that no known word has; none if they are half of all words or more. */
  foreignWords(text) {
    const words = spansOf(WHOLE_WORD, text);
    const known = (letters) => [...letters.toLowerCase()].every((letter) => this.letters.has(letter));
    const foreign = words.filter(([start, end]) => !known(text.slice(start, end)));
    return 2 * foreign.length < words.length ? foreign : [];
  }

  /** Rewrite words in capitals (three letters or more) in their usual form, if only that form is known. */
  withoutEmphasis(text) {
    return text.replace(EMPHASIS, (word, place) => {
      const lower = word.toLowerCase();
      if (this.words.has(word) || !this.words.has(lower) || [...lower].length !== [...word].length) return word;
      if (!BEGINNING.test(text.slice(0, place))) return lower;
      const [first, ...rest] = lower;
      return first.toUpperCase() + rest.join("");
    });
  }
}

/** Whether a space alone is between the two. */
function adjacent(text, one, other) {
  return text.slice(Math.min(one[1], other[1]), Math.max(one[0], other[0])) === " ";
}

function afterArticle(text, place) {
  return ARTICLE.test(text.slice(Math.max(0, place - 6), place));
}

/** The spans and `wholes`, without the spans that begin within one of these. */
export function withoutParts(spans, wholes) {
  return [...[...spans].filter(([first]) => !wholes.some(([start, end]) => start <= first && first < end)), ...wholes];
}

/** Whether the word at `place` begins the text, a sentence or a quotation. */
function begins(text, place) {
  for (let end = place; end > 0; ) {
    const character = String.fromCodePoint(text.codePointAt(end - 2) > 0xffff ? text.codePointAt(end - 2) : text.codePointAt(end - 1));
    if (STARTS.includes(character)) return true;
    if (/[\p{L}\p{N}]/u.test(character)) return false;
    end -= character.length;
  }
  return true;
}

/** Those of the sorted words that begin with `letters`. */
function* beginning(words, letters) {
  let [first, last] = [0, words.length];
  while (first < last) {
    const middle = (first + last) >> 1;
    if (words[middle] < letters) first = middle + 1;
    else last = middle;
  }
  for (; words[first]?.startsWith(letters); first += 1) yield words[first];
}

function reversed(word) {
  return [...word].toReversed().join("");
}

/** Round half to even, as Python. */
export function rounded(number) {
  const below = Math.floor(number);
  if (number - below !== 0.5) return Math.round(number);
  return below % 2 === 0 ? below : below + 1;
}

/** The letters in lower case and without accents. */
function stem(word) {
  return [...word.toLowerCase().normalize("NFD").replace(/\p{Mn}/gu, "")];
}
