// The value of a subscription and the cost of a call: a number field and a slider each, kept in sync.

import { byId } from "./dom.js";

const NAMES = ["value", "cost"];
const STEPS = 20; // slider steps up to the service's price
const TIMES = 4; // maximum of a slider, as a multiple of the service's price

/** The prices currently on the page. */
export function currentPrices() {
  return { value: byId("value").valueAsNumber, cost: byId("cost").valueAsNumber };
}

/** Initialise the fields with the service's prices, and the sliders with a range around them. */
export function startPrices(prices) {
  for (const name of NAMES) {
    const slider = byId(`${name}-slider`);
    slider.min = slider.step = prices[name] / STEPS;
    slider.max = prices[name] * TIMES;
    slider.value = byId(name).value = prices[name];
  }
}

/** Call `changed` on each step of a slider and on each valid price typed. */
export function onPrices(changed) {
  for (const name of NAMES) {
    const [field, slider] = [byId(name), byId(`${name}-slider`)];
    slider.addEventListener("input", () => {
      field.value = slider.value;
      changed();
    });
    field.addEventListener("input", () => {
      if (!field.validity.valid) return;
      slider.value = field.value;
      changed();
    });
    field.addEventListener("change", () => field.reportValidity());
  }
}
