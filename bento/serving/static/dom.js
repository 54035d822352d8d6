// Small things of the page: elements, numbers, problems.

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

export function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

/** Show what was wrong, as the service said it. */
export function showProblems(place, error) {
  const problems = error.problems ?? [{ row: null, field: null, message: `The page failed: ${error.message}` }];
  const lines = problems.map(({ row, field, message }) => {
    const where = [row === null ? "" : `row ${row + 1}`, field ?? ""].filter(Boolean).join(", ");
    return where ? `${where}: ${message}` : message;
  });
  const told = lines.length === 1 ? [element("p", {}, lines[0])] : [element("ul", {}, ...lines.map((line) => element("li", {}, line)))];
  place.replaceChildren(element("strong", {}, "That did not work."), ...told);
}

export function clear(place) {
  place.replaceChildren();
}
