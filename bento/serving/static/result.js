// The ranked list as a whole: planned calls, figures, downloads and rejected rows.

import { call } from "./api.js";
import { ask } from "./desk.js";
import { amount, byId, count, element, number, percent, save, showProblems } from "./dom.js";
import { GainCurve } from "./gain.js";
import { Plan } from "./plan.js";
import { currentPrices, onPrices } from "./prices.js";
import { dialectOf, showReadings } from "./readings.js";
import { Table } from "./table.js";
import { worthOf } from "./worth.js";

const SAY_PAUSE = 600; // ms; a screen reader announces where a slider stops, not each step

export class Result {
  constructor() {
    this.table = new Table();
    this.curve = new GainCurve(byId("chart"), (calls) => this.plan(calls));
    byId("calls").addEventListener("change", (event) => this.plan(event.target.valueAsNumber));
    byId("slider").addEventListener("input", (event) => this.plan(event.target.valueAsNumber));
    byId("best").addEventListener("click", () => this.plan(this.outlooks.mostProfitable()));
    onPrices(() => this.#reprice());
    byId("download").addEventListener("click", () => this.#download("download", "csv", (csv) => csv));
    byId("download-workbook").addEventListener("click", () => this.#download("download-workbook", "xlsx", (csv) => workbookOf(csv, this.reading)));
    byId("rejected-download").addEventListener("click", async () => save(await ask("rejected"), `${this.name}-rejected.csv`));
  }

  /**
   * Show a list that the worker has read.
   * @param {{name: string, sent: {value: number, cost: number}, reading: Record<string, string>}} about `reading` as in the service's headers
   */
  async show(summary, { name, sent, reading }) {
    Object.assign(this, { summary, sent, reading, name: name.replace(/\.\w+$/, ""), calls: summary.called });
    byId("result").hidden = false;
    byId("download-problem").replaceChildren();
    byId("told").textContent = `${count(summary.count, "customer")} ranked${summary.rejected ? `, ${count(summary.rejected, "row")} rejected (see below)` : ""}.${dialectOf(reading)}`;
    showReadings(JSON.parse(reading["X-Readings"]));
    const unused = this.table.unused(summary);
    byId("extra").hidden = unused.length === 0;
    byId("extra").textContent = `Not used for the score: ${unused.join(", ")}.`;
    for (const id of ["calls", "slider"]) byId(id).max = summary.count;
    this.#showRejected();
    this.outlooks = new Plan(summary.subscriptions, currentPrices());
    this.curve.show(this.outlooks);
    await this.table.show(summary, this.calls, this.outlooks.prices);
    this.plan(this.calls);
    byId("result-title").focus();
  }

  /** Set the number of calls, and update marks, figures, curve and download. */
  plan(wanted) {
    this.calls = Math.min(Math.max(0, Math.round(wanted) || 0), this.summary.count);
    for (const id of ["calls", "slider"]) byId(id).value = this.calls;
    byId("slider").setAttribute("aria-valuetext", count(this.calls, "call"));
    const { subscriptions, profit, share, random, gain } = this.outlooks.outlook(this.calls);
    const tiles = [
      ["expected subscriptions", amount(subscriptions)],
      ["expected profit", amount(profit)],
      ["of all expected subscriptions", percent(share, 0)],
      [`than as many calls at random (${amount(random)})`, `${gain < 0.0005 ? "no more" : `${percent(gain, 0)} more`}`],
    ];
    byId("outlook").replaceChildren(...tiles.map(([term, said]) => element("div", {}, element("dt", {}, term), element("dd", {}, said))));
    byId("worth").textContent = worthOf(this.outlooks, this.calls);
    clearTimeout(this.saying);
    this.saying = setTimeout(() => {
      byId("said").textContent = `${count(this.calls, "call")}: ${tiles.map(([term, said]) => `${said} ${term}`).join(", ")}. ${byId("worth").textContent}`;
    }, SAY_PAUSE);
    this.curve.move(this.calls);
    this.table.mark(this.calls, this.outlooks.prices);
  }

  /** Recompute the plan for other prices without a request; a plan of the most profitable number follows it. */
  #reprice() {
    if (!this.summary) return;
    const best = this.calls === this.outlooks.mostProfitable();
    this.outlooks = new Plan(this.summary.subscriptions, currentPrices());
    this.curve.reprice(this.outlooks);
    this.plan(best ? this.outlooks.mostProfitable() : this.calls);
  }

  /** Download the list as planned; `make` converts its CSV to the file. */
  async #download(id, ending, make) {
    const { value, cost } = this.outlooks.prices;
    const asSent = value === this.sent.value && cost === this.sent.cost;
    const [button, name] = [byId(id), this.name];
    byId("download-problem").replaceChildren();
    button.setAttribute("aria-busy", "true");
    try {
      save(await make(await ask("csv", { calls: this.calls, prices: { value, cost }, asSent })), `${name}-ranked.${ending}`);
    } catch (error) {
      showProblems(byId("download-problem"), error);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  #showRejected() {
    const { rejected, problems } = this.summary;
    byId("rejected").hidden = rejected === 0;
    byId("rejected").open = false;
    byId("rejected").querySelector("summary").textContent = `${count(rejected, "rejected row")}`;
    const more = rejected > problems.length ? [element("li", {}, `and ${number(rejected - problems.length)} more, all in the download`)] : [];
    byId("rejected").querySelector("ul").replaceChildren(...problems.map((problem) => element("li", {}, problem)), ...more);
  }
}

/** Convert a CSV to a workbook with the service, which stores nothing. */
async function workbookOf(csv, reading) {
  return (await call("POST", "/workbook", { body: csv, type: "text/csv", headers: reading })).blob;
}
