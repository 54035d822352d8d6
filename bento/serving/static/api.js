// Calls to the service: one place for the key, for progress and for what errors mean.

const KEY = "deposit.key";

export class Refused extends Error {
  /** @param {number} status @param {{row: ?number, field: ?string, message: string}[]} problems */
  constructor(status, problems) {
    super(problems.map((problem) => problem.message).join("; "));
    this.status = status;
    this.problems = problems;
  }
}

let askForKey = async () => null;

/** How to ask a person for the key; gives it, or null. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** A JSON answer. Asks for the key when the service does. */
export async function getJson(path) {
  return JSON.parse(await (await call("GET", path)).text());
}

/**
 * An answer's body as a Blob, with its headers.
 * @param {{body?: any, type?: string, accept?: string, onProgress?: (phase: string, share: ?number) => void}} options
 */
export async function call(method, path, options = {}) {
  for (;;) {
    const answer = await send(method, path, options);
    if (answer.status < 300) return answer.blob;
    const problems = await problemsOf(answer);
    if (answer.status !== 401) throw new Refused(answer.status, problems);
    const key = await askForKey(sessionStorage.getItem(KEY) !== null);
    if (key === null) throw new Refused(401, problems);
    sessionStorage.setItem(KEY, key);
  }
}

function send(method, path, { body, type, accept, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells no progress of an upload
    request.open(method, path);
    request.responseType = "blob";
    const key = sessionStorage.getItem(KEY);
    if (key !== null) request.setRequestHeader("Authorization", `Bearer ${key}`);
    if (type) request.setRequestHeader("Content-Type", type);
    if (accept) request.setRequestHeader("Accept", accept);
    if (onProgress) {
      request.upload.onprogress = (event) => onProgress("sending", event.lengthComputable ? event.loaded / event.total : null);
      request.upload.onload = () => onProgress("scoring", null);
      request.onprogress = () => onProgress("receiving", null);
    }
    request.onload = () => resolve({ status: request.status, blob: request.response });
    request.onerror = () => reject(new Refused(0, [whole("The service does not answer. Is it running, and is the network up?")]));
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
  return [whole(`The service answered with status ${status}. Try again in a moment.`)];
}

function whole(message) {
  return { row: null, field: null, message };
}
