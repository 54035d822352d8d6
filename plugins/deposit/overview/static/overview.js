// Entry point: charts, latest runs, dialogs that trigger DAGs, and links that leave Airflow's frame.

import { trigger } from "./airflow.js";
import { drawCharts } from "./charts.js";
import { byId, element } from "./dom.js";
import { follow, showRuns } from "./runs.js";

/** Open a link from the parent window: Airflow's sandboxed frame can neither navigate its parent nor open windows. */
function leave(event) {
  const link = event.target.closest("a[data-leave]");
  if (!link || window.parent === window) return;
  event.preventDefault();
  const parent = window.parent.document;
  const copy = parent.createElement("a");
  copy.href = link.href;
  if (link.dataset.leave === "new") Object.assign(copy, { target: "_blank", rel: "noopener noreferrer" });
  parent.body.append(copy);
  copy.click();
  copy.remove();
}

/** Parameters of the run: the fixed ones and the filled fields of the form. */
function confOf(dialog) {
  const fields = [...new FormData(dialog.querySelector("form"))].map(([name, value]) => [name, value.trim()]);
  return { ...JSON.parse(dialog.dataset.conf), ...Object.fromEntries(fields.filter(([, value]) => value)) };
}

function prepare(dialog) {
  const problem = dialog.querySelector(".problem");
  const [cancel, start] = ["[data-closes]", "[type=submit]"].map((name) => dialog.querySelector(name));
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => (problem.hidden = true));
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    start.disabled = true; // a double click must not start two runs
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
// on a narrow screen, show the newest months first
for (const map of document.querySelectorAll(".heat")) map.parentElement.scrollLeft = map.scrollWidth;
showRuns(byId("runs"));
