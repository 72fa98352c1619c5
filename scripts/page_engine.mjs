/** The page's engine on a file of requests: node page_engine.mjs MODEL.json REQUESTS.json > RESULTS.json */

import { readFileSync } from "node:fs";

import { sentences } from "../nmt/page/parts.mjs";
import { Translator } from "../nmt/page/translator.mjs";

const read = (path) => JSON.parse(readFileSync(path, "utf-8"));
const translator = await Translator.load(read(process.argv[2]));
const { lines, beam, nBest, oneSentence, task } = read(process.argv[3]);
const plain = ({ hypotheses, heads, ...rest }, whole = true) => ({
  ...rest,
  sentences: undefined,
  heads: heads && Object.fromEntries(Object.entries(heads).map(([name, value]) => [name, value?.layers ? [...value.values] : value])),
  ...(whole && { hypotheses: hypotheses.map((one) => plain(one, false)) }),
});

const tasks = {
  encode: (line) => {
    const encoding = translator.subwords.encode(line, undefined, true);
    const { text, ids, wordsOfPiece, capitals, copied, slots, symbols } = encoding;
    const back = translator.subwords.decodeWithSpans(ids, encoding).text;
    const typed = ([start, end]) => text.slice(start, end);
    const held = Object.fromEntries([...slots].map(([slot, span]) => [slot, typed(span)]));
    const readings = symbols.map(({ start, end, character }) => [typed([start, end]), character]);
    return { ids, wordsOfPiece, capitals, copied: copied.map(typed), slots: held, read: readings, back };
  },
  sentences: (line) => sentences(translator.subwords, translator.subwords.encode(line, undefined, true), translator.data.source).map(({ text }) => text),
  translate: (line) => plain(translator.translate(line, { beam, nBest, oneSentence: true })),
  intervene: ({ line, ...options }) => plain(translator.translate(line, options)),
  pieces: (line) => translator.pieces(line),
  losses: ({ line, pieces, ...options }) => translator.losses(line, pieces, options),
  texts: (line) => {
    const { text, score, confidence } = translator.translate(line, { beam, oneSentence });
    return { text, score, confidence };
  },
};
process.stdout.write(JSON.stringify(lines.map(tasks[task])));
