// The page: what happens when.

import { call, getJson, onKeyNeeded } from "./api.js";
import { makeForm } from "./customer.js";
import { byId, clear, element, number, percent, showProblems } from "./dom.js";
import { GainCurve } from "./gain.js";
import { readRanking } from "./ranking.js";
import { Table } from "./table.js";

const table = new Table({ table: byId("table"), filter: byId("filter"), back: byId("back"), next: byId("next"), page: byId("page") });
const curve = new GainCurve(byId("chart"));
let ranking = null;

onKeyNeeded((again) => new Promise((resolve) => {
  const dialog = byId("key-dialog");
  byId("key-told").textContent = again ? "That key is not known here, or was revoked. Try another." : "The operator of this service gives you one. It is kept in this tab only.";
  byId("key").value = "";
  dialog.returnValue = "";
  byId("key-cancel").onclick = () => dialog.close("");
  dialog.onclose = () => resolve(dialog.returnValue === "ok" ? byId("key").value.trim() : null);
  dialog.showModal();
}));

async function showModel() {
  const { models, deposit_value: value, call_cost: cost } = await getJson("/models");
  const model = models.find((one) => one.live);
  const auc = model.metrics;
  const range = auc.roc_auc_low === undefined ? "" : ` (${auc.roc_auc_low.toFixed(3)} to ${auc.roc_auc_high.toFixed(3)})`;
  const since = model.created ? `, made on ${model.created.slice(0, 10)}` : "";
  byId("model").replaceChildren(
    element("small", {}, "Answered by ", element("strong", {}, model.model_id), `${since}; out of time it ranks with ROC AUC ${auc.roc_auc.toFixed(3)}${range}.`));
  byId("value").value = value;
  byId("cost").value = cost;
}

async function rank(list, name) {
  clear(byId("problem"));
  byId("result").hidden = true;
  byId("working").hidden = false;
  byId("rank").disabled = true;
  const form = new FormData();
  form.append("reasons", byId("reasons").checked);
  if (prices().value > 0) form.append("deposit_value", prices().value);
  if (prices().cost > 0) form.append("call_cost", prices().cost);
  form.append("file", list, name);
  try {
    const blob = await call("POST", "/rank", { body: form, accept: "text/csv", onProgress: progress });
    progress("reading", null);
    ranking = await readRanking(blob);
    showRanking();
  } catch (error) {
    showProblems(byId("problem"), error);
  } finally {
    byId("working").hidden = true;
    byId("rank").disabled = false;
  }
}

function progress(phase, share) {
  const words = { sending: "Sending the list…", scoring: "Scoring…", receiving: "Receiving the ranked list…", reading: "Reading the ranked list…" };
  byId("progress-text").textContent = share === null ? words[phase] : `${words[phase]} ${Math.round(share * 100)} %`;
  if (share === null) byId("progress").removeAttribute("value");
  else byId("progress").value = share * 100;
}

function showRanking() {
  byId("result").hidden = false;
  const rejected = ranking.rejected.length;
  byId("told").textContent = `${number(ranking.count)} customers ranked${rejected ? `, ${number(rejected)} rows rejected (see below)` : ""}.`;
  for (const id of ["calls", "slider"]) byId(id).max = ranking.count;
  byId("rejected").hidden = rejected === 0;
  byId("rejected").querySelector("summary").textContent = `${number(rejected)} rejected rows`;
  byId("rejected").querySelector("ul").replaceChildren(...ranking.rejected.slice(0, 1000).map((row) => element("li", {}, row.problem)));
  link("rejected-download", ranking.rejectedCsv());
  table.show(ranking, ranking.called);
  curve.show(ranking, prices());
  plan(ranking.called);
  byId("result-title").focus();
}

/** Plan so many calls: marks, numbers, curve and download follow. */
function plan(wanted) {
  const calls = Math.min(Math.max(0, Math.round(wanted) || 0), ranking.count);
  for (const id of ["calls", "slider"]) byId(id).value = calls;
  const { value, cost } = prices();
  const { subscriptions, profit, share, random } = ranking.outlook(calls, value, cost);
  const rows = [
    ["Expected subscriptions", number(subscriptions, 1)],
    ["Expected profit", number(profit, 1)],
    ["Share of all expected subscriptions", percent(share)],
    ["Calling as many at random", `${number(random, 1)} subscriptions`],
  ];
  byId("outlook").replaceChildren(...rows.flatMap(([term, said]) => [element("dt", {}, term), element("dd", {}, said)]));
  table.mark(calls);
  curve.move(calls);
}

function prices() {
  return { value: Number(byId("value").value), cost: Number(byId("cost").value) };
}

function link(id, blob) {
  const anchor = byId(id);
  if (anchor.dataset.url) URL.revokeObjectURL(anchor.dataset.url);
  anchor.dataset.url = anchor.href = URL.createObjectURL(blob);
}

byId("list-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const pasted = byId("paste").value.trim();
  const [file] = byId("file").files;
  if (file) rank(file, file.name);
  else if (pasted) rank(new Blob([pasted, "\n"], { type: "text/csv" }), "pasted.csv");
  else showProblems(byId("problem"), { problems: [{ row: null, field: null, message: "Choose a file, paste rows, or try the example." }] });
});
byId("example").addEventListener("click", async () => {
  byId("file").value = "";
  rank(await call("GET", "/assets/example.csv"), "example.csv");
});
byId("paste").addEventListener("input", () => { byId("file").value = ""; });
byId("calls").addEventListener("change", (event) => plan(event.target.valueAsNumber));
byId("slider").addEventListener("input", (event) => plan(event.target.valueAsNumber));
for (const id of ["value", "cost"]) {
  byId(id).addEventListener("change", () => {
    if (ranking === null || !byId(id).checkValidity()) return;
    curve.show(ranking, prices());
    plan(Number(byId("calls").value));
  });
}
byId("best").addEventListener("click", () => plan(ranking.mostProfitable(prices().value, prices().cost)));
byId("download").addEventListener("click", async (event) => {
  const anchor = event.currentTarget;
  if (anchor.dataset.ready === "yes") {
    anchor.dataset.ready = "";
    return; // the click that we make below
  }
  event.preventDefault();
  link("download", await ranking.csv(Number(byId("calls").value)));
  anchor.dataset.ready = "yes";
  anchor.click();
});
const drop = byId("drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) {
      byId("file").files = event.dataTransfer.files;
      byId("list-form").requestSubmit();
    }
  });
}

try {
  await makeForm();
} catch (error) {
  showProblems(byId("one-problem"), error);
}
try {
  await showModel();
} catch (error) {
  byId("model").textContent = "Which model answers could not be asked.";
  showProblems(byId("problem"), error);
}
