// Client of the worker: sends requests and resolves their results.

const worker = new Worker("/assets/worker.js", { type: "module" });
const waiting = new Map();
let last = 0;

worker.addEventListener("message", ({ data: { id, answer, share, failed } }) => {
  const { resolve, reject, onProgress } = waiting.get(id);
  if (share !== undefined) {
    onProgress(share);
    return;
  }
  waiting.delete(id);
  if (failed === undefined) resolve(answer);
  else reject(new Error(failed));
});
worker.addEventListener("error", (event) => {
  for (const { reject } of waiting.values()) reject(new Error(event.message || "the list is too large for this browser"));
  waiting.clear();
});

/** Send a request to the worker; `kind` is a handler of `worker.js`. */
export function ask(kind, question = {}, onProgress = () => {}) {
  last += 1;
  const id = last;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, onProgress });
    worker.postMessage({ id, kind, question });
  });
}
