// The value of a plan compared with the alternatives, in words.

import { amount, count } from "./dom.js";

/** @param {import("./plan.js").Plan} plan */
export function worthOf(plan, calls) {
  const { profit, randomProfit } = plan.outlook(calls);
  const everyone = plan.outlook(plan.count).profit;
  if (calls === 0) return `Without calls nothing is earned; calling everyone would earn ${amount(everyone)}. ${advice(plan, calls, profit, everyone)}`;
  const beside = `calling everyone ${amount(everyone)}, as many at random ${amount(randomProfit)}, nobody 0`;
  return `The best ${count(calls, "call")} would earn ${amount(profit)}, ${beside}. ${advice(plan, calls, profit, everyone)}`;
}

function advice(plan, calls, profit, everyone) {
  const best = plan.mostProfitable();
  const most = amount(plan.outlook(best).profit);
  if (best === 0) return "At these prices no call pays: calling nobody earns most.";
  if (best === plan.count) return `At these prices every call pays: calling everyone earns most, ${most}.`;
  if (calls === best) return "This is the number that earns most.";
  if (everyone > Math.max(profit, 0)) return `Calling everyone pays more than this; the best ${count(best, "call")} would earn most, ${most}.`;
  return `${profit < 0 ? "Calling nobody pays more than this; the" : "The"} best ${count(best, "call")} would earn most, ${most}.`;
}
