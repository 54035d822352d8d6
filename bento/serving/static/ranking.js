// A ranked list as the page holds it: all scores, the first rows whole, and the answer itself for the download.

import { CsvReader, eachPiece, separatorOf } from "./csv.js";

export const KEPT_ROWS = 100_000;
const ADDED = ["rank", "prediction_id", "probability", "expected_value", "call", "reasons", "problem"];

/** Read the service's CSV answer. */
export async function readRanking(blob) {
  const head = await blob.slice(0, 65536).text();
  const ranking = new Ranking(blob, separatorOf(head.slice(0, head.indexOf("\n"))));
  await ranking.read();
  return ranking;
}

class Ranking {
  constructor(blob, separator) {
    this.blob = blob;
    this.separator = separator;
    this.columns = [];
    this.rows = []; // the first KEPT_ROWS, as cells
    this.rejected = []; // raw lines and their problems
    this.count = 0;
    this.called = 0; // as the service marked them
    this.subscriptions = new Float64Array(1024); // [n] = expected among the best n
  }

  async read() {
    await this.#each((cells, raw) => this.#take(cells, raw));
  }

  /** The list as CSV with the best `calls` marked to be called. */
  async csv(calls) {
    if (calls === this.called) return this.blob;
    const parts = [];
    const [rank, call] = [this.place("rank"), this.place("call")];
    await this.#each((cells, raw, starts) => {
      const mark = Number(cells[rank]) <= calls ? "yes" : "no";
      const changed = parts.length === 0 || cells[rank] === "" ? raw : raw.slice(0, starts[call]) + mark + raw.slice(starts[call] + cells[call].length);
      parts.push(`${changed}\n`);
    }, true);
    return new Blob(parts, { type: "text/csv" });
  }

  /** The rejected rows as CSV. */
  rejectedCsv() {
    return new Blob([this.header, "\n", ...this.rejected.map((row) => `${row.raw}\n`)], { type: "text/csv" });
  }

  /** What the best `calls` bring, for these prices. */
  outlook(calls, value, cost) {
    const subscriptions = this.subscriptions[calls];
    const all = this.subscriptions[this.count];
    return {
      subscriptions,
      profit: subscriptions * value - calls * cost,
      share: all ? subscriptions / all : 0,
      random: this.count ? (all * calls) / this.count : 0,
    };
  }

  /** How many calls bring the most. */
  mostProfitable(value, cost) {
    let best = 0;
    let most = 0;
    for (let calls = 1; calls <= this.count; calls += 1) {
      const profit = this.subscriptions[calls] * value - calls * cost;
      if (profit > most) [best, most] = [calls, profit];
    }
    return best;
  }

  /** Place of a column that the service added: the last of that name. */
  place(name) {
    return this.columns.lastIndexOf(name);
  }

  /** The columns that came with the list. */
  own() {
    return this.columns.slice(0, this.columns.length - ADDED.length);
  }

  async #each(onRow, withHeader = false) {
    let first = true;
    const reader = new CsvReader(this.separator, (cells, raw, starts) => {
      if (first) {
        this.columns = cells;
        this.header = raw;
        first = false;
        if (!withHeader) return;
      }
      onRow(cells, raw, starts);
    });
    await eachPiece(this.blob, (text) => reader.feed(text));
    reader.end();
  }

  #take(cells, raw) {
    const problem = cells[this.place("problem")];
    if (problem) {
      this.rejected.push({ raw, problem });
      return;
    }
    this.count += 1;
    if (this.count >= this.subscriptions.length) {
      const larger = new Float64Array(this.subscriptions.length * 2);
      larger.set(this.subscriptions);
      this.subscriptions = larger;
    }
    this.subscriptions[this.count] = this.subscriptions[this.count - 1] + Number(cells[this.place("probability")]);
    if (cells[this.place("call")] === "yes") this.called += 1;
    if (this.rows.length < KEPT_ROWS) this.rows.push(cells);
  }
}
