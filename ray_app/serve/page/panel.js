/** A part of the page: loaded again and again, with its condition, its age, and what went wrong, in words. */

import { sentence } from "./api.js";
import { el } from "./dom.js";
import { age } from "./format.js";

export class Panel {
  #api;
  #load;
  #every;
  #timer = null;
  #number = 0; // of the last loading; the answer of an earlier one comes too late
  #near = false; // in sight, or almost
  #due = false; // to be loaded as soon as somebody may see it

  /** `load(api)` fills `body` and gives the answer's meta; `every` seconds it is done again. */
  constructor(api, id, load, every) {
    this.section = document.getElementById(id);
    this.body = this.section.querySelector(".body");
    this.said = this.section.querySelector(".said");
    this.#api = api;
    this.#load = load;
    this.#every = every;
    const seen = new IntersectionObserver(([one]) => {
      this.#near = one.isIntersecting;
      this.#dueNow();
    }, { rootMargin: "300px" });
    seen.observe(this.section);
    document.addEventListener("visibilitychange", () => this.#dueNow(), { signal: api.signal });
    api.signal.addEventListener("abort", () => {
      seen.disconnect();
      clearTimeout(this.#timer);
    });
  }

  #dueNow() {
    if (this.#due && this.#near && !document.hidden) this.run();
  }

  /** Load it now, or as soon as it is in sight: a request that nobody looks at is one less for the others. */
  async run() {
    clearTimeout(this.#timer);
    this.#due = !this.#near || document.hidden;
    if (this.#due || this.#api.signal.aborted) return;
    const mine = (this.#number += 1);
    const late = () => mine !== this.#number || this.#api.signal.aborted;
    this.section.setAttribute("aria-busy", "true");
    if (!this.body.hasChildNodes()) this.said.textContent = "Loading…";
    let wait = this.#every;
    try {
      const meta = await this.#load(this.#api, late);
      if (late()) return;
      this.section.removeAttribute("data-trouble");
      this.said.replaceChildren(...(meta ? condition(meta, this.#api) : []));
    } catch (error) {
      if (late()) return;
      if (error.status === undefined) console.error(error); // ours, not the node's
      this.section.setAttribute("data-trouble", "");
      const shown = this.body.hasChildNodes() ? " What is shown is from before." : "";
      this.said.replaceChildren(el("span", { class: "bad" }, sentence(error) + shown));
      wait = error.again ?? this.#every;
    }
    this.section.removeAttribute("aria-busy");
    this.#timer = setTimeout(() => this.run(), wait * 1000);
  }

  /** Something else is asked for: what is shown is not its answer. */
  restart() {
    this.body.replaceChildren();
    return this.run();
  }
}

/** What the node says of an answer: condition with reasons, source, age. */
export function condition(meta, api) {
  const parts = [];
  const reasons = meta.reasons ?? [];
  if (meta.condition && (meta.condition !== "available" || reasons.length)) {
    parts.push(el("span", { class: `mark ${meta.condition}` }, meta.condition));
  }
  if (meta.source && meta.source !== "store") parts.push(el("span", { class: "from" }, meta.source));
  if (typeof meta.age_seconds === "number") parts.push(since(api.now() - meta.age_seconds * 1000, api, " old"));
  if (reasons.length) parts.push(why(reasons.join("; ")));
  const gaps = meta.gaps?.length;
  if (gaps) parts.push(why(`${gaps} ${gaps === 1 ? "gap" : "gaps"}: ${meta.gaps[0].reason ?? meta.gaps[0].state}`));
  const left = meta.left_out?.length;
  if (left) parts.push(why(`${left} series left out: this key may not have them by their licence`));
  return parts;
}

/** Two lines at most; the whole where one points at it. */
const why = (text) => el("span", { class: "why", title: text }, text);

/** An age that goes on: the ticker of the page brings it up to date. */
export function since(milliseconds, api, after = "") {
  const span = el("span", { class: "age", "data-since": Math.round(milliseconds), "data-after": after });
  span.textContent = age((api.now() - milliseconds) / 1000) + after;
  return span;
}

/** Every age on the page, as of now. */
export function tick(api) {
  for (const one of document.querySelectorAll("[data-since]")) {
    const text = age((api.now() - Number(one.dataset.since)) / 1000) + one.dataset.after;
    if (one.textContent !== text) one.textContent = text;
  }
}
