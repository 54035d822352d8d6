// Reading CSV as RFC 4180 has it: a Blob record by record, a record cell by cell.

const NEWLINE = 10;
const QUOTE = 34;
const RETURN = 13;

/**
 * Give each record of a Blob that is not empty; reads it in pieces, so that its size does not matter.
 * @param {Blob} blob
 * @param {string} separator
 * @param {(record: string, start: number, end: number) => void} onRecord text without its newline, and its bytes in the Blob
 * @param {(share: number) => void} [onProgress]
 */
export async function eachRecord(blob, separator, onRecord, onProgress = () => {}) {
  const sign = separator.charCodeAt(0);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = blob.stream().getReader();
  let rest = new Uint8Array(0);
  let begin = 0; // of `rest` in the Blob
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const bytes = joined(rest, piece.value);
    const text = decoder.decode(bytes);
    const plain = text.length === bytes.length; // then a letter is a byte, and all can be decoded at once
    const used = eachWhole(bytes, sign, (from, to) => {
      onRecord(plain ? text.slice(from, to) : decoder.decode(bytes.subarray(from, to)), begin + from, begin + to);
    });
    rest = bytes.slice(used);
    begin += used;
    onProgress(begin / blob.size);
  }
  if (rest.length) onRecord(decoder.decode(rest), begin, begin + rest.length);
}

/** Give the place of each record that ends in these bytes; gives how many bytes they took. A quote opens where a cell begins. */
function eachWhole(bytes, sign, onPlace) {
  let start = 0;
  let quoted = false;
  let fresh = true;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (quoted) {
      if (byte !== QUOTE) continue;
      if (bytes[at + 1] === QUOTE) at += 1;
      else quoted = false;
      continue;
    }
    if (byte === NEWLINE) {
      const end = at > start && bytes[at - 1] === RETURN ? at - 1 : at;
      if (end > start) onPlace(start, end);
      start = at + 1;
    } else if (byte === QUOTE && fresh) quoted = true;
    fresh = byte === NEWLINE || byte === sign;
  }
  return start;
}

/** The cells of one record. */
export function cellsOf(record, separator) {
  if (!record.includes('"')) return record.split(separator);
  return placesOf(record, separator).map(([start, end]) => unquoted(record.slice(start, end)));
}

/** One cell of a record. */
export function cellAt(record, separator, place) {
  if (record.includes('"')) return cellsOf(record, separator)[place];
  let start = 0;
  for (let before = 0; before < place; before += 1) start = record.indexOf(separator, start) + 1;
  const end = record.indexOf(separator, start);
  return end < 0 ? record.slice(start) : record.slice(start, end);
}

/** Where each cell of a record stands: [start, end). */
export function placesOf(record, separator) {
  const places = [];
  for (let at = 0; at <= record.length; ) {
    const end = cellEnd(record, separator, at);
    places.push([at, end]);
    at = end + 1;
  }
  return places;
}

/** Which separator a header uses. */
export function separatorOf(header) {
  return [";", ",", "\t"].reduce((best, one) => (header.split(one).length > header.split(best).length ? one : best));
}

function cellEnd(record, separator, start) {
  let at = start;
  if (record[at] === '"') {
    at += 1;
    while (at < record.length && (record[at] !== '"' || record[at + 1] === '"')) at += record[at] === '"' ? 2 : 1;
  }
  const end = record.indexOf(separator, at);
  return end < 0 ? record.length : end;
}

function unquoted(cell) {
  return cell.startsWith('"') ? cell.slice(1, cell.endsWith('"') && cell.length > 1 ? -1 : undefined).replaceAll('""', '"') : cell;
}

function joined(first, second) {
  if (!first.length) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
