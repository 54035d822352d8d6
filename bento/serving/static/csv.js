// A CSV reader according to RFC 4180: reads a Blob record by record, and a record cell by cell.

const NEWLINE = 10;
const QUOTE = 34;
const RETURN = 13;

/**
 * Call `onRecord` for each non-empty record of a Blob, which is read in chunks, so that its size does not matter.
 * @param {Blob} blob
 * @param {string} separator
 * @param {(record: string, start: number, end: number) => void} onRecord text without its newline, and its byte range in the Blob
 * @param {(share: number) => void} [onProgress]
 */
export async function eachRecord(blob, separator, onRecord, onProgress = () => {}) {
  const sign = separator.charCodeAt(0);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = blob.stream().getReader();
  let rest = new Uint8Array(0);
  let begin = 0; // offset of `rest` in the Blob
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const bytes = joined(rest, piece.value);
    const text = decoder.decode(bytes);
    const plain = text.length === bytes.length; // ASCII: every character is one byte, so the decoded text can be sliced
    const used = eachWhole(bytes, sign, (from, to) => {
      onRecord(plain ? text.slice(from, to) : decoder.decode(bytes.subarray(from, to)), begin + from, begin + to);
    });
    rest = bytes.slice(used);
    begin += used;
    onProgress(begin / blob.size);
  }
  if (rest.length) onRecord(decoder.decode(rest), begin, begin + rest.length);
}

/** Call `onPlace` with the range of each complete record; returns the number of bytes consumed. A quote only opens at the start of a cell. */
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

/** Split a record into its cells. */
export function cellsOf(record, separator) {
  if (!record.includes('"')) return record.split(separator);
  return placesOf(record, separator).map(([start, end]) => unquoted(record.slice(start, end)));
}

/** Return one cell of a record. */
export function cellAt(record, separator, place) {
  if (record.includes('"')) return cellsOf(record, separator)[place];
  let start = 0;
  for (let before = 0; before < place; before += 1) start = record.indexOf(separator, start) + 1;
  const end = record.indexOf(separator, start);
  return end < 0 ? record.slice(start) : record.slice(start, end);
}

/** Return the range of each cell of a record: [start, end). */
export function placesOf(record, separator) {
  const places = [];
  for (let at = 0; at <= record.length; ) {
    const end = cellEnd(record, separator, at);
    places.push([at, end]);
    at = end + 1;
  }
  return places;
}

/** Detect the separator of a header. */
export function separatorOf(header) {
  return [";", ",", "\t", "|"].reduce((best, one) => (header.split(one).length > header.split(best).length ? one : best));
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
