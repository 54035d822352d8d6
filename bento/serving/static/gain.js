// The gain curve: expected subscriptions and profit of the best n calls, with the most profitable n; a click plans n calls.

import { number } from "./dom.js";
import uPlot from "./uplot.js";

const POINTS = 400;
const HEIGHT = 320;

export class GainCurve {
  /** @param {HTMLElement} place @param {(calls: number) => void} onPick */
  constructor(place, onPick) {
    this.place = place;
    this.onPick = onPick;
    this.calls = 0;
    new ResizeObserver(() => this.plot?.setSize(this.#size())).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plan && this.show(this.plan));
  }

  /** @param {import("./plan.js").Plan} plan */
  show(plan) {
    this.plan = plan;
    this.plot?.destroy();
    this.plot = new uPlot(this.#options(), this.#data(), this.place);
    this.plot.over.addEventListener("click", () => this.onPick(Math.round(this.plot.posToVal(this.plot.cursor.left, "x"))));
  }

  /** Redraw the same list with other prices. */
  reprice(plan) {
    this.plan = plan;
    this.plot?.setData(this.#data());
  }

  move(calls) {
    this.calls = calls;
    this.plot?.redraw(false);
  }

  #data() {
    const { count } = this.plan;
    const points = Math.min(count, POINTS);
    const x = Array.from({ length: points + 1 }, (_, n) => Math.round((n * count) / points));
    const outlooks = x.map((calls) => this.plan.outlook(calls));
    return [x, outlooks.map((one) => one.subscriptions), outlooks.map((one) => one.random), outlooks.map((one) => one.profit), outlooks.map((one) => one.randomProfit)];
  }

  #options() {
    const style = getComputedStyle(document.documentElement);
    const [ink, faint, muted, first, second] = ["--pico-color", "--edge", "--pico-muted-color", "--for", "--against"].map((name) => style.getPropertyValue(name).trim());
    Object.assign(this, { ink, second });
    const axis = { stroke: muted, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1 }, labelSize: 18 };
    const line = { width: 2.5, points: { show: false } };
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [12, 4, 0, 4],
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 8 } },
      scales: { x: { time: false, range: [0, this.plan.count] } },
      axes: [
        { ...axis, label: "calls, the best first", size: 34 },
        { ...axis, label: "expected subscriptions", size: 52 },
        { ...axis, label: "expected profit", scale: "profit", side: 1, grid: { show: false }, size: 58 },
      ],
      series: [
        {},
        { ...line, stroke: first, fill: `${first}22` },
        { ...line, width: 1.5, stroke: muted, dash: [6, 6] },
        { ...line, stroke: second, scale: "profit" },
        { ...line, width: 1.5, stroke: second, dash: [3, 5], scale: "profit" },
      ],
      hooks: { draw: [(plot) => this.#drawCalls(plot), (plot) => this.#drawBest(plot)] },
    };
  }

  #drawCalls(plot) {
    const { ctx, bbox } = plot;
    const { subscriptions, profit } = this.plan.outlook(this.calls);
    const x = plot.valToPos(this.calls, "x", true);
    ctx.save();
    ctx.setLineDash([]); // reset the dash pattern of the last series
    ctx.strokeStyle = ctx.fillStyle = this.ink;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    for (const [value, scale] of [[subscriptions, "y"], [profit, "profit"]]) {
      ctx.beginPath();
      ctx.arc(x, plot.valToPos(value, scale, true), 4.5 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
    }
    ctx.restore();
  }

  #drawBest(plot) {
    const { ctx, bbox } = plot;
    const best = this.plan.mostProfitable();
    const [x, y] = [plot.valToPos(best, "x", true), plot.valToPos(this.plan.outlook(best).profit, "profit", true)];
    const right = x > bbox.left + bbox.width / 2;
    const below = y < bbox.top + 24 * devicePixelRatio;
    ctx.save();
    ctx.setLineDash([]);
    ctx.strokeStyle = ctx.fillStyle = this.second;
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.arc(x, y, 8 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.font = `600 ${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = right ? "right" : "left";
    ctx.fillText(`best: ${number(best)}`, x + (right ? -12 : 12) * devicePixelRatio, y + (below ? 18 : -10) * devicePixelRatio);
    ctx.restore();
  }

  #size() {
    return { width: Math.max(240, this.place.clientWidth), height: HEIGHT };
  }
}
