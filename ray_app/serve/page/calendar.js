/** Completeness as calendars: a square for each day of each series, by how much of what was due is there. */

import { byId, el, svg } from "./dom.js";
import { day, fixed, iso, minute, words } from "./format.js";
import { Panel } from "./panel.js";

const WEEKS = 26;
const SERIES = 8; // calendars at a time
const MOST = 600_000; // intervals that one answer may work out; the node's limit is above
const DAY = 86_400_000;
const SIZE = 12; // pixels of a day with its margin
const EVERY = 600; // seconds
const BAD = ["lost", "failed", "late"]; // the worst first
const LEVELS = [100, 99, 90, 50, 0];

export class Calendar {
  #sets = [];
  #dataset = null;
  #cursors = [null]; // of the pages up to the one that is shown

  constructor(api) {
    this.panel = new Panel(api, "completeness", (asked, late) => this.#load(asked, late), EVERY);
    byId("dataset").addEventListener("change", (event) => this.#choose(event.target.value), { signal: api.signal });
    byId("completeness-key").replaceChildren(...key());
  }

  start = () => this.panel.run();

  #choose(name) {
    this.#dataset = this.#sets.find((one) => one.dataset === name);
    this.#cursors = [null];
    this.panel.restart();
  }

  async #load(api, late) {
    if (!this.#sets.length) {
      this.#sets = (await api.get("/api/v1/catalog/datasets")).data;
      if (!this.#sets.length) throw Object.assign(new Error("no data set is declared here yet"), { status: 0 });
      byId("dataset").replaceChildren(...this.#sets.map((one) => el("option", { value: one.dataset }, `${one.dataset} (${one.series})`)));
      this.#dataset = this.#sets.find((one) => one.record === "Bar" && one.grain_seconds === 3600) ?? this.#sets[0];
      byId("dataset").value = this.#dataset.dataset;
    }
    const { dataset, grain_seconds: grain } = this.#dataset;
    const days = Math.max(7, Math.min(WEEKS * 7, Math.floor((MOST * grain) / 86_400 / SERIES)));
    const end = Math.floor(api.now() / 300_000) * 300_000;
    const start = Math.floor(end / DAY) * DAY - (days - 1) * DAY;
    const asked = { dataset, start: iso(start), end: iso(end), limit: SERIES, cursor: this.#cursors.at(-1) };
    const { data, meta } = await api.get("/api/v1/coverage", asked);
    if (late()) return meta;
    const begin = first(data, start);
    const shown = data.map((one) => calendar(one, begin, days - (begin - start) / DAY, grain * 1000));
    this.panel.body.replaceChildren(el("div", { class: "calendars" }, shown), this.#pages(meta.cursor));
    return meta;
  }

  #pages(more) {
    const turn = (change) => () => {
      change();
      this.panel.run();
    };
    const back = el("button", { type: "button", disabled: this.#cursors.length < 2, click: turn(() => this.#cursors.pop()) }, "Back");
    const next = el("button", { type: "button", disabled: !more, click: turn(() => this.#cursors.push(more)) }, "More series");
    return el("p", { class: "pages" }, back, next);
  }
}

/** The Monday before anything was due in one of these series: what was not wanted yet needs no squares. */
function first(data, start) {
  const due = data.flatMap((one) => one.spans.filter((span) => span.state !== "not_due").map((span) => Date.parse(span.from)));
  const begin = Math.max(start, Math.floor(Math.min(...due, Number.MAX_SAFE_INTEGER) / DAY) * DAY);
  if (!due.length) return start;
  return Math.max(start, begin - ((new Date(begin).getUTCDay() + 6) % 7) * DAY);
}

/** Per day: intervals of each state. Intervals of a week or more fall on the day on which they begin. */
function perDay(spans, start, days, grain) {
  const found = Array.from({ length: days }, () => ({}));
  for (const span of spans) {
    const step = Math.max(grain, 1);
    const from = Date.parse(span.from);
    if (grain >= DAY) {
      for (let n = 0; n < span.intervals; n += 1) add(found, Math.floor((from + n * step - start) / DAY), span.state, 1);
      continue;
    }
    const to = Date.parse(span.to);
    for (let at = Math.max(from, start); at < to; ) {
      const place = Math.floor((at - start) / DAY);
      const until = Math.min(to, start + (place + 1) * DAY);
      add(found, place, span.state, (until - at) / step);
      at = until;
    }
  }
  return found;
}

function add(found, place, state, intervals) {
  if (found[place]) found[place][state] = (found[place][state] ?? 0) + intervals;
}

/** Of what was due on a day: the share that is there in percent, and the worst state; null where nothing was due. */
export function judged(states) {
  const there = (states.collected ?? 0) + (states.empty_upstream ?? 0);
  const bad = BAD.reduce((sum, one) => sum + (states[one] ?? 0), 0);
  if (there + bad === 0) return null;
  return { share: (100 * there) / (there + bad), worst: BAD.find((one) => states[one] > 0) ?? null };
}

function look(one) {
  if (one === null) return "none";
  if (one.worst === null) return "full";
  return `${one.worst} l${LEVELS.findIndex((level) => one.share >= level)}`;
}

function calendar(series, start, days, grain) {
  const skipped = (new Date(start).getUTCDay() + 6) % 7; // Monday is the first row
  const found = perDay(series.spans, start, days, grain).map(judged);
  const squares = found.map((one, at) => {
    const [column, row] = [Math.floor((at + skipped) / 7), (at + skipped) % 7];
    const told = one === null ? "nothing was due" : `${fixed(one.share, one.share === 100 ? 0 : 1)} %${one.worst ? `, ${one.worst}` : ""}`;
    const box = { x: column * SIZE, y: row * SIZE, width: SIZE - 2, height: SIZE - 2, rx: 2, class: look(one) };
    return svg("rect", box, svg("title", {}, `${day(iso(start + at * DAY))}: ${told}`));
  });
  const columns = Math.ceil((days + skipped) / 7);
  const due = found.filter((one) => one !== null);
  const whole = due.filter((one) => one.worst === null).length;
  const said = `${series.series}: ${whole} of ${due.length} days whole since ${day(iso(start))}`;
  const size = { viewBox: `0 0 ${columns * SIZE} ${7 * SIZE}`, width: columns * SIZE, height: 7 * SIZE };
  return el(
    "article",
    { class: "calendar" },
    el("h3", {}, series.series),
    el("p", { class: "at" }, `${fixed(share(series.intervals), 2)} % of what was due; ${whole} of ${due.length} days whole`),
    svg("svg", { ...size, role: "img", "aria-label": said }, squares),
    missing(series.spans),
  );
}

function share(intervals) {
  const one = judged(intervals);
  return one === null ? null : one.share;
}

/** What is not there, newest first, with the reasons: for those who do not see squares. */
function missing(spans) {
  const bad = spans.filter((one) => BAD.includes(one.state)).reverse();
  if (!bad.length) return el("p", { class: "quiet" }, "Nothing is missing.");
  const rows = bad.slice(0, 12).map((one) => el("li", {}, el("b", { class: one.state }, one.state), ` ${minute(one.from)} to ${minute(one.to)}, ${one.intervals}: ${one.reason ?? "no reason told"}`));
  const more = bad.length > rows.length ? el("li", {}, `and ${bad.length - rows.length} more`) : null;
  return el("details", {}, el("summary", {}, `${bad.length} ${bad.length === 1 ? "stretch is" : "stretches are"} missing`), el("ul", {}, rows, more));
}

function key() {
  const square = (look_, text) => el("span", {}, svg("svg", { width: 9, height: 9, "aria-hidden": "true" }, svg("rect", { width: 9, height: 9, rx: 2, class: look_ })), ` ${text} `);
  const named = BAD.map((one) => square(`${one} l2`, words(one)));
  return [square("full", "all that was due"), ...named, square("none", "nothing was due"), el("span", { class: "quiet" }, "The darker, the more of a day is missing. A column is a week, from Monday.")];
}
