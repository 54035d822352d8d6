// Web worker that holds the ranked list, so that a million rows do not block the page.

import { List } from "./list.js";
import { order } from "./order.js";

let list = null;
let newest = 0;

const answers = {
  async open({ blob }, tell) {
    list = await List.open(blob, tell);
    return list.summary();
  },
  order(question) {
    newest += 1;
    const mine = newest;
    return order(list, question, () => mine === newest);
  },
  rows: ({ numbers }) => list.rows(numbers),
  csv: ({ calls, prices, asSent }) => list.csv(calls, prices, asSent),
  rejected: () => list.rejectedCsv(),
};

self.addEventListener("message", async ({ data: { id, kind, question } }) => {
  try {
    postMessage({ id, answer: await answers[kind](question, (share) => postMessage({ id, share })) });
  } catch (error) {
    postMessage({ id, failed: error.message });
  }
});
