// The form fields of a customer, generated from the service's OpenAPI document.

import { byId, element } from "./dom.js";

const GROUPS = [
  ["The customer", ["age", "job", "marital", "education", "default", "housing", "loan"]],
  ["The call", ["contact", "month", "day_of_week", "campaign"]],
  ["Earlier campaigns", ["poutcome", "pdays", "previous"]],
];
const ECONOMY = "The economy at the time of the call";
const WORDS = {
  "admin.": "administration", "basic.4y": "basic, 4 years", "basic.6y": "basic, 6 years", "basic.9y": "basic, 9 years",
  cellular: "mobile phone", telephone: "landline", nonexistent: "no earlier campaign", success: "subscribed", failure: "did not subscribe",
  jan: "January", feb: "February", mar: "March", apr: "April", may: "May", jun: "June", jul: "July", aug: "August", sep: "September",
  oct: "October", nov: "November", dec: "December", mon: "Monday", tue: "Tuesday", wed: "Wednesday", thu: "Thursday", fri: "Friday",
};

/** Create the fields with their defaults, in groups; the economic indicators, which rarely change, are folded away. */
export function fieldsOf(properties, defaults) {
  const grouped = GROUPS.flatMap(([, names]) => names);
  const others = Object.keys(properties).filter((name) => name !== "id" && !grouped.includes(name));
  const field = (name) => fieldOf(name, properties[name], defaults[name]);
  const folded = element("details", {}, element("summary", {}, ECONOMY), element("fieldset", {}, element("legend", { class: "visually-hidden" }, ECONOMY), ...others.map(field)));
  return [
    ...GROUPS.map(([title, names]) => element("fieldset", {}, element("legend", {}, title), ...names.filter((name) => name in properties).map(field))),
    folded,
  ];
}

/** List the columns and their allowed values in the dialog. */
export function describeColumns(properties) {
  const described = Object.entries(properties).filter(([name]) => name !== "id");
  byId("columns-list").replaceChildren(...described.flatMap(([name, { enum: values, minimum, maximum, description }]) => [
    element("dt", {}, element("code", {}, name)),
    element("dd", {}, `${description}; ${values ? values.join(", ") : `${minimum} to ${maximum}`}`),
  ]));
}

function fieldOf(name, { enum: values, minimum, maximum, type, description }, value) {
  const id = `field-${name}`;
  const [title, hint] = description.split("; ");
  const input = values
    ? element("select", { id, name }, ...values.map((one) => element("option", { value: one }, WORDS[one] ?? one.replaceAll(".", " "))))
    : element("input", { id, name, type: "number", min: minimum, max: maximum, step: type === "integer" ? 1 : "any", required: "" });
  input.value = value;
  const words = [title[0].toUpperCase() + title.slice(1), hint ? ` (${hint})` : ""];
  return element("label", { for: id }, ...words, input);
}
