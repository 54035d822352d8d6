// Reading CSV as RFC 4180 has it, piece by piece, so that a million rows need no second copy.

/** Feed it text; it gives each record as its cells, its raw text and where in that each cell begins. */
export class CsvReader {
  /** @param {string} separator @param {(cells: string[], raw: string, starts: number[]) => void} onRecord */
  constructor(separator, onRecord) {
    this.separator = separator;
    this.onRecord = onRecord;
    this.rest = "";
  }

  feed(text) {
    const content = this.rest + text;
    let start = 0;
    for (let end = this.#recordEnd(content, start); end >= 0; end = this.#recordEnd(content, start)) {
      this.#emit(content.slice(start, end));
      start = end + 1;
    }
    this.rest = content.slice(start);
  }

  end() {
    if (this.rest) this.#emit(this.rest);
    this.rest = "";
  }

  #recordEnd(content, start) {
    let end = content.indexOf("\n", start);
    while (end >= 0 && quotes(content, start, end) % 2) end = content.indexOf("\n", end + 1);
    return end;
  }

  #emit(raw) {
    const record = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (record === "") return;
    const { cells, starts } = split(record, this.separator);
    this.onRecord(cells, record, starts);
  }
}

/** The cells of one record and the place where each begins. */
export function split(record, separator) {
  if (!record.includes('"')) {
    const cells = record.split(separator);
    let at = 0;
    const starts = cells.map((cell) => {
      const start = at;
      at += cell.length + 1;
      return start;
    });
    return { cells, starts };
  }
  const cells = [];
  const starts = [];
  for (let at = 0; at <= record.length; ) {
    starts.push(at);
    let end;
    if (record[at] === '"') {
      end = at + 1;
      while (end < record.length && (record[end] !== '"' || record[end + 1] === '"')) end += record[end] === '"' ? 2 : 1;
      cells.push(record.slice(at + 1, end).replaceAll('""', '"'));
      end = indexOrEnd(record, separator, end);
    } else {
      end = indexOrEnd(record, separator, at);
      cells.push(record.slice(at, end));
    }
    at = end + 1;
  }
  return { cells, starts };
}

/** Which separator a header uses. */
export function separatorOf(header) {
  return [";", ",", "\t"].reduce((best, one) => (header.split(one).length > header.split(best).length ? one : best));
}

/** All of a Blob, as text, in pieces. */
export async function eachPiece(blob, onText) {
  const reader = blob.stream().pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) onText(piece.value);
}

function quotes(content, start, end) {
  let count = 0;
  for (let at = content.indexOf('"', start); at >= 0 && at < end; at = content.indexOf('"', at + 1)) count += 1;
  return count;
}

function indexOrEnd(text, what, from) {
  const found = text.indexOf(what, from);
  return found < 0 ? text.length : found;
}
