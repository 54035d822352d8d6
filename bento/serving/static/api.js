// Calls to the service: the API key, upload progress and error messages.

/** Key in sessionStorage under which the API key is stored. */
export const KEY = "deposit.key";
const WORDS = {
  0: "The service is unreachable or closed the connection. Check the network; if the list is very large, split it.",
  413: "The list is too large for this service. Split it.",
  429: "Too many requests for now. Wait a moment and try again.",
  502: "The service is being restarted. Try again in a moment.",
  503: "The service is busy. Try again in a moment.",
  504: "The service took too long. Try again with a shorter list.",
};

export class Refused extends Error {
  /** @param {number} status @param {{row: ?number, field: ?string, message: string}[]} problems */
  constructor(status, problems) {
    super(problems.map((problem) => problem.message).join("; "));
    this.status = status;
    this.problems = problems;
  }
}

/** A problem of the whole request, in the service's error format. */
export function refusal(message, status = 0) {
  return new Refused(status, [{ row: null, field: null, message }]);
}

let askForKey = async () => null;
let asking = null;

/** Set the function that asks the user for the key; it resolves to the key, or null if the user cancels. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
}

/** GET a JSON document; asks the user for the key if the service requires one. */
export async function getJson(path) {
  return JSON.parse(await (await call("GET", path)).blob.text());
}

/**
 * Send a request; resolves to the response's body as a Blob and its headers by name. Throws Refused.
 * @param {{body?: any, type?: string, accept?: string, headers?: object, signal?: AbortSignal, onProgress?: (phase: string, done: ?number) => void}} options
 * @returns {Promise<{blob: Blob, header: (name: string) => ?string}>}
 */
export async function call(method, path, options = {}) {
  for (;;) {
    const used = sessionStorage.getItem(KEY);
    const answer = await send(method, path, used, options);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const problems = await problemsOf(answer);
    if (answer.status !== 401) throw new Refused(answer.status, problems);
    if (used !== sessionStorage.getItem(KEY)) continue; // another call has asked in the meantime
    asking ??= askForKey(used !== null).finally(() => { asking = null; });
    const key = await asking;
    if (key === null) throw new Refused(401, problems);
    sessionStorage.setItem(KEY, key);
  }
}

function send(method, path, key, { body, type, accept, headers = {}, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch reports no upload progress
    request.open(method, path);
    request.responseType = "blob";
    if (key !== null) request.setRequestHeader("Authorization", `Bearer ${key}`);
    if (type) request.setRequestHeader("Content-Type", type);
    if (accept) request.setRequestHeader("Accept", accept);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    if (onProgress) {
      request.upload.onprogress = (event) => onProgress("sending", event.lengthComputable ? event.loaded / event.total : null);
      request.upload.onload = () => onProgress("scoring", null);
      request.onprogress = (event) => onProgress("receiving", event.loaded);
    }
    request.onload = () => resolve({ status: request.status, blob: request.response, header: (name) => request.getResponseHeader(name) });
    request.onerror = () => reject(refusal(WORDS[0]));
    request.onabort = () => reject(refusal("Cancelled. The list was not ranked."));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

async function problemsOf({ status, blob }) {
  try {
    const { detail } = JSON.parse(await blob.text());
    if (Array.isArray(detail) && detail.length) return detail;
  } catch {
    // not an error of the service itself, but of the gateway or a proxy
  }
  return refusal(WORDS[status] ?? `The service answered with status ${status}. Try again in a moment.`).problems;
}
