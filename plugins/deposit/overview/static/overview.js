// Joins the parts: curves, last runs, dialogs that trigger DAGs, links that lead out of Airflow's frame.

import { trigger } from "./airflow.js";
import { drawCharts } from "./charts.js";
import { byId, element } from "./dom.js";
import { follow, showRuns } from "./runs.js";

/** Airflow shows this page in a frame that may open and leave nothing: its own window follows the link instead. */
function leave(event) {
  const link = event.target.closest("a[data-leave]");
  if (!link || window.parent === window) return;
  event.preventDefault();
  const outside = window.parent.document;
  const followed = outside.createElement("a");
  followed.href = link.href;
  if (link.dataset.leave === "new") Object.assign(followed, { target: "_blank", rel: "noopener noreferrer" });
  outside.body.append(followed);
  followed.click();
  followed.remove();
}

/** What a dialog's form gives; what is left empty is not sent. */
function confOf(dialog) {
  const given = [...new FormData(dialog.querySelector("form"))].map(([name, value]) => [name, value.trim()]);
  return { ...JSON.parse(dialog.dataset.conf), ...Object.fromEntries(given.filter(([, value]) => value)) };
}

function prepare(dialog) {
  const problem = dialog.querySelector(".problem");
  const [cancel, start] = ["[data-closes]", "[type=submit]"].map((name) => dialog.querySelector(name));
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => (problem.hidden = true));
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    start.disabled = true; // one press, one run
    try {
      const started = await trigger(dialog.dataset.dag, confOf(dialog));
      dialog.close();
      follow(byId("started"), started);
      showRuns(byId("runs"));
    } catch (error) {
      problem.replaceChildren(element("span", {}, error.message));
      problem.hidden = false;
    } finally {
      start.disabled = false;
    }
  });
}

document.addEventListener("click", leave);
for (const dialog of document.querySelectorAll("dialog")) prepare(dialog);
for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => byId(button.dataset.opens).showModal());
}
drawCharts();
// on a narrow screen the newest months are what is looked for
for (const map of document.querySelectorAll(".heat")) map.parentElement.scrollLeft = map.scrollWidth;
showRuns(byId("runs"));
