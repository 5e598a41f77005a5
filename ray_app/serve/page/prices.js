/** The table of prices: the newest of each coin with a day's line, live from the stream, else asked for. */

import { sentence } from "./api.js";
import { byId, el } from "./dom.js";
import { direction, iso, percent, price, short } from "./format.js";
import { line } from "./lines.js";
import { Panel, since } from "./panel.js";
import { follow } from "./stream.js";

const POLL = 30; // seconds, while there is no stream
const CALM = 300; // with one: the stream tells what changes, this what became of the whole
const MOST = 250; // symbols that one request may name
const FLASH = 1_200; // milliseconds
const DAY = 86_400_000;

export class Prices {
  #rows = new Map(); // coin id -> Row
  #symbols = [];
  #live = false;
  #seen;

  /** `choose(coin)` hears which coin was picked, `told(coin, price)` each price. */
  constructor(api, choose, told) {
    this.api = api;
    this.choose = choose;
    this.told = told;
    this.panel = new Panel(api, "market", (_, late) => this.#load(late), CALM);
    this.#seen = new IntersectionObserver((found) => found.forEach((one) => one.isIntersecting && this.#line(one.target)), {
      root: this.panel.body,
      rootMargin: "80px",
    });
    byId("find").addEventListener("input", () => this.#find(), { signal: api.signal });
  }

  start = () => this.panel.run();

  /** From the first answer on; what is told before it has no row yet. */
  #follow() {
    follow(this.api, "/api/v1/stream/prices", (message) => this.#message(message), (state, why) => this.#state(state, why));
    const poll = setInterval(() => !this.#live && !document.hidden && this.panel.run(), POLL * 1000);
    this.api.signal.addEventListener("abort", () => clearInterval(poll));
  }

  async #load(late) {
    if (!this.#symbols.length) {
      const { data } = await this.api.get("/api/v1/catalog/symbols", { limit: 1000 });
      this.#symbols = data.filter((one) => one.kind !== "stock" && one.datasets.length).slice(0, MOST);
    }
    if (!this.#symbols.length) throw Object.assign(new Error("no coin has prices here yet"), { status: 0 });
    const asked = this.#symbols.map((one) => one.id).join(",");
    const { data, meta } = await this.api.get("/api/v1/prices/current", { symbols: asked });
    if (late()) return meta;
    const first = !this.#rows.size;
    if (first) this.#build();
    for (const one of data) this.#rows.get(one.id)?.show(ofRest(one), false);
    this.#order(data);
    if (first) this.#follow();
    return { ...meta, age_seconds: null };
  }

  #build() {
    const head = ["Coin", "Price, USD", "24 h", "Last day", "Cap", "Volume", "Age"];
    const body = el("tbody");
    for (const coin of this.#symbols) {
      const row = new Row(coin, this.api, () => this.choose(coin));
      this.#rows.set(coin.id, row);
      body.append(row.element);
      this.#seen.observe(row.element);
    }
    const titles = head.map((one, at) => el("th", { scope: "col", class: `c${at}` }, one));
    this.panel.body.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, titles)), body));
    this.choose(this.#symbols.find((one) => one.id === "bitcoin") ?? this.#symbols[0]);
  }

  /** The largest first; a row that has the focus keeps it. */
  #order(data) {
    const cap = (one) => one.market_cap?.usd ?? -1;
    const wanted = [...data].sort((one, other) => cap(other) - cap(one)).map((one) => this.#rows.get(one.id)?.element).filter(Boolean);
    const body = this.panel.body.querySelector("tbody");
    if (wanted.some((one, at) => body.children[at] !== one) && !body.contains(document.activeElement)) body.append(...wanted);
  }

  /** Show which coin is chosen. */
  mark(id) {
    for (const [one, row] of this.#rows) row.mark(one === id);
  }

  #find() {
    const wanted = byId("find").value.trim().toLowerCase();
    for (const { coin, element } of this.#rows.values()) {
      element.hidden = !`${coin.symbol} ${coin.name} ${coin.id}`.toLowerCase().includes(wanted);
    }
  }

  #message(message) {
    const updates = message.type === "snapshot" ? message.data : message.type === "price_update" ? [message] : [];
    for (const one of updates) {
      const row = this.#rows.get(one.id);
      if (!row) continue;
      row.show(ofStream(one), message.type === "price_update");
      this.told(one.id, one.data.price_usd);
    }
  }

  #state(state, why) {
    this.#live = state === "live";
    const pill = byId("stream-state");
    pill.hidden = false;
    pill.className = `pill ${this.#live ? "available" : "degraded"}`;
    pill.textContent = this.#live ? "live" : `no stream: asking every ${POLL} s`;
    pill.title = why;
  }

  /** The last day of a row that came into sight, once an hour. */
  async #line(element) {
    const row = [...this.#rows.values()].find((one) => one.element === element);
    if (!row || row.lineUntil > this.api.now()) return;
    row.lineUntil = this.api.now() + DAY / 24;
    try {
      const start = iso(this.api.now() - DAY - DAY / 24);
      const { data } = await this.api.get(`/api/v1/prices/historical/${encodeURIComponent(row.coin.id)}`, { interval: "1h", start });
      row.line(data.map((one) => [Date.parse(one.end), one.close]));
    } catch (error) {
      row.lineUntil = error.again ? this.api.now() + error.again * 1000 : row.lineUntil;
      row.none(sentence(error));
    }
  }
}

const ofRest = (one) => ({
  price: one.current_price.usd,
  change: one.price_change_percentage_24h?.usd ?? null,
  cap: one.market_cap?.usd ?? null,
  volume: one.volume_24h?.usd ?? null,
  at: one.last_updated,
  why: one.reason ?? null,
});

const ofStream = (one) => ({
  price: one.data.price_usd,
  change: one.data.change_percent_24h,
  cap: one.data.market_cap,
  volume: one.data.volume_24h,
  at: one.timestamp,
  why: null,
});

class Row {
  lineUntil = 0;
  #cells;
  #last = null;
  #button;

  constructor(coin, api, chosen) {
    this.coin = coin;
    this.api = api;
    this.#button = el("button", { type: "button", "aria-pressed": "false", click: chosen }, el("b", {}, coin.symbol), " ", el("span", {}, coin.name));
    this.#cells = Array.from({ length: 6 }, (_, at) => el("td", { class: `c${at + 1}` }, "–"));
    this.element = el("tr", { "data-coin": coin.id }, el("th", { scope: "row", class: "c0" }, this.#button), this.#cells);
  }

  mark(chosen) {
    this.element.classList.toggle("chosen", chosen);
    this.#button.setAttribute("aria-pressed", String(chosen));
  }

  show({ price: now, change, cap, volume, at, why }, live) {
    const [cost, moved, , size, traded, old] = this.#cells;
    if (live && this.#last !== null && now !== null && now !== this.#last) {
      const way = now > this.#last ? "rose" : "fell";
      cost.classList.remove("rose", "fell");
      cost.classList.add(way);
      setTimeout(() => cost.classList.remove(way), FLASH);
    }
    this.#last = now;
    cost.textContent = price(now);
    cost.title = why ?? "";
    moved.textContent = percent(change);
    moved.className = `c2 ${direction(change)}`;
    size.textContent = short(cap);
    traded.textContent = short(volume);
    old.replaceChildren(at ? since(Date.parse(at), this.api) : "–");
  }

  line(points) {
    const first = points[0]?.[1];
    const last = points.at(-1)?.[1];
    const said = `${this.coin.symbol}: the last ${points.length} hours from ${price(first)} to ${price(last)}`;
    const drawn = line(points, 28, said, { class: `line ${direction(last - first)}` });
    this.#cells[2].replaceChildren(drawn ?? "–");
  }

  none(why) {
    this.#cells[2].replaceChildren(el("span", { title: why }, "–"));
  }
}

