// Values that the service read by their spelling, like `September` as `sep`, for the user to verify.

import { byId, count, element } from "./dom.js";

const OTHERS = "…"; // the service's text for further spellings that it does not list

/** @param {{column: string, text: string, value: string, cells: number}[]} readings */
export function showReadings(readings) {
  const part = byId("readings");
  part.hidden = readings.length === 0;
  part.open = false;
  const cells = readings.reduce((sum, each) => sum + each.cells, 0);
  part.querySelector("summary").textContent = `${count(cells, "value")} read by ${cells === 1 ? "its" : "their"} spelling${example(readings)}`;
  part.querySelector("tbody").replaceChildren(...readings.map((each) => element("tr", {},
    element("th", { scope: "row" }, each.column),
    element("td", {}, each.text === OTHERS ? "other spellings" : each.text),
    element("td", {}, each.value === OTHERS ? "other values" : each.value),
    element("td", { class: "number" }, each.cells.toLocaleString("en")))));
}

/** An example: the reading with the most cells. */
function example(readings) {
  const named = readings.filter(({ text }) => text !== OTHERS);
  if (!named.length) return "";
  const { column, text, value } = named.reduce((most, each) => (each.cells > most.cells ? each : most));
  return `, such as ${column} “${text}” as ${value}`;
}

const READING = ["X-Readings", "X-Header-Line", "X-Charset", "X-Separator"];

/** Headers of a response that describe how the list was read, to send to `/workbook`. */
export function readingOf(header) {
  return Object.fromEntries(READING.map((name) => [name, header(name)]).filter(([, value]) => value !== null));
}

/** Report the charset and separator of a text file, and the row with the column names if it is not the first. */
export function dialectOf(reading) {
  const { "X-Header-Line": line, "X-Charset": charset, "X-Separator": separator } = reading;
  const text = charset ? ` Read as ${charset}, with a ${separator} between the cells.` : "";
  return `${text}${line > 1 ? ` The columns are named in row ${line} of the file; the rows above are ignored.` : ""}`;
}
