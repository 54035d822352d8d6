// The ranked rows: sorted, filtered, a page at a time.

import { element, number, percent } from "./dom.js";

const PAGE = 50;
const SHOWN_FIRST = ["rank", "call", "probability", "expected_value"];
const WORDS = { rank: "Rank", call: "Call", probability: "Probability", expected_value: "Expected value", reasons: "Reasons" };

export class Table {
  constructor({ table, filter, back, next, page }) {
    this.head = table.tHead.rows[0];
    this.body = table.tBodies[0];
    this.page = page;
    this.start = 0;
    this.calls = 0;
    this.sorted = { name: "rank", down: false };
    this.back = back;
    this.next = next;
    this.filter = filter;
    filter.addEventListener("input", () => this.#arrange());
    back.addEventListener("click", () => this.#turn(-PAGE));
    next.addEventListener("click", () => this.#turn(PAGE));
  }

  show(ranking, calls) {
    this.ranking = ranking;
    this.calls = calls;
    this.sorted = { name: "rank", down: false };
    this.filter.value = "";
    const reasons = ranking.rows.some((cells) => cells[ranking.place("reasons")]) ? ["reasons"] : [];
    const own = ranking.own().map((name, place) => ({ name, place, words: name }));
    const added = (names) => names.map((name) => ({ name, place: ranking.place(name), words: WORDS[name] }));
    const ids = own.filter((column) => column.name.trim().toLowerCase() === "id");
    this.columns = [...added(SHOWN_FIRST), ...ids, ...added(reasons), ...own.filter((column) => !ids.includes(column))];
    this.#drawHead();
    this.#arrange();
  }

  mark(calls) {
    this.calls = calls;
    if (this.sorted.name === "call") this.#arrange();
    else this.#draw();
  }

  #drawHead() {
    this.head.replaceChildren(
      ...this.columns.map((column) => {
        const button = element("button", { type: "button" }, column.words);
        button.addEventListener("click", () => this.#sortBy(column));
        return element("th", { scope: "col" }, button);
      }),
    );
  }

  #sortBy(column) {
    const again = this.sorted.name === column.name && this.sorted.place === column.place;
    this.sorted = { ...column, down: again ? !this.sorted.down : false };
    this.#arrange();
  }

  #arrange() {
    const wanted = this.filter.value.trim().toLowerCase();
    const place = this.columns.find((column) => column.name === this.sorted.name && (this.sorted.place ?? column.place) === column.place).place;
    const rank = this.ranking.place("rank");
    const matching = wanted
      ? this.ranking.rows.filter((cells) => cells.some((cell) => cell.toLowerCase().includes(wanted)))
      : [...this.ranking.rows];
    if (this.sorted.name === "call") matching.sort((one, other) => this.#called(other, rank) - this.#called(one, rank));
    else if (place !== rank) matching.sort((one, other) => compare(one[place], other[place]));
    if (this.sorted.down) matching.reverse();
    this.matching = matching;
    this.start = 0;
    this.columns.forEach((column, index) => {
      const cell = this.head.cells[index];
      if (column.place === place) cell.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    this.#draw();
  }

  #called(cells, rank) {
    return Number(cells[rank]) <= this.calls ? 1 : 0;
  }

  #turn(by) {
    this.start = Math.min(Math.max(0, this.start + by), Math.max(0, this.matching.length - 1));
    this.#draw();
  }

  #draw() {
    const rank = this.ranking.place("rank");
    const shown = this.matching.slice(this.start, this.start + PAGE);
    this.body.replaceChildren(
      ...shown.map((cells) => {
        const called = this.#called(cells, rank) === 1;
        return element("tr", called ? { class: "call" } : {}, ...this.columns.map((column) => this.#cell(column, cells, called)));
      }),
    );
    const last = this.start + shown.length;
    const all = this.matching.length;
    this.page.textContent = all ? `${number(this.start + 1)} to ${number(last)} of ${number(all)}` : "No row contains that";
    if (this.ranking.count > this.ranking.rows.length) this.page.textContent += ` (the best ${number(this.ranking.rows.length)} are shown; all are in the download)`;
    this.back.disabled = this.start === 0;
    this.next.disabled = last >= all;
  }

  #cell(column, cells, called) {
    const text = cells[column.place];
    if (column.name === "call" && column.words === WORDS.call) return element("td", {}, called ? "yes" : "no");
    if (column.words === WORDS.probability) return element("td", {}, percent(Number(text)));
    if (column.words === WORDS.expected_value) return element("td", {}, Number(text).toFixed(2));
    return element("td", column.name === "reasons" ? { class: "reasons" } : {}, text);
  }
}

function compare(one, other) {
  const [first, second] = [Number(one), Number(other)];
  if (one !== "" && other !== "" && !Number.isNaN(first) && !Number.isNaN(second)) return first - second;
  return one.localeCompare(other);
}
