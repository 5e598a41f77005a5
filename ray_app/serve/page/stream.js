/** Server-sent events over fetch, since EventSource cannot send a key. Comes back by itself after the last cursor. */

import { ApiError, problemOf, sentence } from "./api.js";

const SILENCE = 40_000; // milliseconds; a heartbeat comes every 15 s
const FIRST_WAIT = 3_000;
const LONGEST_WAIT = 30_000;

/** One event's fields from its lines: id, event, data, retry. */
export function eventOf(lines) {
  const fields = {};
  for (const line of lines) {
    const at = line.indexOf(":");
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).replace(/^ /, "");
  }
  return fields;
}

/**
 * Follow a stream until the api is stopped or the key may not have it.
 * `message(data)` gets each message, `state("live" | "lost" | "closed", why)` each change.
 */
export async function follow(api, path, message, state) {
  let last = null;
  let wait = FIRST_WAIT;
  while (!api.signal.aborted) {
    let why = "the connection ended";
    try {
      await connection(api, path, last, {
        opened: () => {
          wait = FIRST_WAIT;
          state("live", "");
        },
        event: (fields) => {
          if (fields.id) last = fields.id;
          if (fields.retry) wait = Number(fields.retry) || wait;
          if (fields.data) message(JSON.parse(fields.data));
        },
      });
    } catch (error) {
      if (api.signal.aborted) return;
      if (error.status === 401) return api.refuse(error);
      if (error.status === 403) return state("closed", sentence(error));
      if (error.code === "CURSOR_INVALID") last = null;
      why = error instanceof ApiError ? error.message : "no connection";
    }
    if (api.signal.aborted) return;
    state("lost", why);
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(LONGEST_WAIT, wait * 2);
  }
}

async function connection(api, path, last, told) {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE);
  const headers = { Authorization: `Bearer ${api.key}`, Accept: "text/event-stream" };
  if (last !== null) headers["Last-Event-ID"] = last;
  try {
    const signal = AbortSignal.any([api.signal, silent.signal]);
    const answer = await fetch(path, { headers, signal, credentials: "omit", cache: "no-store" });
    if (!answer.ok) throw await problemOf(answer);
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) {
      throw new ApiError(answer.status, "NO_STREAM", "no stream is served here");
    }
    told.opened();
    let rest = "";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE);
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const one of events) told.event(eventOf(one.split("\n")));
    }
  } finally {
    clearTimeout(timer);
  }
}
