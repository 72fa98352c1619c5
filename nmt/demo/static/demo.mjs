/** The demo page: what is typed goes to the server, translation and alignment come back. */

import { html } from "../explorer/dom.mjs";
import { linesView } from "../explorer/lines_view.mjs";
import { matrixView, weightText } from "../explorer/matrix_view.mjs";
import { describe } from "../explorer/model.mjs";
import { bytesFromBase64 } from "../explorer/weights.mjs";
import { choicesFromLink, debounced, linkFromChoices, requestOf, viewOfAnswer } from "./requests.mjs";

const TYPING = 80;
const THRESHOLD = 0.02;
const ON_ITS_WAY = "The explorer is on its way ...";
const find = (id) => document.getElementById(id);
const tables = Object.fromEntries(
  Object.entries(JSON.parse(find("colours").textContent)).map(([theme, table]) => [theme, bytesFromBase64(table)]),
);
const dark = matchMedia("(prefers-color-scheme: dark)");
const cards = [card(), card()];

/** The place where one model's answer is shown. */
function card() {
  const parts = {
    name: html("h2"),
    translation: html("p", { class: "translation", dir: "auto", "aria-live": "polite" }),
    facts: html("p", { class: "facts" }),
    readout: html("p", { class: "readout", role: "status" }),
    matrix: html("div", { class: "drawing matrix", tabindex: 0, role: "application", "aria-roledescription": "alignment matrix" }),
    lines: html("div", { class: "drawing lines", role: "img", "aria-label": "The same weights as lines between the words." }),
  };
  const views = html("div", { class: "views" }, parts.matrix, parts.lines);
  const section = html("section", { class: "answer", hidden: true }, parts.name, parts.translation, parts.facts, parts.readout, views);
  const self = { ...parts, section, views, view: null, answer: null, abort: null, pinned: null };
  const onPoint = (point) => light(self, point ?? self.pinned);
  const onPin = (point) => {
    const same = self.pinned && self.pinned.row === point.row && self.pinned.column === point.column;
    self.pinned = same ? null : point;
    light(self, self.pinned);
  };
  self.drawMatrix = matrixView(parts.matrix, { onPoint, onPin });
  self.drawLines = linesView(parts.lines, { onPoint, onPin });
  find("answers").append(section);
  return self;
}

function light(self, point) {
  self.drawMatrix.light(point);
  self.drawLines.light(point);
  const cell = point && point.row !== null && point.column !== null;
  self.readout.textContent = cell ? describe(self.view, point.row, point.column, weightText(self.view, point.row, point.column)) : "";
}

function choices() {
  const number = (id) => (find(id).value === "" || !find(id).checkValidity() ? null : Number(find(id).value));
  return {
    text: find("text").value, model: find("model").value, other: find("other").value,
    beam: number("beam"), length_penalty: number("penalty"),
  };
}

async function translateAll() {
  const chosen = choices();
  history.replaceState(null, "", linkFromChoices(chosen) || location.pathname);
  const names = [chosen.model, chosen.other].filter(Boolean);
  find("answers").classList.toggle("two", names.length > 1);
  tell("");
  await Promise.all(cards.map((self, number) => translate(self, chosen, names[number])));
  explore();
}

async function translate(self, chosen, name) {
  self.abort?.abort();
  self.section.hidden = !name || chosen.text.trim() === "";
  if (self.section.hidden) return;
  const abort = new AbortController();
  self.abort = abort;
  self.section.classList.add("waiting");
  try {
    const response = await fetch("/api/translate", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(requestOf(chosen, name)),
      signal: abort.signal,
    });
    const answer = await response.json();
    if (abort.signal.aborted) return;
    if (response.ok) {
      show(self, answer);
    } else {
      refuse(self, answer.error);
      const wait = Number(response.headers.get("Retry-After"));
      if (wait > 0) setTimeout(() => abort === self.abort && later(), 1000 * wait);
    }
  } catch (error) {
    if (error.name !== "AbortError") refuse(self, "The server does not answer; is it still running?");
  } finally {
    if (abort === self.abort) self.section.classList.remove("waiting");
  }
}

/** No answer: what was shown belongs to another text. */
function refuse(self, message) {
  for (const part of [self.name, self.translation, self.facts, self.readout]) part.textContent = "";
  self.view = self.pinned = null;
  self.views.hidden = self.section.hidden = true;
  tell(message, true);
}

function show(self, answer) {
  self.answer = answer;
  self.pinned = null;
  self.view = viewOfAnswer(answer);
  self.name.textContent = answer.model;
  self.translation.textContent = answer.translation;
  const absent = self.view === null ? "; this model has no attention, so no alignment" : "";
  self.facts.textContent = `${answer.milliseconds.toFixed(0)} ms, score ${answer.score.toFixed(3)}${absent}`;
  self.readout.textContent = "";
  self.views.hidden = self.view === null || answer.target_words.length === 0;
  if (!self.views.hidden) draw(self);
}

function draw(self) {
  const colours = tables[dark.matches ? "dark" : "light"];
  self.drawMatrix.draw(self.view, { threshold: THRESHOLD, colours });
  self.drawLines.draw(self.view, { threshold: THRESHOLD });
}

/** The explorer in its frame follows while it is open. */
function explore() {
  if (!find("explore").open) return;
  const { text, model, beam, length_penalty } = choices();
  const address = text.trim() ? `/explorer${linkFromChoices({ text, model, beam, length_penalty, n_best: Math.min(beam ?? 3, 3) })}` : "about:blank";
  if (find("frame").getAttribute("src") === address) return;
  if (!find("status").textContent) tell(ON_ITS_WAY);
  find("frame").setAttribute("src", address);
}

function tell(message, problem = false) {
  find("status").textContent = message;
  find("status").classList.toggle("problem", problem);
}

const later = debounced(translateAll, TYPING);

function option({ name, source, target }) {
  return html("option", { value: name }, `${name} (${source} to ${target})`);
}

async function start() {
  const { default: first, models, most_characters: longest } = await (await fetch("/api/models")).json();
  find("model").append(...models.map(option));
  find("other").append(...models.map(option));
  find("text").maxLength = longest;
  const linked = choicesFromLink(location.search);
  const known = (name) => models.some((model) => model.name === name);
  find("text").value = linked.text;
  find("model").value = known(linked.model) ? linked.model : first;
  find("other").value = known(linked.other) ? linked.other : "";
  find("beam").value = linked.beam ?? "";
  find("penalty").value = linked.length_penalty ?? "";
  for (const id of ["beam", "penalty"]) find(id).placeholder = "auto";
  find("text").addEventListener("input", later);
  for (const id of ["model", "other", "beam", "penalty"]) find(id).addEventListener("input", later);
  find("explore").addEventListener("toggle", explore);
  find("frame").addEventListener("load", () => find("status").textContent === ON_ITS_WAY && tell(""));
  find("share").addEventListener("click", share);
  dark.addEventListener("change", () => cards.forEach((self) => self.view && draw(self)));
  document.documentElement.dataset.ready = "true";
  if (linked.text) await translateAll();
  else find("text").focus();
}

async function share() {
  history.replaceState(null, "", linkFromChoices(choices()) || location.pathname);
  try {
    await navigator.clipboard.writeText(location.href);
    tell("The link is copied.");
  } catch {
    tell("The link is in the address bar.");
  }
}

start().catch(() => tell("The server does not answer; is it still running?", true));
