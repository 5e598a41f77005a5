/** How each collector does, the worst first, with its last error in its own words; and how the node is as a whole. */

import { byId, el } from "./dom.js";
import { age, count, NOTHING, words } from "./format.js";
import { Panel, since } from "./panel.js";

const EVERY = 60; // seconds
const ORDER = ["dead", "refused", "missing", "degraded", "pending", "not_started", "collecting", "waiting", "available"];

export class Collectors {
  #timer = null;

  constructor(api) {
    this.api = api;
    api.signal.addEventListener("abort", () => clearTimeout(this.#timer));
    this.panel = new Panel(api, "collectors", (asked, late) => this.#load(asked, late), EVERY);
  }

  start() {
    this.panel.run();
    this.#look();
  }

  /** How the node is, also while the table is out of sight; what is wrong with asking is told there. */
  async #look() {
    if (!document.hidden) await this.api.get("/api/v1/health").then(whole, () => null);
    if (!this.api.signal.aborted) this.#timer = setTimeout(() => this.#look(), EVERY * 1000);
  }

  async #load(api, late) {
    const [{ data, meta }, health] = await Promise.all([api.get("/api/v1/stats/collectors"), api.get("/api/v1/health")]);
    if (late()) return meta;
    const reasons = new Map(health.datasets.map((one) => [one.dataset, one.reasons]));
    const worst = (one) => Math.min(ORDER.indexOf(one.state), ORDER.indexOf(one.condition)) + (one.not_configured ? 50 : 0);
    const rows = [...data].sort((one, other) => worst(one) - worst(other) || one.dataset.localeCompare(other.dataset)).map((one) => row(one, reasons.get(one.dataset) ?? [], api));
    const head = ["Data set", "State", "Condition", "Last run", "Next run", "Lag", "Rows", "Errors", "Last error"];
    const parts = health.parts.map((one) => el("span", { class: `mark ${one.state}`, title: one.reason ?? "" }, `${one.part} ${one.state}`));
    this.panel.body.replaceChildren(
      el("p", { class: "parts" }, parts),
      el("table", {}, el("thead", {}, el("tr", {}, head.map((one, at) => el("th", { scope: "col", class: `c${at}` }, one)))), el("tbody", {}, rows)),
    );
    return { ...meta, source: null };
  }
}

function whole(health) {
  const pill = byId("node-state");
  const bad = health.datasets.filter((one) => !["available", "not_configured"].includes(one.state));
  pill.hidden = false;
  pill.className = `pill ${health.status}`;
  pill.textContent = `node ${health.status}`;
  pill.title = bad.map((one) => `${one.dataset}: ${[one.state, ...one.reasons].join(", ")}`).join("\n");
}

function row(one, reasons, api) {
  const moment = (text) => (text ? since(Date.parse(text), api, " ago") : NOTHING);
  const next = one.next_run ? Math.max(0, (Date.parse(one.next_run) - api.now()) / 1000) : null;
  const errors = Object.entries(one.errors).map(([kind, n]) => `${kind} ${count(n)}`).join(", ");
  const condition = one.not_configured ? "not_configured" : one.condition;
  const why = one.not_configured ? `set ${one.not_configured}` : reasons.join("; ");
  return el(
    "tr",
    {},
    el("th", { scope: "row", class: "c0" }, one.dataset),
    el("td", { class: "c1" }, el("span", { class: `mark ${one.state}` }, words(one.state))),
    el("td", { class: "c2" }, el("span", { class: `mark ${condition}` }, words(condition)), why ? el("span", { class: "why" }, ` ${why}`) : null),
    el("td", { class: "c3" }, moment(one.last_run)),
    el("td", { class: "c4" }, next === null ? NOTHING : `in ${age(next)}`),
    el("td", { class: "c5" }, age(one.lag_seconds)),
    el("td", { class: "c6" }, count(one.rows_stored)),
    el("td", { class: "c7" }, errors || NOTHING),
    el("td", { class: "c8" }, one.last_error ?? NOTHING, one.last_error_at ? el("span", { class: "quiet" }, " ", moment(one.last_error_at)) : null),
  );
}
