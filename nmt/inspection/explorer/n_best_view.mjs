/** The n-best list: each hypothesis with its score, one of them chosen. */

import { html } from "./dom.mjs";

export function nBestView(holder, list, { onChoose }) {
  function draw(hypotheses, chosen) {
    holder.hidden = hypotheses.length < 2;
    const inputs = hypotheses.map((_, number) =>
      html("input", { type: "radio", name: "hypothesis", value: number, onchange: () => onChoose(number) }));
    const focused = list.contains(document.activeElement);
    list.replaceChildren(
      ...hypotheses.map(({ text, score }, number) =>
        html("label", {}, inputs[number], html("span", { class: "number" }, score.toFixed(3)), html("span", { dir: "auto" }, text))),
    );
    if (inputs[chosen]) inputs[chosen].checked = true;
    if (focused) inputs[chosen]?.focus();
  }

  return { draw };
}
