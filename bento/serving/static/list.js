// A ranked list: byte offsets of its rows in the service's response, and cumulative sums. The rows themselves are not kept.

import { cellsOf, eachRecord, placesOf, separatorOf } from "./csv.js";

/** Columns that the service adds; if a name occurs more than once, the last one is the service's. */
const ADDED = ["rank", "prediction_id", "probability", "expected_value", "call", "reasons", "problem"];
const HEAD_BYTES = 2 ** 20;
const PART_ROWS = 20_000;
const MOST_PROBLEMS = 1000;

export class List {
  constructor(blob) {
    this.blob = blob;
    this.columns = [];
    this.header = "";
    this.starts = []; // byte offset of row n
    this.ends = [];
    this.subscriptions = [0]; // [n]: expected subscriptions among the best n
    this.called = 0; // rows that the service marked for a call
    this.reasoned = 0;
    this.rejected = []; // [start, end) of each rejected row
    this.problems = []; // of the first rejected rows
    this.marked = false; // has non-ASCII characters, which spreadsheets only read after a byte-order mark
  }

  /** Read the service's CSV response. */
  static async open(blob, onProgress) {
    const list = new List(blob);
    list.separator = separatorOf((await blob.slice(0, HEAD_BYTES).text()).split("\n", 1)[0]);
    await eachRecord(blob, list.separator, (record, start, end) => (list.header ? list.#addRow(record, start, end) : list.#readHeader(record)), onProgress);
    return list;
  }

  get count() {
    return this.starts.length;
  }

  /** Facts about the whole list for the page. */
  summary() {
    const { columns, count, called, reasoned } = this;
    const own = columns.slice(0, columns.length - ADDED.length);
    const added = Object.fromEntries(ADDED.map((name) => [name, columns.lastIndexOf(name)]));
    const [rejected, problems] = [this.rejected.length, this.problems];
    return { columns, own, added, count, called, reasoned, rejected, problems, subscriptions: Float64Array.from(this.subscriptions) };
  }

  /** Return the cells of some rows, in the given order. */
  async rows(numbers) {
    const texts = await Promise.all(Array.from(numbers, (row) => this.blob.slice(this.starts[row], this.ends[row]).text()));
    return texts.map((text) => cellsOf(text, this.separator));
  }

  /** Call `onRow` with the text and number of each ranked row; stops early once `wanted` returns false. */
  async each(onRow, wanted = () => true) {
    for (let first = 0; first < this.count && wanted(); first += PART_ROWS) {
      const last = Math.min(first + PART_ROWS, this.count) - 1;
      let row = first;
      await eachRecord(this.blob.slice(this.starts[first], this.ends[last]), this.separator, (record) => onRow(record, row++));
    }
  }

  /** Return the list as CSV, with the best `calls` marked and expected values at these prices. */
  async csv(calls, prices, asSent) {
    const before = this.starts[0] ?? this.blob.size;
    const after = this.ends[this.count - 1] ?? this.blob.size;
    const parts = [this.#mark(), this.blob.slice(0, before)];
    const [from, to] = asSent ? [Math.min(calls, this.called), Math.max(calls, this.called)] : [0, this.count];
    if (from === to) return new Blob([this.#mark(), this.blob], { type: "text/csv" });
    parts.push(this.blob.slice(before, this.starts[from]));
    for (let first = from; first < to; first += PART_ROWS) {
      const last = Math.min(first + PART_ROWS, to) - 1;
      let row = first;
      const lines = [];
      await eachRecord(this.blob.slice(this.starts[first], this.ends[last]), this.separator, (record) => lines.push(this.#planned(record, row++, calls, prices, asSent)));
      parts.push(`${lines.join("\n")}${last + 1 < this.count ? "\n" : ""}`);
    }
    parts.push(to < this.count ? this.blob.slice(this.starts[to], after) : "", this.blob.slice(after));
    return new Blob(parts, { type: "text/csv" });
  }

  /** Return the rejected rows as CSV, each with its problem. */
  rejectedCsv() {
    const rows = this.rejected.flatMap((place) => [this.blob.slice(...place), "\n"]);
    return new Blob([this.#mark(), this.header, "\n", ...rows], { type: "text/csv" });
  }

  #readHeader(record) {
    this.header = record;
    this.columns = cellsOf(record, this.separator);
  }

  #addRow(record, start, end) {
    const cells = cellsOf(record, this.separator);
    const [probability, , call, reasons, problem] = cells.slice(-5);
    this.marked ||= record.length < end - start;
    if (problem) {
      this.rejected.push([start, end]);
      if (this.problems.length < MOST_PROBLEMS) this.problems.push(problem);
      return;
    }
    this.starts.push(start);
    this.ends.push(end);
    this.subscriptions.push(this.subscriptions[this.count - 1] + Number(probability));
    if (call === "yes") this.called += 1;
    if (reasons) this.reasoned += 1;
  }

  #planned(record, row, calls, prices, asSent) {
    const places = placesOf(record, this.separator).slice(-ADDED.length);
    const [[chance, chanceEnd], worth, call] = [places[2], places[3], places[4]];
    const value = asSent ? record.slice(...worth) : String(Number(record.slice(chance, chanceEnd)) * prices.value - prices.cost);
    return `${record.slice(0, worth[0])}${value}${this.separator}${row < calls ? "yes" : "no"}${record.slice(call[1])}`;
  }

  #mark() {
    return this.marked ? "\ufeff" : "";
  }
}
