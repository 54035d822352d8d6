// DOM and formatting helpers: elements, numbers, problems, downloads.

/** Create an element; children are nodes or text, never markup. */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) created.setAttribute(attribute, value);
  created.append(...children);
  return created;
}

export function byId(id) {
  return document.getElementById(id);
}

export function number(value, digits = 0) {
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

/** Format an amount, with one decimal if it is below 1000. */
export function amount(value) {
  return number(value, Math.abs(value) < 1000 ? 1 : 0);
}

/** Format a count with its noun: 1 call, 2 calls. */
export function count(value, thing) {
  return `${number(value)} ${thing}${value === 1 ? "" : "s"}`;
}

export function percent(share, digits = 1) {
  return `${number(share * 100, digits)} %`;
}

export function day(moment) {
  return new Date(moment).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
}

/** Create a bar; `shares` (0 to 1) are set as custom properties for the style sheet. */
export function bar(shares, ...parts) {
  const created = element("div", { class: "track", "aria-hidden": "true" }, ...parts.map((name) => element("span", { class: name })));
  for (const [name, share] of Object.entries(shares)) created.style.setProperty(`--${name}`, share);
  return created;
}

/** Show an error with the service's own messages, and move the focus there. */
export function showProblems(place, error) {
  const problems = error.problems ?? [{ row: null, field: null, message: `The page failed: ${error.message}` }];
  const lines = problems.map(({ row, field, message }) => {
    const where = [row === null ? "" : `row ${row + 1}`, field ?? ""].filter(Boolean).join(", ");
    return where ? `${where}: ${message}` : message;
  });
  const content = lines.length === 1 ? element("p", {}, lines[0]) : element("ul", {}, ...lines.map((line) => element("li", {}, line)));
  place.replaceChildren(element("strong", {}, "That did not work."), content);
  place.focus();
}

/** Download a Blob as a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
