/**
 * Lines beside candles, reckoned as the node's indicators of the same name are (docs/indicators.md). Closes stand on
 * an even grid with null where a candle is missing; a line is null until its values are there without a gap.
 */

/** Mean of the last n. */
export function sma(closes, n) {
  return windows(closes, n, (values) => values.reduce((sum, one) => sum + one, 0) / n);
}

/** Starts from the mean of the first n, again after a gap. */
export function ema(closes, n) {
  return smoothed(closes, n, 2 / (n + 1));
}

/** Mean of the last n, and two standard deviations to both sides. */
export function bollinger(closes, n = 20, width = 2) {
  const middle = sma(closes, n);
  const spread = windows(closes, n, (values) => {
    const mean = values.reduce((sum, one) => sum + one, 0) / n;
    return width * Math.sqrt(values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / n);
  });
  const beside = (sign) => middle.map((one, at) => (one === null ? null : one + sign * spread[at]));
  return { upper: beside(1), middle, lower: beside(-1) };
}

/** Wilder's relative strength, 0 to 100. */
export function rsi(closes, n = 14) {
  const moves = closes.map((one, at) => (at === 0 || one === null || closes[at - 1] === null ? null : one - closes[at - 1]));
  const part = (sign) => smoothed(moves.map((one) => (one === null ? null : Math.max(0, sign * one))), n, 1 / n);
  const up = part(1);
  const down = part(-1);
  return up.map((one, at) => (one === null ? null : one + down[at] === 0 ? 50 : (100 * one) / (one + down[at])));
}

function windows(values, n, made) {
  return values.map((_, at) => {
    if (at + 1 < n) return null;
    const last = values.slice(at + 1 - n, at + 1);
    return last.includes(null) ? null : made(last);
  });
}

function smoothed(values, n, share) {
  let run = [];
  let now = null;
  return values.map((one) => {
    if (one === null) {
      run = [];
      now = null;
    } else if (now !== null) {
      now += share * (one - now);
    } else {
      run.push(one);
      if (run.length === n) now = run.reduce((sum, each) => sum + each, 0) / n;
    }
    return now;
  });
}

/** Candles on an even grid: [{time, close or null}], `step` seconds apart. */
export function grid(candles, step) {
  const out = [];
  for (const one of candles) {
    for (let time = out.length ? out.at(-1).time + step : one.time; time < one.time; time += step) out.push({ time, close: null });
    out.push({ time: one.time, close: one.close });
  }
  return out;
}
