/** What each upstream allows, what is used, and where that leads by the end of the month. */

import { el, svg } from "./dom.js";
import { count, fixed, minute, NOTHING } from "./format.js";
import { Panel } from "./panel.js";

const EVERY = 120; // seconds
const WIDTH = 240;
const HEIGHT = 70;

export class Quotas {
  constructor(api) {
    this.panel = new Panel(api, "quotas", (asked, late) => this.#load(asked, late), EVERY);
  }

  start = () => this.panel.run();

  async #load(api, late) {
    const { data, meta } = await api.get("/api/v1/quotas");
    if (late()) return meta;
    const metered = (one) => (one.allowance.calls_per_month === null && !one.money ? 1 : 0);
    const shown = [...data].sort((one, other) => metered(one) - metered(other) || one.scope.localeCompare(other.scope));
    this.panel.body.replaceChildren(...(shown.length ? shown.map((one) => card(one, api)) : [el("p", { class: "quiet" }, "No upstream was asked yet.")]));
    return { ...meta, source: null };
  }
}

function card(one, api) {
  const { calls, seconds, calls_per_month: month } = one.allowance;
  const rate = `${count(calls)} ${calls === 1 ? "call" : "calls"} in ${seconds === 1 ? "a second" : `${count(seconds)} s`} allowed`;
  const learned = one.limit_in_force < calls ? el("p", { class: "bad" }, `${count(one.limit_in_force)} in force: learned from refusals`) : null;
  return el(
    "article",
    { class: "tile" },
    el("h3", {}, one.scope),
    el("p", { class: "value" }, el("span", { class: "number" }, count(month === null ? one.used : one.left)), " ", el("span", { class: "unit" }, month === null ? "calls this month" : `of ${count(month)} calls left`)),
    month === null ? null : burnDown(one, api),
    learned,
    el("p", { class: "below" }, rate, one.reserved ? `; ${count(one.reserved)} reserved until ${minute(one.next_free)}` : ""),
    month === null ? el("p", { class: "below" }, "no monthly limit is stated") : forecast(one),
    one.money ? money(one.money) : null,
  );
}

function forecast(one) {
  if (one.forecast === null) return el("p", { class: "below" }, "forecast: – (less than an hour to go by)");
  const fits = one.forecast_fits;
  return el("p", { class: fits ? "below" : "bad" }, `forecast ${count(one.forecast)} by the month's end: ${fits ? "fits" : "does not fit"}`);
}

function money(told) {
  const text = `$${fixed(told.left, 2)} of $${fixed(told.budget, 2)} left, ${count(told.requests)} requests`;
  return el("p", { class: told.closed ? "bad" : "below" }, told.closed ? `${text}; ${told.closed}` : text);
}

/** The even pace of the month, what is left now, and the forecast. How it came to now is not kept, so no line says it. */
function burnDown(one, api) {
  const [year, number] = one.month.split("-").map(Number);
  const begins = Date.UTC(year, number - 1);
  const ends = Date.UTC(year, number);
  const whole = one.allowance.calls_per_month;
  const x = (at) => 3 + ((at - begins) / (ends - begins)) * (WIDTH - 6);
  const y = (left) => 3 + (1 - Math.max(0, left) / whole) * (HEIGHT - 6);
  const now = Math.min(ends, Math.max(begins, api.now()));
  const atEnd = one.forecast === null ? null : whole - one.forecast;
  const out = atEnd !== null && atEnd < 0 ? now + ((ends - now) * one.left) / Math.max(1, one.left - atEnd) : ends;
  const line = (from, to, look) => svg("line", { x1: x(from[0]), y1: y(from[1]), x2: x(to[0]), y2: y(to[1]), class: look });
  const said = `${one.scope}: ${count(one.left)} of ${count(whole)} calls left, forecast ${one.forecast === null ? NOTHING : count(one.forecast)} used by the end of the month`;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "burn", role: "img", "aria-label": said },
    svg("rect", { x: 3, y: 3, width: WIDTH - 6, height: HEIGHT - 6, class: "frame" }),
    line([begins, whole], [ends, 0], "pace"),
    atEnd === null ? null : line([now, one.left], [out, atEnd < 0 ? 0 : atEnd], one.forecast_fits ? "ahead" : "ahead over"),
    svg("line", { x1: x(now), y1: 3, x2: x(now), y2: HEIGHT - 3, class: "today" }),
    svg("circle", { cx: x(now), cy: y(one.left), r: 3.5, class: "now" }),
    svg("text", { x: 7, y: HEIGHT - 8 }, one.month),
    svg("text", { x: WIDTH - 7, y: 14, "text-anchor": "end" }, "even pace · forecast"),
  );
}
