/** The page: a key is asked for, then its parts are started with it. The key lives as long as the tab. */

import { Api, sentence } from "./api.js";
import { Calendar } from "./calendar.js";
import { Candles } from "./candles.js";
import { Collectors } from "./collectors.js";
import { byId, el, link } from "./dom.js";
import { Macro } from "./macro.js";
import { Mood } from "./mood.js";
import { News } from "./news.js";
import { Onchain } from "./onchain.js";
import { tick } from "./panel.js";
import { Prices } from "./prices.js";
import { Quotas } from "./quotas.js";
import { Technical } from "./technical.js";
import * as theme from "./theme.js";

const NAME = "crypto-data.key";
const TICK = 1_000; // milliseconds
let api = null;

/** Ask for a key, with the reason. */
function ask(why) {
  api?.stop();
  api = null;
  byId("desk").hidden = byId("forget").hidden = true;
  for (const one of document.querySelectorAll("nav, .pill, #simulated, #trouble")) one.hidden = true;
  byId("clock").textContent = "";
  byId("door").hidden = false;
  byId("refusal").textContent = why;
  byId("key").value = "";
  byId("key").focus();
}

/** Try a key: with a good one the parts are started. */
async function open(key) {
  api?.stop();
  const mine = (api = new Api(key, () => {
    sessionStorage.removeItem(NAME);
    ask("This key is not valid (any more): it may be mistyped, expired or revoked. Enter another one.");
  }));
  let sources;
  try {
    sources = await mine.get("/api/v1/catalog/sources");
  } catch (error) {
    if (mine.signal.aborted) return; // a key that is refused was told above
    if (!error.again) return ask(sentence(error));
    byId("door").hidden = true;
    byId("trouble").hidden = false;
    byId("trouble").textContent = sentence(error);
    setTimeout(() => mine === api && open(key), error.again * 1000);
    return;
  }
  sessionStorage.setItem(NAME, key);
  byId("door").hidden = byId("trouble").hidden = true;
  byId("desk").hidden = byId("forget").hidden = false;
  document.querySelector("nav").hidden = false;
  byId("simulated").hidden = !sources.meta.simulated;
  credits(sources.data);
  begin(mine);
}

function begin(mine) {
  const [candles, technical, news, mood, onchain] = [Candles, Technical, News, Mood, Onchain].map((Part) => new Part(mine));
  const choose = (coin) => {
    prices.mark(coin.id);
    for (const one of [candles, technical, news, mood, onchain]) one.show(coin);
  };
  const prices = new Prices(mine, choose, (id, price) => candles.priced(id, price));
  prices.start();
  for (const Part of [Macro, Calendar, Quotas, Collectors]) new Part(mine).start();
  const ticking = setInterval(() => {
    tick(mine);
    byId("clock").textContent = `${new Date(mine.now()).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  }, TICK);
  mine.signal.addEventListener("abort", () => clearInterval(ticking));
}

function credits(sources) {
  const named = sources.filter((one) => one.attribution).map((one) => link(one.docs ?? "", one.attribution));
  byId("credits").replaceChildren("Data: ", ...named.flatMap((one, at) => (at ? ["; ", one] : [one])), el("span", {}, "."));
}

theme.start();
byId("door").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("refusal").textContent = "";
  open(byId("key").value.trim());
});
byId("forget").addEventListener("click", () => {
  sessionStorage.removeItem(NAME);
  ask("");
});
const kept = sessionStorage.getItem(NAME);
if (kept) open(kept);
else ask("");
