// Filtering and sorting of the table's rows, by reading the list once, in the worker.

import { cellAt, cellsOf } from "./csv.js";

const MOST_COLLATED = 20_000;

/**
 * Return the numbers of the rows that contain a text, ordered by a column, or null if a newer request replaced this one.
 * @param {import("./list.js").List} list
 * @param {{column: ?number, down: boolean, text: string, calls: ?[number, number]}} question `calls`: only rows from calls[0] up to calls[1]
 * @param {() => boolean} wanted
 */
export async function order(list, { column, down, text, calls }, wanted) {
  const [from, to] = calls ?? [0, list.count];
  const sought = text.trim().toLowerCase();
  if (!sought && column === null) return sequence(from, to, down);
  const rows = [];
  const keys = [];
  await list.each((record, row) => {
    if (row < from || row >= to || (sought && !contains(list, record, sought))) return;
    rows.push(row);
    if (column !== null) keys.push(cellAt(record, list.separator, column));
  }, wanted);
  if (!wanted()) return null;
  if (column === null) return Uint32Array.from(down ? rows.reverse() : rows);
  return sorted(rows, keys, down);
}

function sequence(from, to, down) {
  const count = Math.max(0, to - from);
  return Uint32Array.from({ length: count }, (_, n) => (down ? to - 1 - n : from + n));
}

function contains(list, record, sought) {
  if (!record.toLowerCase().includes(sought)) return false;
  const cells = cellsOf(record, list.separator); // own cells and reasons only: prediction ids would match almost any digits
  return cells.some((cell, place) => place < cells.length - 7 && cell.toLowerCase().includes(sought)) || cells.at(-2).toLowerCase().includes(sought);
}

function sorted(rows, keys, down) {
  const numbers = Float64Array.from(keys, (key) => (key.trim() === "" ? Infinity : Number(key.replace(",", "."))));
  const values = numbers.some(Number.isNaN) ? places(keys) : numbers;
  const sign = down ? -1 : 1;
  const index = Uint32Array.from(rows, (_, n) => n);
  index.sort((one, other) => sign * (values[one] - values[other] || 0) || one - other);
  return index.map((n) => rows[n]);
}

/** Return the rank of each text among the distinct texts. */
function places(texts) {
  const different = [...new Set(texts)];
  const { compare } = new Intl.Collator("en", { numeric: true });
  different.sort(different.length > MOST_COLLATED ? undefined : compare);
  const place = new Map(different.map((one, n) => [one, n]));
  return Float64Array.from(texts, (one) => place.get(one));
}
