// The table of the latest runs, and the state of the run that was started on this page.

import { dags, pageOf, run, runs } from "./airflow.js";
import { element } from "./dom.js";

const RUNS_PER_DAG = 5;
const POLL_SECONDS = 4;
const ACTIVE = new Set(["queued", "running"]);

function time(text) {
  return text ? `${text.slice(0, 10)} ${text.slice(11, 16)} UTC` : "";
}

function duration({ start_date: from, end_date: to }) {
  const seconds = from && to ? (new Date(to) - new Date(from)) / 1000 : null;
  if (seconds === null) return "";
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

function chip(each) {
  const href = pageOf(each.dag_id, each.dag_run_id);
  const label = `${each.dag_id}, ${time(each.run_after)}: ${each.state}`;
  return element("a", { class: `chip run-${each.state}`, href, "data-leave": "", "aria-label": label, title: label }, each.state);
}

function row(dag, latest) {
  const [newest] = latest;
  const paused = dag.is_paused ? [" ", element("strong", { class: "bad" }, "paused")] : [];
  const when = newest ? `${time(newest.run_after)}${duration(newest) ? `, ${duration(newest)}` : ""}` : "never ran";
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, element("a", { href: `../dags/${dag.dag_id}`, "data-leave": "" }, dag.dag_id), ...paused),
    element("td", {}, element("span", { class: "runs-of" }, ...latest.map(chip))),
    element("td", {}, when),
    element("td", {}, time(dag.next_dagrun_run_after)),
  );
}

function table(rows) {
  const heads = ["DAG", "Runs, newest first", "Newest", "Next"].map((text) => element("th", { scope: "col" }, text));
  const content = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs by DAG" }, content);
}

/** Show the latest runs, and refresh them while one of them is active. */
export async function showRuns(place) {
  clearTimeout(showRuns.timer);
  let busy = false;
  try {
    const known = await dags();
    const latest = await Promise.all(known.map((dag) => runs(dag.dag_id, RUNS_PER_DAG)));
    busy = latest.flat().some((each) => ACTIVE.has(each.state));
    const empty = "There are no DAGs that you may see, or Airflow has not parsed them yet.";
    place.replaceChildren(known.length ? table(known.map((dag, n) => row(dag, latest[n]))) : element("p", {}, empty));
  } catch (error) {
    place.replaceChildren(element("p", { class: "problem" }, error.message));
  }
  place.setAttribute("aria-busy", "false");
  if (busy) showRuns.timer = setTimeout(() => showRuns(place), POLL_SECONDS * 1000);
}

/** Show that a run was started, and follow its state until it ends. */
export async function follow(place, started) {
  const link = element("a", { href: pageOf(started.dag_id, started.dag_run_id), "data-leave": "" }, started.dag_run_id);
  const state = element("span", {}, started.state);
  place.replaceChildren(`${started.dag_id} was started: `, link, ", ", state, ".");
  let current = started;
  while (ACTIVE.has(current.state) && link.isConnected) {
    await new Promise((done) => setTimeout(done, POLL_SECONDS * 1000));
    try {
      current = await run(started.dag_id, started.dag_run_id);
    } catch {
      continue; // retry: the run does not depend on this page
    }
    if (state.textContent !== current.state) state.textContent = current.state;
  }
}
