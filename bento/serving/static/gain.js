// The gain curve: what the best n calls are expected to bring; a click on it plans n calls.

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

  move(calls) {
    this.calls = calls;
    this.plot?.redraw(false);
  }

  #data() {
    const { count } = this.plan;
    const points = Math.min(count, POINTS);
    const x = Array.from({ length: points + 1 }, (_, n) => Math.round((n * count) / points));
    const outlooks = x.map((calls) => this.plan.outlook(calls));
    return [x, outlooks.map((one) => one.subscriptions), outlooks.map((one) => one.random), outlooks.map((one) => one.profit)];
  }

  #options() {
    const style = getComputedStyle(document.documentElement);
    const [ink, faint, muted, first, second] = ["--pico-color", "--edge", "--pico-muted-color", "--for", "--against"].map((name) => style.getPropertyValue(name).trim());
    this.ink = ink;
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
      ],
      hooks: { draw: [(plot) => this.#drawCalls(plot)] },
    };
  }

  #drawCalls(plot) {
    const { ctx, bbox } = plot;
    const { subscriptions, profit } = this.plan.outlook(this.calls);
    const x = plot.valToPos(this.calls, "x", true);
    ctx.save();
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

  #size() {
    return { width: Math.max(240, this.place.clientWidth), height: HEIGHT };
  }
}
