// One customer: a form made from the service's own description, the score and the reasons.

import { call, getJson } from "./api.js";
import { byId, clear, element, percent, showProblems } from "./dom.js";

let example = {};

/** Make the form's fields. */
export async function makeForm() {
  const docs = await getJson("/docs.json");
  const { properties } = docs.components.schemas.Customer;
  [example] = docs.paths["/predict"].post.requestBody.content["application/json"].example.customers;
  const names = Object.keys(properties).filter((name) => name !== "id");
  byId("fields").replaceChildren(...names.map((name) => field(name, properties[name])));
  byId("one-form").addEventListener("submit", (event) => {
    event.preventDefault();
    score(names);
  });
}

function field(name, { enum: values, minimum, maximum, type, description }) {
  const id = `field-${name}`;
  const input = values
    ? element("select", { id, name }, ...values.map((value) => element("option", { value }, value)))
    : element("input", { id, name, type: "number", min: minimum, max: maximum, step: type === "integer" ? 1 : "any", required: "" });
  input.value = example[name];
  return element("label", { for: id }, description, " ", input);
}

async function score(names) {
  clear(byId("one-problem"));
  byId("one").hidden = true;
  const cells = names.map((name) => byId(`field-${name}`).value);
  try {
    const blob = await call("POST", "/rank?capacity=1&reasons=true", { body: `${names.join(";")}\n${cells.join(";")}\n`, type: "text/csv" });
    const answer = JSON.parse(await blob.text());
    show(answer);
  } catch (error) {
    showProblems(byId("one-problem"), error);
  }
}

function show(answer) {
  const [customer] = answer.ranked;
  const worth = customer.expected_value > 0;
  const largest = Math.max(...customer.reasons.map((reason) => Math.abs(reason.effect)));
  byId("one").replaceChildren(
    element("div", { class: "score" },
      element("strong", {}, percent(customer.probability)),
      element("p", {}, `is the chance that this customer takes the offer. A call ${worth ? "pays" : "does not pay"}: from ${percent(answer.break_even)} on it does. (${answer.model})`)),
    element("meter", { min: 0, max: 1, value: customer.probability, "aria-label": "Probability of a subscription" }, percent(customer.probability)),
    element("h3", {}, "Why"),
    ...customer.reasons.map((reason) => {
      const side = reason.effect > 0 ? "for" : "against";
      return element("div", { class: `reason ${side}` },
        element("span", {}, `${reason.text} speaks ${side} a call`),
        element("meter", { min: 0, max: largest, value: Math.abs(reason.effect), "aria-hidden": "true" }));
    }),
  );
  byId("one").hidden = false;
}
