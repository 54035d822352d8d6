// The current model: its id and date, the profit of calls it would have chosen, and its ranking of unseen months.

import { bar, byId, day, element, number } from "./dom.js";

/** Fill the card at the top. */
export function showModel({ model_id: name, created, metrics }) {
  const card = byId("model");
  card.replaceChildren(
    element("h2", {}, name, created ? element("small", {}, `since ${day(created)}`) : ""),
    ...worth(metrics),
    ...ranking(metrics),
  );
  card.setAttribute("aria-busy", "false");
}

/** Show that the model is unknown. */
export function showNoModel() {
  byId("model").replaceChildren(element("p", {}, "The model’s details are not available now."));
  byId("model").setAttribute("aria-busy", "false");
}

/** Profit at the prices of the training; older models were stored without these figures. */
function worth({ profit, profit_month_low: low, profit_month_high: high, profit_call_everyone: everyone, profit_random: random, deposit_value: value, call_cost: cost }) {
  if (value === undefined || profit === undefined) return [];
  const more = everyone > Math.max(profit, 0) ? "Calling everyone earned more: choosing pays off if there are fewer calls than customers." : "";
  const none = profit < 0 && everyone < 0 ? "Calling nobody would have been best." : "";
  return [
    element("p", {}, "Calls chosen by this model earned ", element("strong", {}, number(profit)), ` (95 %: ${number(low)} to ${number(high)}) in the months it was tested on, at ${value} a subscription and ${cost} a call; calling everyone ${number(everyone)}, as many at random ${number(random)}. `, element("strong", {}, more || none)),
  ];
}

/** Ranking quality within a month; older models may only have the figure for all months pooled, or none. */
function ranking(metrics) {
  const [kind, words] = metrics.roc_auc_month_mean === undefined ? ["roc_auc", "all months pooled"] : ["roc_auc_month_mean", "mean of the months"];
  const bounds = kind === "roc_auc" ? kind : `${kind}_month`;
  const [auc, low, high] = [metrics[kind], metrics[`${bounds}_low`], metrics[`${bounds}_high`]];
  const measured = auc !== undefined; // there may be no ranking to measure: every test month had one outcome only
  const known = measured && low !== undefined && high !== undefined;
  return [
    element("p", {}, "Out-of-time ROC AUC, ", `${words}: `, element("strong", {}, measured ? auc.toFixed(3) : "–"), known ? ` (95 %: ${low.toFixed(3)} to ${high.toFixed(3)})` : ""),
    measured ? bar({ share: scaled(auc), low: scaled(low ?? auc), high: scaled(high ?? auc) }, "fill", ...(known ? ["range"] : [])) : "",
    element("p", {}, "How well the model ranks months that it never saw: 0.5 is chance, 1 is perfect."),
  ];
}

function scaled(auc) {
  return Math.min(1, Math.max(0, (auc - 0.5) * 2));
}
