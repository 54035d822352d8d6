// Airflow's REST API, as whoever is logged in: the browser sends the session's cookie, Airflow decides what it allows.

const API = "../api/v2";

async function ask(path, options = {}) {
  const answer = await fetch(`${API}/${path}`, { credentials: "same-origin", ...options });
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  const detail = typeof content.detail === "string" ? content.detail : JSON.stringify(content.detail ?? answer.statusText);
  if (answer.status === 401) throw new Error("Your session is over: log in to Airflow again.");
  if (answer.status === 403) throw new Error("Airflow does not allow you this.");
  throw new Error(`Airflow refused it (HTTP ${answer.status}): ${detail}`);
}

/** The DAGs of this project that one may see. */
export async function dags() {
  return (await ask("dags?tags=deposit&order_by=dag_id&limit=100")).dags;
}

/** The newest runs of a DAG, the newest first. */
export async function runs(dag, limit) {
  return (await ask(`dags/${encodeURIComponent(dag)}/dagRuns?order_by=-run_after&limit=${limit}`)).dag_runs;
}

/** One run as it stands. */
export function run(dag, id) {
  return ask(`dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(id)}`);
}

/** Start a run; JSON, which no page of another origin can send with the cookie. */
export function trigger(dag, conf) {
  return ask(`dags/${encodeURIComponent(dag)}/dagRuns`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ logical_date: null, conf }),
  });
}

/** A run's page in Airflow. */
export function pageOf(dag, id) {
  return `../dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(id)}`;
}
