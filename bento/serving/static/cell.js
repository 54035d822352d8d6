// Table cells of ranked customers.

import { bar, element, number, percent } from "./dom.js";

const makers = {
  number: (_, { rank }) => element("td", { class: "number" }, number(rank)),
  call: (_, { called }) => element("td", {}, called ? element("span", { class: "yes" }, "yes") : "no"),
  chance: (_, { chance }) => element("td", {}, element("div", { class: "chance" }, percent(chance), bar({ share: chance }, "fill"))),
  worth: (_, { chance, prices }) => element("td", { class: "number" }, number(chance * prices.value - prices.cost, 2)),
  reasons: (text) => element("td", {}, element("div", { class: "chips" }, ...chips(text))),
  own: (text) => element("td", {}, text),
};

/** Build the cell of a column; `facts` holds the row's rank, whether to call it, its chance, and the prices. */
export function cellOf({ kind, place }, cells, facts) {
  return makers[kind](cells[place], facts);
}

function chips(text) {
  if (!text) return ["–"];
  return text.split("; ").map((reason) => {
    const [, words, effect] = /^(.*) \(([+-][\d.]+)\)$/.exec(reason) ?? [null, reason, "+"];
    const against = effect.startsWith("-");
    return element("span", { class: against ? "chip against" : "chip" },
      element("span", { class: "visually-hidden" }, against ? "against: " : "for: "), `${against ? "▼" : "▲"} ${words}`);
  });
}
