// What a subscription is worth and a call costs: a number and a slider each, which follow one another.

import { byId } from "./dom.js";

const NAMES = ["value", "cost"];
const STEPS = 20; // of a slider, up to what the service says
const TIMES = 4; // as far as it goes, in what the service says

/** The prices as they stand on the page. */
export function currentPrices() {
  return { value: byId("value").valueAsNumber, cost: byId("cost").valueAsNumber };
}

/** Begin with what the service says; the sliders go some way around it. */
export function startPrices(prices) {
  for (const name of NAMES) {
    const slider = byId(`${name}-slider`);
    slider.min = slider.step = prices[name] / STEPS;
    slider.max = prices[name] * TIMES;
    slider.value = byId(name).value = prices[name];
  }
}

/** Call `changed` with each step of a slider, and each number typed that can be a price. */
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
