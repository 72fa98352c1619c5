/** The explorer page: the reader's choices in one state, and the views drawn from it. */

import { attentionPanel } from "./attention_panel.mjs";
import { html } from "./dom.mjs";
import { hypothesisOf, initialState, settled } from "./model.mjs";
import { nBestView } from "./n_best_view.mjs";
import { themes } from "./themes.mjs";

const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
let state = settled(data, initialState());

const theme = themes(find("theme"), data.colours, draw);
const panel = attentionPanel({ theme, onChange: change });
const hypotheses = nBestView(find("hypotheses"), find("hypothesis-list"), { onChoose: (hypothesis) => change({ hypothesis }) });

function change(choices) {
  state = settled(data, { ...state, ...choices });
  draw();
}

function draw() {
  const sentence = data.sentences[state.sentence];
  const hypothesis = hypothesisOf(data, state);
  find("sentence").value = state.sentence;
  find("source").textContent = sentence.source;
  find("translation").textContent = hypothesis.text;
  find("score").textContent = hypothesis.score.toFixed(3);
  find("confidence").textContent = hypothesis.confidence ? `; ${hypothesis.confidence}` : "";
  find("doubt").hidden = hypothesis.doubtful.length === 0;
  hypotheses.draw(sentence.hypotheses, state.hypothesis);
  panel.draw(hypothesis, state);
}

find("sentence").replaceChildren(...data.sentences.map(({ source }, number) => html("option", { value: number }, `${number + 1}. ${source}`)));
find("sentence-choice").hidden = data.sentences.length < 2;
find("sentence").addEventListener("change", (event) => change({ sentence: Number(event.target.value), hypothesis: 0, step: 0 }));
draw();
document.documentElement.dataset.ready = "true";
performance.mark("ready");
