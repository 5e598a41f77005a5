/** On-chain metrics of the chosen coin as tiles: a month of each, with its provider. */

import { sentence } from "./api.js";
import { day, iso, minute } from "./format.js";
import { tile } from "./lines.js";
import { Panel } from "./panel.js";

const FIRST = ["AdrActCnt", "TxCnt", "hash_rate", "mempool_tx", "fee_rate_fast", "tvl", "difficulty", "supply"];
const TILES = 8;
const MONTH = 30 * 86_400_000;
const EVERY = 900; // seconds

export class Onchain {
  #coin = null;

  constructor(api) {
    this.panel = new Panel(api, "onchain", (asked, late) => this.#load(asked, late), EVERY);
  }

  show(coin) {
    this.#coin = coin;
    document.getElementById("onchain-title").textContent = `On-chain: ${coin.symbol}`;
    this.panel.restart();
  }

  async #load(api, late) {
    const path = `/api/v1/onchain/${encodeURIComponent(this.#coin.id)}`;
    const whole = await api.get(path);
    const told = new Set(whole.data.map((row) => row.metric));
    const rank = (one) => (told.has(one.metric) ? 0 : 100) + (FIRST.includes(one.metric) ? FIRST.indexOf(one.metric) : FIRST.length);
    const chosen = [...whole.metrics].sort((one, other) => rank(one) - rank(other)).slice(0, TILES);
    const start = iso(api.now() - MONTH);
    const tiles = await Promise.all(chosen.map((about) => one(api, path, about, start)));
    if (late()) return null;
    this.panel.body.replaceChildren(...tiles);
    return whole.meta;
  }
}

async function one(api, path, about, start) {
  const when = (at) => minute(iso(at));
  const shape = { title: about.title ?? about.metric, name: about.series, unit: about.unit, points: [], when };
  try {
    const { data } = await api.get(path, { metrics: about.metric, start, limit: 1000 });
    const points = data.filter((row) => row.provider === about.provider).map((row) => [Date.parse(row.time), row.value]).reverse();
    return tile({ ...shape, points, below: points.length ? `${about.provider}, since ${day(iso(points[0][0]))}` : `${about.provider}: nothing in thirty days` });
  } catch (error) {
    return tile({ ...shape, note: sentence(error), below: about.provider });
  }
}
