// Which model answers, since when, and how well it ranked months that it had not seen.

import { bar, byId, day, element } from "./dom.js";

/** Fill the card at the top. */
export function showModel({ model_id: name, created, metrics }) {
  const { roc_auc: auc, roc_auc_low: low, roc_auc_high: high } = metrics;
  const measured = auc !== undefined; // there may be no ranking to measure: every test month had one outcome only
  const known = measured && low !== undefined && high !== undefined;
  const card = byId("model");
  card.replaceChildren(
    element("h2", {}, name, created ? element("small", {}, `since ${day(created)}`) : ""),
    element("p", {}, "Out-of-time ROC AUC ", element("strong", {}, measured ? auc.toFixed(3) : "–"), known ? ` (95 %: ${low.toFixed(3)} to ${high.toFixed(3)})` : ""),
    measured ? bar({ share: scaled(auc), low: scaled(low ?? auc), high: scaled(high ?? auc) }, "fill", ...(known ? ["range"] : [])) : "",
    element("p", {}, "How well it ranks months that it never saw: 0.5 is chance, 1 is perfect."),
  );
  card.setAttribute("aria-busy", "false");
}

/** Say that it cannot be told. */
export function showNoModel() {
  byId("model").replaceChildren(element("p", {}, "Which model answers is not known now."));
  byId("model").setAttribute("aria-busy", "false");
}

function scaled(auc) {
  return Math.min(1, Math.max(0, (auc - 0.5) * 2));
}
