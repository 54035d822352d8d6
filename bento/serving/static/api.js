// Calls to the service: one place for the key, for progress and for what errors mean.

/** Where the tab keeps the key. */
export const KEY = "deposit.key";
const WORDS = {
  0: "The service does not answer, or it ended the connection. Is the network up? If the list is very large, split it.",
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

/** A problem of the whole request, as the service words them. */
export function refusal(message, status = 0) {
  return new Refused(status, [{ row: null, field: null, message }]);
}

let askForKey = async () => null;
let asking = null;

/** How to ask a person for the key; gives it, or null. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
}

/** A JSON answer. Asks for the key when the service does. */
export async function getJson(path) {
  return JSON.parse(await (await call("GET", path)).blob.text());
}

/**
 * An answer's body as a Blob, and its headers by name. Raises Refused.
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
    if (used !== sessionStorage.getItem(KEY)) continue; // another call has asked meanwhile
    asking ??= askForKey(used !== null).finally(() => { asking = null; });
    const key = await asking;
    if (key === null) throw new Refused(401, problems);
    sessionStorage.setItem(KEY, key);
  }
}

function send(method, path, key, { body, type, accept, headers = {}, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells no progress of an upload
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
    request.onabort = () => reject(refusal("Cancelled. Nothing is shown of this list."));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

async function problemsOf({ status, blob }) {
  try {
    const { detail } = JSON.parse(await blob.text());
    if (Array.isArray(detail) && detail.length) return detail;
  } catch {
    // not the service's own words: the gateway's, or a proxy's
  }
  return refusal(WORDS[status] ?? `The service answered with status ${status}. Try again in a moment.`).problems;
}
