/** Headlines about the chosen coin, as text, with what a model makes of each. */

import { el, link } from "./dom.js";
import { signed, words } from "./format.js";
import { Panel, since } from "./panel.js";

const EVERY = 60; // seconds
const MOST = 40;

export class News {
  #coin = null;

  constructor(api) {
    this.panel = new Panel(api, "news", (asked, late) => this.#load(asked, late), EVERY);
  }

  show(coin) {
    this.#coin = coin;
    document.getElementById("news-title").textContent = `News about ${coin.symbol}`;
    this.panel.restart();
  }

  async #load(api, late) {
    const { data, meta } = await api.get("/api/v1/news/crypto/latest", { symbol: this.#coin.id, limit: MOST });
    if (late()) return meta;
    const shown = data.length ? el("ol", { class: "headlines" }, data.map((one) => item(one, api))) : el("p", { class: "quiet" }, "No headline mentions it.");
    this.panel.body.replaceChildren(shown);
    return meta;
  }
}

function item(one, api) {
  const at = one.published_at ?? one.first_seen_at;
  return el(
    "li",
    {},
    score(one),
    el("span", { class: "text" }, link(one.url ?? "", one.title ?? "A text without a title", { class: "title", lang: one.language })),
    el("span", { class: "by" }, `${one.outlet ?? one.feed} `, at ? since(Date.parse(at), api) : null),
  );
}

function score(one) {
  if (!one.sentiment) {
    return el("span", { class: "score", title: `no score: ${words(one.sentiment_reason ?? "unknown")}` }, "–");
  }
  const { score: value, label, confidence, model } = one.sentiment;
  const side = { bullish: "up", bearish: "down" }[label] ?? "";
  return el("span", { class: `score ${side}`, title: `${label}, confidence ${confidence}, by ${model?.id ?? "a model"}` }, signed(value, 2));
}
