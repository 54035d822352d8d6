// What the service read by its spelling: `September` as `sep`. The analyst sees it, and that nothing was misread.

import { byId, count, element } from "./dom.js";

const OTHERS = "…"; // the service's text for spellings beyond those that it names

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

/** One of them, that of most cells. */
function example(readings) {
  const named = readings.filter(({ text }) => text !== OTHERS);
  if (!named.length) return "";
  const { column, text, value } = named.reduce((most, each) => (each.cells > most.cells ? each : most));
  return `, such as ${column} “${text}” as ${value}`;
}

/** In which row the columns' names stand, where that is not the first. */
export function headerRow(line) {
  return line > 1 ? ` The columns are named in row ${line} of the file; what stands above it is left out.` : "";
}
