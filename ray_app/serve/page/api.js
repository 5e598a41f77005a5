/** Requests to the node with the reader's key: few at a time, and none while the node asked to wait. */

const AT_ONCE = 4; // of the six that a browser opens to a host, the stream has one
const PATIENCE = 30_000; // milliseconds
const SILENT = 5; // seconds after which a node that does not answer is asked again

/** What went wrong, as the node told it. `again`: seconds after which it may be asked again, or null. */
export class ApiError extends Error {
  constructor(status, code, message, details = {}, again = null) {
    super(message);
    Object.assign(this, { status, code, details, again });
  }
}

/** Of an answer that is no success. */
export async function problemOf(answer) {
  let told = {};
  try {
    told = (await answer.json()).error ?? {};
  } catch {
    // Not ours: a proxy in between says so in its own words.
  }
  const wait = Number(answer.headers.get("retry-after"));
  const later = answer.status === 429 || answer.status >= 500;
  const again = later ? Math.max(1, wait || SILENT) : null;
  return new ApiError(answer.status, told.code ?? "", told.message ?? `HTTP ${answer.status}`, told.details, again);
}

export class Api {
  #key;
  #refused;
  #running = 0;
  #waiting = [];
  #pausedUntil = 0;
  #offset = null; // the node's clock minus this machine's, in milliseconds
  #gone = new AbortController();

  /** `refused(error)` hears that the key is not valid. */
  constructor(key, refused) {
    this.#key = key;
    this.#refused = refused;
  }

  get key() {
    return this.#key;
  }

  get signal() {
    return this.#gone.signal;
  }

  /** The node's time in milliseconds: a simulated node has its own. */
  now() {
    return Date.now() + (this.#offset ?? 0);
  }

  /** Nobody is asked any more. */
  stop() {
    this.#gone.abort();
  }

  refuse(error) {
    if (!this.signal.aborted) this.#refused(error);
  }

  /** The body of the answer. Raises ApiError. */
  async get(path, parameters = {}) {
    await this.#turn();
    try {
      return await this.#ask(path, parameters);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #turn() {
    while (this.#running >= AT_ONCE) await new Promise((done) => this.#waiting.push(done));
    this.#running += 1;
  }

  async #ask(path, parameters) {
    const wait = this.#pausedUntil - performance.now();
    if (wait > 0) throw new ApiError(429, "RATE_LIMIT_EXCEEDED", "the request limit is reached", {}, Math.ceil(wait / 1000));
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined));
    const answer = await this.#fetch(query.size ? `${path}?${query}` : path);
    if (answer.ok) {
      const body = await answer.json();
      if (body.meta?.generated_at) this.#offset = Date.parse(body.meta.generated_at) - Date.now();
      return body;
    }
    const error = await problemOf(answer);
    if (error.status === 401) this.refuse(error);
    if (error.status === 429) this.#pausedUntil = performance.now() + error.again * 1000;
    throw error;
  }

  async #fetch(address) {
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(PATIENCE)]);
    try {
      return await fetch(address, { headers: { Authorization: `Bearer ${this.#key}` }, signal, credentials: "omit" });
    } catch {
      throw new ApiError(0, "NO_ANSWER", "the node does not answer", {}, SILENT);
    }
  }
}

/** The error for a person. */
export function sentence(error) {
  const again = error.again ? ` Asking again in ${error.again} s.` : "";
  if (error.code === "INSUFFICIENT_SCOPE") return `This key lacks the scope ${error.details.scope}.`;
  if (error.code === "LICENCE_RESTRICTED") return `Not for this key: ${error.message}.`;
  if (error.status === 429) return `Too many requests.${again}`;
  const text = error.message || "something went wrong";
  return `${text[0].toUpperCase()}${text.slice(1)}.${again}`;
}
