// Uploading a list (a file, pasted rows or the example), with progress and the result.

import { call, refusal } from "./api.js";
import { ask } from "./desk.js";
import { byId, number, showProblems } from "./dom.js";
import { readingOf } from "./readings.js";

const WORDS = { sending: "Sending the list", scoring: "Scoring", receiving: "Receiving the ranked list", reading: "Reading the ranked list" };
const MEGABYTE = 1e6;

/** Rank a list when the form is submitted; `result` shows it, `prices` returns the prices to rank by. */
export function rankByForm(result, prices) {
  byId("list-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const list = chosen();
    if (list) rank(list, result, prices);
    else showProblems(byId("problem"), refusal("Choose a file, paste rows, or try the example."));
  });
  byId("example").addEventListener("click", async () => {
    const { blob } = await call("GET", "/assets/example.csv");
    rank(new File([blob], "example.csv"), result, prices);
  });
  // of file and pasted rows, the last one chosen is used
  byId("paste").addEventListener("input", () => { byId("file").value = ""; });
  byId("file").addEventListener("change", () => { byId("paste").value = ""; });
  acceptDrops();
}

function chosen() {
  const pasted = byId("paste").value.trim();
  return byId("file").files[0] ?? (pasted ? new File([pasted, "\n"], "pasted.csv") : null);
}

/** Accept files dropped anywhere on the page; otherwise, the browser would leave the page and open the file. */
function acceptDrops() {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      byId("drop").classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      byId("file").files = event.dataTransfer.files;
      byId("paste").value = "";
      byId("rank").focus();
    });
  }
}

async function rank(list, result, prices) {
  const stop = new AbortController();
  const cancel = () => stop.abort();
  byId("cancel").addEventListener("click", cancel);
  begin();
  try {
    const sent = await prices();
    const { blob, header } = await call("POST", "/rank", { body: formOf(list, sent), accept: "text/csv", signal: stop.signal, onProgress: showProgress });
    byId("cancel").hidden = true;
    const summary = await ask("open", { blob }, (share) => showProgress("reading", share));
    await result.show(summary, { name: list.name, sent, reading: readingOf(header) });
  } catch (error) {
    showProblems(byId("problem"), error);
  } finally {
    byId("cancel").removeEventListener("click", cancel);
    byId("working").hidden = true;
    for (const id of ["rank", "example"]) byId(id).disabled = false;
  }
}

function begin() {
  byId("problem").replaceChildren();
  byId("result").hidden = true;
  byId("working").hidden = false;
  byId("cancel").hidden = false;
  byId("cancel").focus();
  for (const id of ["rank", "example"]) byId(id).disabled = true;
  showProgress("sending", 0);
}

function formOf(list, { value, cost }) {
  const form = new FormData();
  form.append("reasons", byId("reasons").checked);
  form.append("capacity", byId("capacity").value);
  if (list === byId("file").files[0]) form.append("charset", byId("charset").value); // pasted rows are UTF-8
  if (value > 0) form.append("deposit_value", value);
  if (cost > 0) form.append("call_cost", cost);
  form.append("file", list, list.name);
  return form;
}

/** Show the progress; `done` is a share from 0 to 1, or bytes for "receiving", or null if unknown. */
function showProgress(phase, done) {
  const share = phase === "receiving" ? null : done;
  const much = phase === "receiving" ? `: ${number(done / MEGABYTE, 1)} MB` : share === null ? "…" : `: ${Math.round(share * 100)} %`;
  byId("progress-text").textContent = WORDS[phase] + much;
  if (share === null) byId("progress").removeAttribute("value");
  else byId("progress").value = share * 100;
}
