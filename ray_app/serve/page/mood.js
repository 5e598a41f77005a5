/** What texts say of the chosen coin, over time against its price; and of the market. */

import { axis, BaselineSeries, chart, keys, LineSeries } from "./charts.js";
import { byId, choices, el } from "./dom.js";
import { count, decimals, fixed, iso, minute, NOTHING, seconds, signed, words } from "./format.js";
import { Panel } from "./panel.js";
import { colour } from "./theme.js";

const WINDOWS = { "24h": 1, "7d": 7 }; // days
const NAMES = { news: "News", reddit: "Reddit", twitter: "X" };
const EVERY = 120; // seconds
const DAY = 86_400_000;

export class Mood {
  #coin = null;
  #window = "24h";
  #chart = null;

  constructor(api) {
    this.api = api;
    this.panel = new Panel(api, "mood", (_, late) => this.#load(late), EVERY);
    choices(byId("window"), Object.keys(WINDOWS).map((one) => [one, one]), this.#window, (one) => {
      this.#window = one;
      this.#again();
    });
  }

  show(coin) {
    this.#coin = coin;
    byId("mood-title").textContent = `Sentiment against price of ${coin.symbol}`;
    this.#again();
  }

  #again() {
    this.#chart?.end();
    this.#chart = null;
    if (this.#coin) this.panel.restart();
  }

  async #load(late) {
    const id = encodeURIComponent(this.#coin.id);
    const start = iso(this.api.now() - WINDOWS[this.#window] * DAY);
    const [said, prices, market] = await Promise.allSettled([
      this.api.get(`/api/v1/sentiment/crypto/${id}`, { timeframe: this.#window }),
      this.api.get(`/api/v1/prices/historical/${id}`, { interval: "1h", start }),
      this.api.get("/api/v1/sentiment/market", { timeframe: this.#window }),
    ]);
    if (late()) return null;
    if (said.status === "rejected") throw said.reason;
    if (!this.#chart) this.#build();
    const candles = prices.status === "fulfilled" ? prices.value.data : [];
    this.#draw(said.value.history, candles);
    this.#chart.figures.replaceChildren(...figures(said.value), ...(market.status === "fulfilled" ? ofMarket(market.value) : []));
    return said.value.meta;
  }

  #build() {
    const gone = new AbortController();
    this.api.signal.addEventListener("abort", () => gone.abort());
    const place = el("div", { class: "chart low", tabindex: "0", role: "img" });
    const key = el("p", {}, el("span", { class: "dot mood" }), "sentiment, −1 to 1 (left) ", el("span", { class: "dot price" }), "price, USD (right)");
    const numbers = el("dl", { class: "figures" });
    this.panel.body.replaceChildren(key, place, numbers);
    const series = {};
    const made = chart(place, place.clientHeight, gone.signal, () => colours(series), { leftPriceScale: { visible: true, borderColor: colour("line"), scaleMargins: { top: 0.04, bottom: 0.04 } } });
    keys(place, made);
    series.mood = made.addSeries(BaselineSeries, {
      priceScaleId: "left", baseValue: { type: "price", price: 0 }, lineWidth: 2, priceLineVisible: false,
      autoscaleInfoProvider: () => ({ priceRange: { minValue: -1, maxValue: 1 } }), priceFormat: { type: "price", precision: 2, minMove: 0.01 },
    });
    series.price = made.addSeries(LineSeries, { lineWidth: 2, priceLineVisible: false });
    colours(series);
    this.#chart = { made, place, series, figures: numbers, end: () => gone.abort() };
  }

  #draw(history, candles) {
    const { made, place, series } = this.#chart;
    const point = (at, value) => (value === null ? { time: seconds(at) } : { time: seconds(at), value });
    series.mood.setData(history.map((one) => point(one.end, one.score)));
    series.price.setData(candles.map((one) => point(one.end, one.close)));
    const digits = decimals(candles.at(-1)?.close ?? null);
    series.price.applyOptions({ priceFormat: axis(digits) });
    made.timeScale().fitContent();
    const told = history.filter((one) => one.score !== null);
    place.setAttribute("aria-label", told.length
      ? `${this.#coin.symbol}: sentiment from ${minute(told[0].end)} ${signed(told[0].score)} to ${minute(told.at(-1).end)} ${signed(told.at(-1).score)}, against its price`
      : `${this.#coin.symbol}: no text about it has a score in this time`);
  }
}

function colours({ mood, price }) {
  const [up, down] = [colour("up"), colour("down")];
  mood?.applyOptions({
    topLineColor: up, bottomLineColor: down, topFillColor1: rgb(up, 0.28), topFillColor2: rgb(up, 0.04),
    bottomFillColor1: rgb(down, 0.04), bottomFillColor2: rgb(down, 0.28),
  });
  price?.applyOptions({ color: colour("accent") });
}

/** A colour #rrggbb with an opacity. */
function rgb(hex, opacity) {
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}

function figure(name, value, note, side = "") {
  return el("div", {}, el("dt", {}, name), el("dd", { class: side }, value), el("dd", { class: "quiet" }, note ?? ""));
}

const side = (label) => ({ bullish: "up", bearish: "down" })[label] ?? "";

function figures(said) {
  const { overall_sentiment: whole } = said;
  const one = (name, told, n) => figure(name, signed(told.score), told.score === null ? words(told.reason ?? "") : `${told.label}, ${n}`, side(told.label));
  const parts = Object.entries(said.breakdown ?? {}).map(([name, part]) => one(NAMES[name] ?? name, part, `${count(part.count)} texts`));
  return [one("All", whole, `${count(said.sample_size)} stories`), ...parts];
}

function ofMarket(market) {
  const { fear_and_greed: fear, risk_appetite: risk } = market;
  return [
    figure("Fear and greed", fixed(fear.value, 0), fear.reason ? words(fear.reason) : fear.label),
    figure("Risk appetite", signed(risk.score), risk.reason ?? risk.label ?? NOTHING),
    figure("Coins − stocks", signed(market.crypto_minus_stock), ""),
  ];
}
