// A notice that is shown while the current model is out of date.

import { byId } from "./dom.js";

/** Show or hide the notice. */
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
