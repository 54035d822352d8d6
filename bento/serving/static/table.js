// The table of ranked rows with sorting, search and paging; it fetches the visible rows from the worker.

import { ask } from "./desk.js";
import { byId, element, number } from "./dom.js";
import { cellOf } from "./cell.js";

const PAGE = 50;
const SEARCH_PAUSE = 200;
/** Columns that the service adds; sorting by any of them is sorting by rank. */
const RANK = { words: "Rank", kind: "number", place: null };
const CALL = { words: "Call", kind: "call", place: null, best: "descending" };
const CHANCE = { words: "Chance", kind: "chance", place: null, best: "descending" };
const WORTH = { words: "Expected value", kind: "worth", place: null, best: "descending" };

export class Table {
  constructor() {
    this.known = new Set(); // columns that the model uses
    this.table = byId("table");
    this.head = this.table.tHead.rows[0];
    this.body = this.table.tBodies[0];
    byId("wide").checked = matchMedia("(min-width: 820px)").matches;
    let pause = 0;
    byId("filter").addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.#arrange(), SEARCH_PAUSE);
    });
    byId("which").addEventListener("change", () => this.#arrange());
    byId("wide").addEventListener("change", () => this.#drawHead());
    const last = () => Math.max(0, Math.ceil(this.rows.length / PAGE) - 1) * PAGE;
    const turns = { first: () => 0, back: () => this.start - PAGE, next: () => this.start + PAGE, last };
    for (const [id, to] of Object.entries(turns)) byId(id).addEventListener("click", () => this.#turn(Math.min(Math.max(0, to()), last())));
  }

  /** Show a new list; `summary` is the worker's. */
  async show(summary, calls, prices) {
    this.summary = summary;
    this.calls = calls;
    this.prices = prices;
    byId("filter").value = "";
    byId("which").value = "all";
    this.sorted = { ...RANK, direction: "ascending" };
    this.#drawHead();
    await this.#arrange();
  }

  /** Names of the columns that the model does not use. */
  unused({ own }) {
    return own.filter((name) => !this.known.has(plain(name)) && plain(name) !== "id");
  }

  /** Update marks and values to the plan. */
  mark(calls, prices) {
    this.calls = calls;
    this.prices = prices;
    if (byId("which").value === "all") this.#draw();
    else this.#arrange();
  }

  #columns() {
    const { own, added, reasoned } = this.summary;
    const all = own.map((name, place) => ({ words: name, place, kind: "own" }));
    const theirs = all.filter((column) => !this.known.has(plain(column.words)));
    const reasons = reasoned ? [{ words: "Why", place: added.reasons, kind: "reasons" }] : [];
    const few = [RANK, CALL, ...theirs, CHANCE];
    if (!byId("wide").checked) return [...few, ...reasons];
    return [...few, WORTH, ...reasons, ...all.filter((column) => !theirs.includes(column))];
  }

  #drawHead() {
    this.columns = this.#columns();
    this.head.replaceChildren(...this.columns.map((column) => {
      const button = element("button", { type: "button" }, column.words);
      button.addEventListener("click", () => this.#sortBy(column));
      return element("th", ["number", "worth"].includes(column.kind) ? { scope: "col", class: "number" } : { scope: "col" }, button);
    }));
    this.#drawSorted();
    if (this.rows) this.#draw();
  }

  #drawSorted() {
    this.columns.forEach(({ words, place }, index) => {
      const chosen = words === this.sorted.words && place === this.sorted.place;
      if (chosen) this.head.cells[index].setAttribute("aria-sort", this.sorted.direction);
      else this.head.cells[index].removeAttribute("aria-sort");
    });
  }

  async #sortBy({ words, place, best = "ascending" }) {
    const again = this.sorted.words === words && this.sorted.place === place;
    const other = this.sorted.direction === "ascending" ? "descending" : "ascending";
    this.sorted = { words, place, best, direction: again ? other : best };
    await this.#arrange();
    this.#drawSorted();
  }

  async #arrange() {
    const { place, direction, best = "ascending" } = this.sorted;
    const down = place === null ? direction !== best : direction === "descending";
    const part = { all: null, call: [0, this.calls], rest: [this.calls, this.summary.count] }[byId("which").value];
    this.table.setAttribute("aria-busy", "true");
    const rows = await ask("order", { column: place, down, text: byId("filter").value, calls: part });
    if (rows === null) return; // replaced by a newer request
    this.table.removeAttribute("aria-busy");
    this.rows = rows;
    await this.#turn(0);
  }

  async #turn(start) {
    this.start = start;
    const numbers = this.rows.subarray(start, start + PAGE);
    const cells = await ask("rows", { numbers });
    if (this.rows.subarray(this.start, this.start + PAGE).join() !== numbers.join()) return; // another page was requested in the meantime
    this.shown = cells.map((one, place) => ({ cells: one, row: numbers[place] }));
    this.table.closest(".scroll").scrollTop = 0;
    this.#draw();
  }

  #draw() {
    if (!this.shown) return;
    const { added } = this.summary;
    this.body.replaceChildren(...this.shown.map(({ cells, row }) => {
      const called = row < this.calls;
      const facts = { rank: row + 1, called, chance: Number(cells[added.probability]), prices: this.prices };
      return element("tr", called ? { class: "call" } : {}, ...this.columns.map((column) => cellOf(column, cells, facts)));
    }));
    const [all, end] = [this.rows.length, this.start + this.shown.length];
    byId("page").textContent = all ? `${number(this.start + 1)} to ${number(end)} of ${number(all)}` : "No such row";
    for (const id of ["first", "back"]) byId(id).disabled = this.start === 0;
    for (const id of ["next", "last"]) byId(id).disabled = end >= all;
  }
}

/** Normalise a column's name like the service: `Emp_Var_Rate` becomes `emp.var.rate`. */
function plain(name) {
  return name.trim().toLowerCase().replaceAll("_", ".").replace("day.of.week", "day_of_week");
}
