// Small things of the page: elements, numbers, problems, downloads.

/** A new element; children are nodes or text, never markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

export function number(value, digits = 0) {
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

/** A small count with a digit after the point, a large one without. */
export function amount(value) {
  return number(value, Math.abs(value) < 1000 ? 1 : 0);
}

/** A number of things: 1 call, 2 calls. */
export function count(value, thing) {
  return `${number(value)} ${thing}${value === 1 ? "" : "s"}`;
}

export function percent(share, digits = 1) {
  return `${number(share * 100, digits)} %`;
}

export function day(moment) {
  return new Date(moment).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
}

/** A bar; `shares` (0 to 1) are set as custom properties, which the style sheet reads. */
export function bar(shares, ...parts) {
  const made = element("div", { class: "track", "aria-hidden": "true" }, ...parts.map((name) => element("span", { class: name })));
  for (const [name, share] of Object.entries(shares)) made.style.setProperty(`--${name}`, share);
  return made;
}

/** Show what was wrong, as the service said it, and bring the reader there. */
export function showProblems(place, error) {
  const problems = error.problems ?? [{ row: null, field: null, message: `The page failed: ${error.message}` }];
  const lines = problems.map(({ row, field, message }) => {
    const where = [row === null ? "" : `row ${row + 1}`, field ?? ""].filter(Boolean).join(", ");
    return where ? `${where}: ${message}` : message;
  });
  const told = lines.length === 1 ? element("p", {}, lines[0]) : element("ul", {}, ...lines.map((line) => element("li", {}, line)));
  place.replaceChildren(element("strong", {}, "That did not work."), told);
  place.focus();
}

/** Give the person a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
