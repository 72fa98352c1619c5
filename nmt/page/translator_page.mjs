/** The page: type, and the translation and its attention follow; change what the model does, and see what comes of it. */

import { attentionPanel } from "../inspection/explorer/attention_panel.mjs";
import { html } from "../inspection/explorer/dom.mjs";
import { END, groups, headName, pieceLabel } from "../inspection/explorer/model.mjs";
import { nBestView } from "../inspection/explorer/n_best_view.mjs";
import { themes } from "../inspection/explorer/themes.mjs";
import { MEAN } from "../inspection/explorer/weights.mjs";
import { hashOf, initialState, stateOf } from "./address.mjs";
import { besideView, markedWords } from "./beside_view.mjs";
import { engine } from "./client.mjs";
import { LOW_WORD, inWords } from "./confidence.mjs";
import { differences } from "./differences.mjs";
import { treeLegend, treeView } from "./tree_view.mjs";

const EXAMPLES = {
  en: ["She gave him the red book.", "It's raining cats and dogs.", "I put my money in the bank.", "If I had known that you were coming, I would have baked a cake."],
  es: ["Ella le dio el libro rojo.", "Está lloviendo a cántaros.", "Nos sentamos en el banco del parque.", "Dijo que me llamaría si el tren llegaba tarde."],
};
/** Milliseconds without a key before the translation begins. */
const PAUSE = 60;
/** Heads that are marked as those that matter. */
const MARKED = 5;
/** What a translation depends on; the rest of the state is only what is looked at. */
const ASKED = ["text", "model", "beam", "nBest", "sentence", "forced", "off", "moved", "beside"];
/** What the reader does to the model. */
const UNCHANGED = { forced: [], off: [], moved: [] };

const find = (id) => document.getElementById(id);

/** Select a value, adding it first where a link has one that the page does not offer. */
function choose(id, value, text) {
  const select = find(id);
  if (![...select.options].some((option) => option.value === String(value))) select.append(new Option(text, value));
  select.value = value;
}
const data = JSON.parse(find("data").textContent);
for (const subwords of data.subwords) subwords.charsmap = data.charsmaps[subwords.charsmap];
for (const model of data.models) {
  model.subwords = data.subwords[model.subwords];
  if (model.aligner) model.aligner.weights = data.aligners[model.aligner.weights];
}
const nmt = engine(data.worker, data.models);
window.nmt = nmt;

let state = fromAddress(location.hash);
let shown = null;
let original = null;
let beside = null;
let losses = null;
let gains = null;
let pinned = null;
let scope = "head";
let timer = null;
let addressTimer = null;
let asked = 0;

const theme = themes(find("theme"), data.colours, draw);
const panel = attentionPanel({ theme, onChange: look, acts: { onForce: force, onWrite: write, onMove: move, onPin: pin } });
const hypotheses = nBestView(find("hypotheses"), find("hypothesis-list"), { onChoose: (hypothesis) => look({ hypothesis }) });
const tree = treeView(find("tree"), find("tree-readout"), { onChoose: (forced) => change({ forced, moved: keptMoves(forced.length) }) });
const besideParts = Object.fromEntries(["title", "text", "score", "matrix", "readout"].map((name) => [name, find(`beside-${name}`)]));
const other = besideView(besideParts, { theme });

function detailsOf(name) {
  return data.models.find((model) => model.name === name);
}

function firstState(model) {
  return initialState(model, EXAMPLES[model.source]?.[0] ?? "");
}

function fromAddress(hash) {
  const named = detailsOf(new URLSearchParams(hash.replace(/^#/, "")).get("model")) ?? data.models[0];
  return { ...stateOf(hash, firstState(named)), model: named.name };
}

function address(of = state) {
  const hash = hashOf(of, firstState(detailsOf(of.model)));
  return of.model === data.models[0].name ? hash : `model=${encodeURIComponent(of.model)}${hash ? `&${hash}` : ""}`;
}

/** Take other choices of what is looked at, and draw. */
function look(choices) {
  state = { ...state, ...choices };
  draw();
  clearTimeout(addressTimer);
  addressTimer = setTimeout(writeAddress, PAUSE); // browsers refuse to write it too often
}

/** Take other choices of what is translated, and translate. */
function change(choices) {
  state = { ...state, ...choices };
  return translate();
}

/** Another text: what was done to the translation of the last one goes, heads stay off. */
function retype(text) {
  return change({ text, sentence: 0, hypothesis: 0, step: 0, forced: [], moved: [] });
}

function optionsOf({ beam, nBest, model, sentence, forced, off, moved }) {
  return { beam, nBest: Math.min(nBest, beam), model, sentence, forced, off, moved };
}

const changed = ({ forced, off, moved }) => forced.length + off.length + moved.length > 0;

/** Translate the state; an answer that a later question has overtaken is dropped. */
async function translate() {
  asked += 1;
  const mine = asked;
  document.documentElement.dataset.busy = "true";
  let [result, trouble, unchanged, kept] = [null, "", null, null];
  const now = { ...state };
  try {
    result = await nmt.translate(now.text, optionsOf(now));
    if (changed(now)) unchanged = await nmt.translate(now.text, optionsOf({ ...now, ...UNCHANGED }));
    if (now.beside) {
      const keptState = fromAddress(now.beside);
      kept = { state: keptState, result: await nmt.translate(keptState.text, optionsOf(keptState)) };
    }
  } catch (error) {
    trouble = error.message;
  }
  if (mine !== asked) return;
  delete document.documentElement.dataset.busy;
  find("trouble").textContent = trouble;
  [shown, original, beside, losses, gains] = [result, unchanged, kept, null, null];
  draw();
  await painted();
  if (mine !== asked) return;
  drawTree();
  writeAddress();
  document.documentElement.dataset.translated = now.text;
  if (original && sentenceOf(original)) await compareLosses(mine, now);
  if (now.matter && shown) await findHeads(mine, now);
}

/** What has been drawn is on the screen. */
function painted() {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

async function lossOf(source, pieces, options) {
  const each = await nmt.losses(source, pieces, options);
  return each.reduce((sum, loss) => sum + loss, 0);
}

/** The loss of the unchanged translation, with and without what the reader did. */
async function compareLosses(mine, { model, off, moved }) {
  const { source, pieces } = sentenceOf(original);
  const before = await lossOf(source, pieces, { model });
  const after = await lossOf(source, pieces, { model, off, moved });
  if (mine !== asked) return;
  losses = { before, after };
  drawBeside();
}

/** What the loss of the translation that is shown would grow by without each head, one by one. */
async function findHeads(mine, { model, off, moved }) {
  const one = sentenceOf(shown);
  if (!one?.heads) return;
  const lossWithout = (more) => lossOf(one.source, one.pieces, { model, off: [...off, ...more], moved });
  const before = await lossWithout([]);
  const found = [];
  for (const kind of ["cross", "encoder", "decoder"]) {
    const { layers, heads } = one.heads[kind] ?? { layers: 0 };
    for (let layer = 0; layer < layers; layer += 1) {
      for (let head = 0; head < heads; head += 1) {
        found.push({ kind, layer, head, gain: (await lossWithout([{ kind, layer, head }])) - before });
        if (mine !== asked) return;
      }
    }
    gains = found.toSorted((a, b) => b.gain - a.gain).slice(0, MARKED).filter(({ gain }) => gain > 0);
    draw();
  }
  document.documentElement.dataset.matter = "found";
}

/** The sentence of a translation that is looked at. */
function sentenceOf(translation) {
  const all = translation?.sentences ?? [];
  return all[Math.min(state.sentence, all.length - 1)] ?? null;
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(() => retype(find("text").value), PAUSE);
}

function draw() {
  const model = detailsOf(state.model);
  find("model").value = state.model;
  choose("beam", state.beam, `beam ${state.beam}`);
  choose("n-best", state.nBest, state.nBest);
  find("swap").hidden = !opposite(model);
  find("text").lang = model.source;
  find("translation").lang = model.target;
  find("source-label").textContent = `From ${languageName(model.source)}`;
  find("target-label").textContent = `To ${languageName(model.target)}`;
  const sentence = sentenceOf(shown);
  const own = sentence?.hypotheses[state.hypothesis] ?? sentence;
  find("attention").hidden = !own?.heads?.cross;
  find("search").hidden = !own?.heads;
  drawTranslation();
  drawChanges(model, sentence);
  drawBeside();
  if (own?.heads) {
    if (own.heads.cross) state = panel.draw(own, state, marks(own));
    hypotheses.draw(sentence.hypotheses, state.hypothesis);
    drawTools();
  } else find("hypotheses").hidden = true;
}

/** The tree stands below all else, so it is drawn last. */
function drawTree() {
  const sentence = sentenceOf(shown);
  if (sentence?.heads) tree.draw(sentence.tree, state.beam);
}

function writeAddress() {
  clearTimeout(addressTimer);
  history.replaceState(null, "", `#${address()}`);
}

function drawTranslation() {
  const all = shown?.sentences ?? [];
  find("sentence-choice").hidden = all.length < 2;
  find("sentence").replaceChildren(...all.map(({ source }, number) =>
    html("option", { value: number, selected: number === state.sentence }, `${number + 1}. ${source}`)));
  if (!all.some(({ heads }) => heads)) {
    find("translation").replaceChildren(shown?.text ?? "");
    find("score").textContent = "";
    return;
  }
  const besides = sentenceOf(beside?.result ?? original);
  const nodes = all.flatMap((one, number) => {
    const chosen = number === Math.min(state.sentence, all.length - 1);
    const [, marked] = chosen && besides ? differences(besides.targetWords, one.targetWords) : [[], []];
    const wordNode = (word, place) => {
      const title = one.wordConfidence && `confidence ${one.wordConfidence[place].toFixed(2)}`;
      const looks = chosen && state.hypothesis === 0 && one.heads.cross && {
        onpointerenter: () => panel.pointAtWord(place), onpointerleave: () => panel.pointAtWord(null),
      };
      return html("span", { class: one.doubtful.includes(place) ? "word doubtful" : "word", title, ...looks }, word);
    };
    return [...(number > 0 ? [" "] : []), ...markedWords(one, marked, wordNode)];
  });
  find("translation").replaceChildren(...nodes);
  const doubt = all.some(({ doubtful }) => doubtful.length > 0);
  find("score").replaceChildren(
    ...(shown.confidence === null ? [] : [html("b", {}, inWords(shown.confidence)), ", "]),
    `score ${shown.score.toFixed(2)} (nearer to 0 is better).`,
    doubt ? ` Underlined words are doubtful: confidence below ${LOW_WORD}.` : "",
    besides ? " Words that differ are marked." : "",
  );
}

function pieceText(piece) {
  return pieceLabel(piece).replaceAll("▁", " ");
}

function chip(text, without) {
  return html("button", { type: "button", class: "change", title: "undo this change", onclick: () => change(without) }, `${text} ✕`);
}

/** Each change as a button that takes it back. */
function drawChanges(model, sentence) {
  const chips = [];
  if (state.forced.length > 0) {
    const ends = state.forced.at(-1) === END;
    const text = state.forced.slice(0, ends ? -1 : undefined).map(pieceText).join("").trim();
    chips.push(chip(`${ends ? "is" : "begins with"} “${text}”`, { forced: [], moved: [] }));
  }
  for (const one of state.off) {
    chips.push(chip(`off (${one.by ?? "zero"}): ${headName(one.kind, one.layer, one.head, model.guided)}`, { off: state.off.filter((head) => head !== one) }));
  }
  for (const one of state.moved) {
    const where = one.head !== undefined ? `layer ${one.layer + 1}, head ${one.head + 1}` : one.layer !== undefined ? `layer ${one.layer + 1}` : "all layers";
    const to = one.to.map((piece) => pieceText(sentence?.heads?.sourcePieces[piece] ?? "")).join("").trim();
    chips.push(chip(`piece ${one.step + 1} looks at “${to}” (${where})`, { moved: state.moved.filter((row) => row !== one) }));
  }
  if (chips.length > 1) chips.push(html("button", { type: "button", onclick: () => change(UNCHANGED) }, "undo all"));
  find("changes").replaceChildren(...chips);
  const examples = EXAMPLES[model.source] ?? [];
  find("examples").replaceChildren(...examples.map((text) =>
    html("button", { type: "button", lang: model.source, onclick: () => { find("text").value = text; retype(text); } }, text)));
}

function drawBeside() {
  const one = sentenceOf(shown);
  const compared = sentenceOf(beside?.result ?? original);
  find("beside").hidden = !(one && compared);
  find("forget").hidden = !beside;
  if (find("beside").hidden) return;
  const title = beside ? `For comparison: ${beside.state.model}, ${beside.state.beam === 1 ? "greedy" : `beam ${beside.state.beam}`}${changed(beside.state) ? ", changed" : ""}` : "The original, unchanged";
  other.draw(title, compared, one, state, find("beside-attention").open);
  find("beside-loss").textContent = losses && !beside
    ? `Its loss, the negative log-probability: ${losses.before.toFixed(2)}, under your changes ${losses.after.toFixed(2)} (${losses.after >= losses.before ? "+" : "−"}${Math.abs(losses.after - losses.before).toFixed(2)}).`
    : "";
}

/** What the panel marks of the reader's changes. */
function marks(own) {
  const heads = {};
  for (const { kind, layer, head } of state.off) heads[`${kind}.${layer}.${head}`] = { off: true };
  for (const { kind, layer, head, gain } of gains ?? []) {
    heads[`${kind}.${layer}.${head}`] = { ...heads[`${kind}.${layer}.${head}`], gain: `+${gain.toFixed(2)}` };
  }
  const touches = ({ layer, head }) => (layer ?? state.layer) === state.layer && (state.head === MEAN || (head ?? state.head) === state.head);
  const here = state.kind === "cross" ? state.moved.filter(touches) : [];
  return { heads, forced: state.forced.length, moved: here.flatMap((row) => cellsOf(own, row)) };
}

function placeOf(all, piece) {
  return all.findIndex((group) => group.some(([one]) => one === piece));
}

/** The cells of the matrix in view that a moved row's weight has gone to. */
function cellsOf(own, { step, to }) {
  if (state.unit === "pieces") return to.map((piece) => [step, piece]);
  const { row, column } = groups(own, "cross");
  return [...new Set(to.map((piece) => placeOf(column, piece)))].map((place) => [placeOf(row, step), place]);
}

function drawTools() {
  const off = offHere();
  const able = state.head !== MEAN;
  for (const by of ["zero", "mean"]) {
    find(`off-${by}`).textContent = off?.by === by ? "switch on again" : `switch off: ${by}`;
    find(`off-${by}`).disabled = !able;
  }
  find("matter").setAttribute("aria-pressed", state.matter);
  find("heads-help").textContent = headsHelp(able, off);
  find("heads-that-matter").replaceChildren(...(gains ?? []).map(({ kind, layer, head, gain }) =>
    html("button", { type: "button", onclick: () => look({ kind, layer, head }) }, `★ ${headName(kind, layer, head, detailsOf(state.model).guided)}: +${gain.toFixed(2)}`)));
  find("move-tools").hidden = state.kind !== "cross";
  find("scope").querySelector("[value=head]").disabled = !able;
  find("scope").value = scopeOf(able);
  find("move").disabled = !(pinned && pinned.row !== null && pinned.column !== null);
}

function headsHelp(able, off) {
  if (gains) return "★ Removing one of these heads raises this translation's loss most; click one to show it:";
  if (off) return off.by === "mean" ? "This head is off: it attends to everything equally." : "This head is off: its output is zero.";
  return able ? "A head switched off outputs zero, or the mean of everything it could attend to." : "Choose a head above to switch it off.";
}

/** Whose attention a drag moves: as the reader has chosen, but a mean has no head. */
function scopeOf(able) {
  return scope === "head" && !able ? "layer" : scope;
}

function offHere() {
  return state.off.find(({ kind, layer, head }) => kind === state.kind && layer === state.layer && head === state.head);
}

function toggle(by) {
  const here = offHere();
  const rest = state.off.filter((one) => one !== here);
  change({ off: here?.by === by ? rest : [...rest, { kind: state.kind, layer: state.layer, head: state.head, by }] });
}

/** Write other pieces at a step; what is before them stays, what is after them follows. */
function force(number, ...pieces) {
  const own = sentenceOf(shown).hypotheses[state.hypothesis];
  change({ hypothesis: 0, forced: [...own.pieces.slice(0, number), ...pieces], moved: keptMoves(number) });
}

async function write(number, words) {
  force(number, ...(await nmt.pieces(words, { model: state.model })));
}

function keptMoves(step) {
  return state.moved.filter((one) => one.step < step);
}

/** Let a row of cross-attention look at another column; what is before it stays, what is after it follows. */
function move(row, column) {
  const own = sentenceOf(shown).hypotheses[state.hypothesis];
  const all = state.unit === "words" ? groups(own, "cross") : null;
  const step = all ? all.row[row][0]?.[0] : row;
  const to = all ? all.column[column].map(([piece]) => piece) : [column];
  if (step === undefined || to.length === 0) return; // what was copied has no pieces
  const whose = scopeOf(state.head !== MEAN);
  const where = whose === "head" ? { layer: state.layer, head: state.head } : whose === "layer" ? { layer: state.layer } : {};
  const same = (one) => one.step === step && one.layer === where.layer && one.head === where.head;
  const moved = [...keptMoves(step + 1).filter((one) => !same(one)), { step, to, ...where }];
  panel.unpin();
  change({ hypothesis: 0, step: row, forced: own.pieces.slice(0, step), moved });
}

function pin(here) {
  pinned = here;
  drawTools();
}

function languageName(code) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(code);
  } catch {
    return code;
  }
}

/** The model of the other direction, where there is one. */
function opposite({ source, target }) {
  return data.models.find((one) => source === one.target && target === one.source);
}

/** Take another model; with `text` the field holds that afterwards. */
function take(name, text) {
  const model = detailsOf(name);
  const { kind, layer, head } = firstState(model);
  find("text").value = text;
  change({ ...UNCHANGED, model: name, text, sentence: 0, hypothesis: 0, step: 0, kind, layer, head });
}

find("text").addEventListener("input", later);
find("beam").addEventListener("change", () => change({ beam: Number(find("beam").value), hypothesis: 0 }));
find("n-best").addEventListener("change", () => change({ nBest: Number(find("n-best").value), hypothesis: 0 }));
find("model").addEventListener("change", () => take(find("model").value, state.text));
find("swap").addEventListener("click", () => take(opposite(detailsOf(state.model)).name, shown?.text || state.text));
find("sentence").addEventListener("change", () => change({ sentence: Number(find("sentence").value), hypothesis: 0, step: 0, forced: [], moved: [] }));
find("keep").addEventListener("click", () => change({ beside: address({ ...state, beside: "" }) || `model=${state.model}` }));
find("forget").addEventListener("click", () => change({ beside: "" }));
find("off-zero").addEventListener("click", () => toggle("zero"));
find("off-mean").addEventListener("click", () => toggle("mean"));
find("matter").addEventListener("click", () => change({ matter: !state.matter }));
find("scope").addEventListener("change", () => { scope = find("scope").value; });
find("move").addEventListener("click", () => move(pinned.row, pinned.column));
find("beside-attention").addEventListener("toggle", drawBeside);
addEventListener("hashchange", () => {
  const next = fromAddress(location.hash);
  const same = ASKED.every((name) => JSON.stringify(next[name]) === JSON.stringify(state[name]));
  find("text").value = next.text;
  if (same) look(next);
  else change(next);
});
find("model").replaceChildren(
  ...data.models.map(({ name, source, target }) => html("option", { value: name }, `${name} (${source}–${target})`)),
);
find("model-choice").hidden = data.models.length < 2;
find("tree-legend").replaceChildren(...treeLegend());
find("text").value = state.text;
translate().then(() => {
  document.documentElement.dataset.ready = "true";
  performance.mark("ready");
});
