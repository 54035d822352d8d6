// Entry point: connects the parts of the page.

import { getJson } from "./api.js";
import { openCardByButton } from "./card.js";
import { scoreByForm } from "./customer.js";
import { byId, number, showProblems } from "./dom.js";
import { describeColumns, fieldsOf } from "./fields.js";
import { askByDialog, showKeyState } from "./key.js";
import { showModel, showNoModel } from "./model.js";
import { currentPrices, startPrices } from "./prices.js";
import { Result } from "./result.js";
import { showStale } from "./stale.js";
import { rankByForm } from "./upload.js";

const result = new Result();
askByDialog();
openCardByButton();
rankByForm(result, prices);

async function start(part, place) {
  try {
    await part();
  } catch (error) {
    showProblems(byId(place), error);
  }
}

async function customer() {
  const docs = await getJson("/docs.json");
  const { properties } = docs.components.schemas.Customer;
  const [example] = docs.paths["/predict"].post.requestBody.content["application/json"].example.customers;
  const names = Object.keys(properties).filter((name) => name !== "id");
  result.table.known = new Set(names);
  byId("fields").replaceChildren(...fieldsOf(properties, example));
  describeColumns(properties);
  byId("columns").addEventListener("click", () => byId("columns-dialog").showModal());
  scoreByForm(names, prices);
}

let asked = null;

/** The value of a subscription and the cost of a call: the service's settings, until the user changes them. */
async function prices() {
  asked ??= model().catch((error) => {
    asked = null;
    throw error;
  });
  await asked;
  return currentPrices();
}

async function model() {
  try {
    const { models, deposit_value: value, call_cost: cost, capacity } = await getJson("/models");
    startPrices({ value, cost });
    if (capacity !== null) byId("capacity").placeholder = number(capacity);
    const live = models.find((one) => one.live);
    showModel(live);
    showStale(live);
  } catch (error) {
    showNoModel();
    throw error;
  }
  showKeyState();
}

start(customer, "one-problem");
start(prices, "problem");
