// A notice while the model that answers is older than it may be.

import { byId } from "./dom.js";

/** Show it, or nothing of a model that is fresh. */
export function showStale({ stale, trained_through: last, age_months: months }) {
  const notice = byId("stale");
  notice.hidden = !stale;
  notice.textContent = stale
    ? `This model is out of date: it has learned from calls up to ${month(last)}, and from nothing newer for ${months} months. Its ranking may no longer hold.`
    : "";
}

function month(period) {
  return new Date(`${period}-01`).toLocaleDateString("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
}
