/** What the indicators of the last complete candle say: a few numbers, the signals, and why some are null. */

import { el } from "./dom.js";
import { fixed, minute, NOTHING, price, signed, words } from "./format.js";
import { Panel } from "./panel.js";

const EVERY = 300; // seconds
const FRAMES = ["1h", "4h", "1d"];

export class Technical {
  #coin = null;

  constructor(api) {
    this.panel = new Panel(api, "technical", (asked, late) => this.#load(asked, late), EVERY);
  }

  show(coin) {
    this.#coin = coin;
    this.panel.restart();
  }

  async #load(api, late) {
    const ask = (timeframe) => api.get(`/api/v1/technical/${encodeURIComponent(this.#coin.id)}`, { timeframe });
    const found = await Promise.allSettled(FRAMES.map(ask));
    if (late()) return null;
    if (found.every((one) => one.status === "rejected")) throw found[0].reason;
    const columns = found.map((one) => (one.status === "fulfilled" ? one.value : null));
    this.panel.body.replaceChildren(table(columns));
    return columns.find((one) => one).meta;
  }
}

const ROWS = [
  ["Says", (one) => told(one.overall_signal?.direction, percent(one.overall_signal?.strength))],
  ["RSI 14", (one) => told(one.rsi?.signal, fixed(one.rsi?.value, 1))],
  ["MACD", (one) => told(one.macd?.crossover === "none" ? "no cross" : one.macd?.crossover, signed(one.macd?.histogram, 2))],
  ["Bands", (one) => told(one.bollinger_bands?.position, one.bollinger_bands?.squeeze ? "squeeze" : "")],
  ["Bandwidth", (one) => fixed(one.bollinger_bands?.bandwidth, 1)],
  ["SMA 20", (one) => price(one.moving_averages?.sma_20)],
  ["SMA 50", (one) => price(one.moving_averages?.sma_50)],
  ["EMA 200", (one) => price(one.moving_averages?.ema_200)],
  ["ATR 14", (one) => price(one.indicators?.atr_14)],
  ["ADX 14", (one) => fixed(one.indicators?.adx_14, 1)],
  ["Candle of", (one) => minute(one.candle?.timestamp).slice(5)],
];

const percent = (share) => (typeof share === "number" ? `${fixed(share * 100, 0)} %` : "");

/** A word of a signal in its colour, with its number; a dash where the node has none yet. */
function told(word, number) {
  if (!word) return NOTHING;
  const side = { bullish: "up", overbought: "up", bearish: "down", oversold: "down" }[word] ?? "";
  return el("span", {}, el("span", { class: side }, words(String(word))), " ", el("span", { class: "quiet" }, number));
}

function table(columns) {
  const head = el("tr", {}, el("th", { scope: "col" }, el("span", { class: "unseen" }, "Indicator")), FRAMES.map((one) => el("th", { scope: "col" }, one)));
  const rows = ROWS.map(([name, made]) => el("tr", {}, el("th", { scope: "row" }, name), columns.map((one) => el("td", {}, one ? made(one) : NOTHING))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, rows));
}
