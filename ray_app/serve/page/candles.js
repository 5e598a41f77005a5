/** The candles of the chosen coin with lines, RSI, the price of now, and a mark where news came. */

import { bollinger, ema, grid, rsi, sma } from "./averages.js";
import { axis, CandlestickSeries, chart, createSeriesMarkers, HistogramSeries, keys, LineSeries } from "./charts.js";
import { byId, choices, el, toggles } from "./dom.js";
import { count, decimals, fixed, minute, NOTHING, price, seconds, signed } from "./format.js";
import { Panel } from "./panel.js";
import { colour } from "./theme.js";

const INTERVALS = { "5m": [300, 3], "1h": [3600, 30], "4h": [14_400, 90], "1d": [86_400, 365] }; // seconds, days shown
const LINES = [["sma", "SMA 20"], ["ema", "EMA 50"], ["bands", "Bollinger"], ["rsi", "RSI"], ["news", "News"]];
const MOST_NEWS = 500;
const EVERY = 60; // seconds

export class Candles {
  #coin = null;
  #interval = "1h";
  #on;
  #chart = null;
  #series = {};
  #now = null; // the line of the newest price
  #candles = [];
  #news = new Map(); // start of a candle -> texts

  constructor(api) {
    this.api = api;
    this.panel = new Panel(api, "candles", (_, late) => this.#load(late), EVERY);
    choices(byId("interval"), Object.keys(INTERVALS).map((one) => [one, one]), this.#interval, (one) => this.#again(() => (this.#interval = one)));
    byId("lines").replaceChildren();
    this.#on = toggles(byId("lines"), LINES, ["sma", "bands", "news"], () => this.#draw());
  }

  show(coin) {
    this.#again(() => (this.#coin = coin));
  }

  /** The newest price of a coin: a line, for a candle is told when it is over. */
  priced(id, value) {
    if (id !== this.#coin?.id || value === null || !this.#series.candles) return;
    this.#now ??= this.#series.candles.createPriceLine({ price: value, title: "now", lineStyle: 2, lineWidth: 1, color: colour("accent") });
    this.#now.applyOptions({ price: value });
  }

  #again(change) {
    change();
    if (this.#coin) {
      byId("candles-title").textContent = `${this.#coin.symbol} candles`;
      this.#drop();
      this.panel.restart();
    }
  }

  #drop() {
    this.#chart?.end();
    this.#chart = this.#now = null;
    this.#series = {};
    this.#news = new Map();
  }

  async #load(late) {
    const [, days] = INTERVALS[this.#interval];
    const { data, meta } = await this.api.get(`/api/v1/prices/historical/${encodeURIComponent(this.#coin.id)}`, { interval: this.#interval, days });
    if (late()) return meta;
    this.#candles = data.map((one) => ({ ...one, time: seconds(one.timestamp) }));
    if (!this.#chart) this.#build();
    this.#draw();
    this.#marks(late);
    return meta;
  }

  /** News are beside the point of the chart: a key that may not read them still sees candles. */
  async #marks(late) {
    if (!this.#candles.length) return;
    try {
      const since = this.#candles[0].timestamp;
      const found = await this.api.get("/api/v1/news/crypto/latest", { symbol: this.#coin.id, since, limit: MOST_NEWS });
      if (late()) return;
      const [step] = INTERVALS[this.#interval];
      this.#news = Map.groupBy(found.data.filter((one) => one.published_at), (one) => Math.floor(seconds(one.published_at) / step) * step);
      this.#draw();
    } catch {
      // The list of news says what is wrong.
    }
  }

  #build() {
    const gone = new AbortController();
    this.api.signal.addEventListener("abort", () => gone.abort());
    const legend = el("p", { class: "legend" });
    const place = el("div", { class: "chart", tabindex: "0", role: "img" });
    const table = el("details", {}, el("summary", {}, "The last candles as a table"), el("div", { class: "scroll" }));
    this.panel.body.replaceChildren(legend, place, table);
    const made = chart(place, place.clientHeight, gone.signal, () => this.#colours());
    keys(place, made);
    const add = (kind, options = {}, pane = 0) => made.addSeries(kind, { priceLineVisible: false, lastValueVisible: false, ...options }, pane);
    const thin = { lineWidth: 1, crosshairMarkerVisible: false };
    this.#series = {
      volume: add(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" } }),
      upper: add(LineSeries, thin),
      lower: add(LineSeries, thin),
      ema: add(LineSeries, { ...thin, lineWidth: 2 }),
      sma: add(LineSeries, { ...thin, lineWidth: 2 }),
      candles: add(CandlestickSeries, { lastValueVisible: true }),
    };
    made.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    made.priceScale("right").applyOptions({ scaleMargins: { top: 0.06, bottom: 0.18 } });
    this.#chart = { made, place, legend, table, marks: createSeriesMarkers(this.#series.candles, []), end: () => gone.abort() };
    made.subscribeCrosshairMove((event) => this.#legend(event.time));
    this.#colours();
  }

  #colours() {
    const { candles, volume, upper, lower, ema: slow, sma: fast, rsi: strength } = this.#series;
    const [up, down] = [colour("up"), colour("down")];
    candles?.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false });
    volume?.applyOptions({ color: colour("volume") });
    for (const band of [upper, lower]) band?.applyOptions({ color: colour("band") });
    slow?.applyOptions({ color: colour("second") });
    fast?.applyOptions({ color: colour("first") });
    strength?.applyOptions({ color: colour("third") });
    this.#now?.applyOptions({ color: colour("accent") });
    if (this.#chart) this.#mark();
  }

  #draw() {
    if (!this.#chart) return;
    const { made, place } = this.#chart;
    const [step] = INTERVALS[this.#interval];
    const even = grid(this.#candles, step);
    const closes = even.map((one) => one.close);
    const set = (series, values) => series.setData(even.map(({ time }, at) => (values?.[at] == null ? { time } : { time, value: values[at] })));
    const digits = decimals(this.#candles.at(-1)?.close ?? null);
    for (const name of ["upper", "lower", "ema", "sma", "candles"]) this.#series[name].applyOptions({ priceFormat: axis(digits) });
    const of = new Map(this.#candles.map((one) => [one.time, one]));
    this.#series.candles.setData(even.map(({ time }) => of.get(time) ?? { time }));
    set(this.#series.volume, even.map(({ time }) => of.get(time)?.volume ?? null));
    const bands = this.#on.has("bands") ? bollinger(closes) : {};
    set(this.#series.upper, bands.upper);
    set(this.#series.lower, bands.lower);
    set(this.#series.sma, this.#on.has("sma") ? sma(closes, 20) : null);
    set(this.#series.ema, this.#on.has("ema") ? ema(closes, 50) : null);
    this.#strength(even, closes, set);
    this.#mark();
    if (!place.dataset.shown) {
      made.timeScale().setVisibleLogicalRange({ from: Math.max(-1, even.length - place.clientWidth / 6), to: even.length + 2 });
      place.dataset.shown = "yes";
    }
    this.#say();
    this.#legend(null);
  }

  #strength(even, closes, set) {
    const { made } = this.#chart;
    if (this.#on.has("rsi")) {
      if (!this.#series.rsi) {
        this.#series.rsi = made.addSeries(LineSeries, { lineWidth: 1, priceLineVisible: false, lastValueVisible: true, color: colour("third"), priceFormat: { type: "price", precision: 0, minMove: 1 } }, 1);
        for (const level of [30, 70]) this.#series.rsi.createPriceLine({ price: level, color: colour("line"), lineWidth: 1, lineStyle: 2, axisLabelVisible: false, title: "" });
        made.panes()[1].setStretchFactor(0.28);
      }
      set(this.#series.rsi, rsi(closes));
    } else if (this.#series.rsi) {
      made.removeSeries(this.#series.rsi);
      delete this.#series.rsi;
    }
  }

  #mark() {
    const shown = this.#on.has("news") ? this.#candles.filter((one) => this.#news.has(one.time)) : [];
    const mark = { position: "aboveBar", shape: "circle", color: colour("news") };
    this.#chart.marks.setMarkers(shown.map(({ time }) => ({ ...mark, time, size: Math.min(1.4, 0.4 + 0.2 * this.#news.get(time).length) })));
  }

  /** What is under the crosshair, else the last candle. */
  #legend(time) {
    const one = this.#candles.find((each) => each.time === time) ?? this.#candles.at(-1);
    const { legend } = this.#chart;
    if (!one) return legend.replaceChildren("No candles of this length.");
    const part = (name, value) => [el("span", { class: "quiet" }, `${name} `), `${value} `];
    const texts = this.#on.has("news") ? (this.#news.get(one.time) ?? []) : [];
    legend.replaceChildren(
      el("span", { class: "quiet" }, `${minute(one.timestamp)} `),
      ...part("O", price(one.open)), ...part("H", price(one.high)), ...part("L", price(one.low)), ...part("C", price(one.close)),
      ...part("V", one.volume === null ? NOTHING : count(one.volume)),
      one.complete ? "" : el("span", { class: "mark degraded" }, "incomplete"),
      ...(texts.length ? [el("span", { class: "headline" }, texts[0].title ?? "A text without a title", texts.length > 1 ? ` and ${texts.length - 1} more` : "")] : []),
    );
  }

  /** The same in words and as a table. */
  #say() {
    const { place, table } = this.#chart;
    const first = this.#candles[0];
    const last = this.#candles.at(-1);
    place.setAttribute("aria-label", last
      ? `${this.#coin.symbol}, ${this.#candles.length} candles of ${this.#interval} from ${minute(first.timestamp)} to ${minute(last.end)}; ` +
        `last close ${price(last.close)} USD, ${signed((last.close / first.open - 1) * 100, 2)} percent over that time. Arrow keys move, plus and minus zoom.`
      : `${this.#coin.symbol}: no candles`);
    const names = ["Start, UTC", "Open", "High", "Low", "Close", "Volume"];
    const rows = this.#candles.slice(-24).reverse().map((one) =>
      el("tr", {}, el("th", { scope: "row" }, minute(one.timestamp)), ...["open", "high", "low", "close"].map((name) => el("td", {}, price(one[name]))), el("td", {}, fixed(one.volume, 2))),
    );
    table.lastChild.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, names.map((one) => el("th", { scope: "col" }, one)))), el("tbody", {}, rows)));
  }
}

