// A single customer: the score in words and as a bar, with its reasons.

import { call } from "./api.js";
import { bar, byId, element, number, percent, showProblems } from "./dom.js";

/** Score the customer when the form is submitted. */
export function scoreByForm(names, prices) {
  byId("one-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    byId("one-problem").replaceChildren();
    button.disabled = true;
    try {
      show(await scored(names, await prices()));
    } catch (error) {
      byId("one").hidden = true;
      showProblems(byId("one-problem"), error);
    } finally {
      button.disabled = false;
    }
  });
  // open a folded section that contains an invalid value, so that it can be corrected
  byId("one-form").addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
}

async function scored(names, { value, cost }) {
  const query = new URLSearchParams({ capacity: 1, reasons: true, deposit_value: value, call_cost: cost });
  const line = (cells) => `${cells.join(";")}\n`;
  const body = line(names) + line(names.map((name) => byId(`field-${name}`).value));
  return JSON.parse(await (await call("POST", `/rank?${query}`, { body, type: "text/csv" })).blob.text());
}

function show({ ranked: [customer], break_even: least, model }) {
  const { probability, reasons } = customer;
  const pays = probability > least;
  const marked = bar({ share: Math.min(1, probability) }, "fill");
  const mark = element("span", { class: "mark" });
  mark.style.setProperty("--share", Math.min(1, least));
  marked.append(mark);
  byId("one").replaceChildren(
    element("h3", { id: "score-title", tabindex: "-1" }, pays ? "A call is worth it" : "A call is not worth it"),
    element("div", { class: "verdict" },
      element("strong", {}, percent(probability)),
      element("p", {}, `Of 100 customers like this one, about ${number(probability * 100)} would subscribe. A call pays from ${percent(least)} on.`)),
    marked,
    element("p", { class: "note" }, `The line marks ${percent(least)}. Scored by ${model}.`),
    element("h4", {}, "Most important reasons"),
    element("ol", {}, ...listed(reasons)),
    element("p", { class: "note" }, "The bars show how much each reason changes the score: to the right for a call, to the left against it."),
  );
  byId("one").hidden = false;
  byId("score-title").focus();
}

function listed(reasons) {
  const largest = Math.max(...reasons.map((reason) => Math.abs(reason.effect)));
  return reasons.map(({ effect, text }) => {
    const side = effect > 0 ? "for" : "against";
    const filled = element("span", {});
    filled.style.setProperty("--share", largest ? Math.abs(effect) / largest : 0);
    const words = text.replace(/ \([+-][\d.]+\)$/, "");
    return element("li", { class: side },
      element("span", {}, words[0].toUpperCase() + words.slice(1), element("span", { class: "visually-hidden" }, ` speaks ${side} a call`)),
      element("span", { class: "side", "aria-hidden": "true" }, filled));
  });
}
