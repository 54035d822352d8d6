// Client of Airflow's REST API. It uses the session cookie of the logged-in user, and Airflow checks the permissions.

const API = "../api/v2";

async function request(path, options = {}) {
  const response = await fetch(`${API}/${path}`, { credentials: "same-origin", ...options });
  const content = await response.json().catch(() => ({}));
  if (response.ok) return content;
  const detail = typeof content.detail === "string" ? content.detail : JSON.stringify(content.detail ?? response.statusText);
  if (response.status === 401) throw new Error("Your session has expired: log in to Airflow again.");
  if (response.status === 403) throw new Error("You do not have permission for this in Airflow.");
  throw new Error(`Airflow rejected the request (HTTP ${response.status}): ${detail}`);
}

/** The DAGs of this project that the user may see. */
export async function dags() {
  return (await request("dags?tags=deposit&order_by=dag_id&limit=100")).dags;
}

/** The latest runs of a DAG, newest first. */
export async function runs(dag, limit) {
  return (await request(`dags/${encodeURIComponent(dag)}/dagRuns?order_by=-run_after&limit=${limit}`)).dag_runs;
}

/** The current state of one run. */
export function run(dag, id) {
  return request(`dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(id)}`);
}

/** Start a run. The request is JSON, which a page of another origin cannot send with the cookie. */
export function trigger(dag, conf) {
  return request(`dags/${encodeURIComponent(dag)}/dagRuns`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ logical_date: null, conf }),
  });
}

/** URL of a run in Airflow. */
export function pageOf(dag, id) {
  return `../dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(id)}`;
}
