// The gain curve: what the best n calls are expected to bring.

import uPlot from "./uplot.js";

const POINTS = 400;

export class GainCurve {
  constructor(place) {
    this.place = place;
    this.calls = 0;
    new ResizeObserver(() => this.plot?.setSize(this.#size())).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.ranking && this.show(this.ranking, this.prices));
  }

  show(ranking, prices) {
    this.ranking = ranking;
    this.prices = prices;
    this.plot?.destroy();
    this.plot = new uPlot(this.#options(), this.#data(), this.place);
  }

  move(calls) {
    this.calls = calls;
    this.plot?.redraw(false);
  }

  #data() {
    const { count } = this.ranking;
    const points = Math.min(count, POINTS);
    const x = Array.from({ length: points + 1 }, (_, n) => (points ? Math.round((n * count) / points) : 0));
    const outlooks = x.map((calls) => this.ranking.outlook(calls, this.prices.value, this.prices.cost));
    return [x, outlooks.map((one) => one.subscriptions), outlooks.map((one) => one.random), outlooks.map((one) => one.profit)];
  }

  #options() {
    const style = getComputedStyle(document.documentElement);
    const [ink, grid, first, second] = ["--pico-color", "--pico-muted-border-color", "--pico-primary", "--pico-ins-color"].map((name) => style.getPropertyValue(name).trim());
    const axis = { stroke: ink, grid: { stroke: grid }, ticks: { stroke: grid } };
    return {
      ...this.#size(),
      scales: { x: { time: false }, profit: {} },
      axes: [
        { ...axis, label: "calls" },
        { ...axis, label: "subscriptions" },
        { ...axis, label: "profit", scale: "profit", side: 1, grid: { show: false } },
      ],
      series: [
        { label: "calls" },
        { label: "subscriptions", stroke: first, width: 2, points: { show: false }, value: (_, value) => value?.toFixed(1) ?? "" },
        { label: "at random", stroke: first, width: 1, dash: [6, 6], points: { show: false }, value: (_, value) => value?.toFixed(1) ?? "" },
        { label: "profit", scale: "profit", stroke: second, width: 2, points: { show: false }, value: (_, value) => value?.toFixed(0) ?? "" },
      ],
      hooks: { draw: [(plot) => this.#drawCalls(plot, ink)] },
    };
  }

  #drawCalls(plot, ink) {
    const x = plot.valToPos(this.calls, "x", true);
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = ink;
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }

  #size() {
    return { width: Math.max(280, this.place.clientWidth), height: 320 };
  }
}
