// The table of last runs, and what became of the run that was started here.

import { dags, pageOf, run, runs } from "./airflow.js";
import { element } from "./dom.js";

const SHOWN = 5;
const SECONDS = 4;
const UNDER_WAY = new Set(["queued", "running"]);

function moment(text) {
  return text ? `${text.slice(0, 10)} ${text.slice(11, 16)} UTC` : "";
}

function took({ start_date: from, end_date: to }) {
  const seconds = from && to ? (new Date(to) - new Date(from)) / 1000 : null;
  if (seconds === null) return "";
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

function chip(each) {
  const href = pageOf(each.dag_id, each.dag_run_id);
  const about = `${each.dag_id}, ${moment(each.run_after)}: ${each.state}`;
  return element("a", { class: `chip run-${each.state}`, href, "data-leave": "", "aria-label": about, title: about }, each.state);
}

function row(dag, latest) {
  const [newest] = latest;
  const paused = dag.is_paused ? [" ", element("strong", { class: "bad" }, "paused")] : [];
  const when = newest ? `${moment(newest.run_after)}${took(newest) ? `, ${took(newest)}` : ""}` : "never ran";
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, element("a", { href: `../dags/${dag.dag_id}`, "data-leave": "" }, dag.dag_id), ...paused),
    element("td", {}, element("span", { class: "runs-of" }, ...latest.map(chip))),
    element("td", {}, when),
    element("td", {}, moment(dag.next_dagrun_run_after)),
  );
}

function table(rows) {
  const heads = ["DAG", "Runs, the newest first", "Newest", "Next"].map((text) => element("th", { scope: "col" }, text));
  const made = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs by DAG" }, made);
}

/** Show the last runs; again while one of them is under way. */
export async function showRuns(place) {
  clearTimeout(showRuns.timer);
  let busy = false;
  try {
    const known = await dags();
    const latest = await Promise.all(known.map((dag) => runs(dag.dag_id, SHOWN)));
    busy = latest.flat().some((each) => UNDER_WAY.has(each.state));
    const empty = "There is no DAG that you may see, or none was read yet.";
    place.replaceChildren(known.length ? table(known.map((dag, n) => row(dag, latest[n]))) : element("p", {}, empty));
  } catch (error) {
    place.replaceChildren(element("p", { class: "problem" }, error.message));
  }
  place.setAttribute("aria-busy", "false");
  if (busy) showRuns.timer = setTimeout(() => showRuns(place), SECONDS * 1000);
}

/** Say of a run that it was started, and what became of it. */
export async function follow(place, started) {
  const link = element("a", { href: pageOf(started.dag_id, started.dag_run_id), "data-leave": "" }, started.dag_run_id);
  const state = element("span", {}, started.state);
  place.replaceChildren(`${started.dag_id} was started: `, link, ", ", state, ".");
  let now = started;
  while (UNDER_WAY.has(now.state) && link.isConnected) {
    await new Promise((done) => setTimeout(done, SECONDS * 1000));
    try {
      now = await run(started.dag_id, started.dag_run_id);
    } catch {
      continue; // Airflow is asked again: the run goes on without this page
    }
    if (state.textContent !== now.state) state.textContent = now.state;
  }
}
