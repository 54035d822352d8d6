// Monthly charts: a metric with its interval, the metric it is compared with, and marks where the model changes.

import { number, percent } from "./dom.js";
import uPlot from "./uplot.js";

const HEIGHT = 170;
const FORMATS = { roc_auc: (value) => number(value, 3), rate: (value) => percent(value), profit: (value) => number(value) };
const TICKS = { roc_auc: (value) => number(value, 2), rate: (value) => percent(value, 0), profit: (value) => number(value) };

/** Version of a model id, like "v7", for the marks. */
function version(model) {
  return model.slice(model.lastIndexOf("-v") + 1);
}

class MonthChart {
  /** @param {HTMLElement} figure */
  constructor(figure) {
    this.months = JSON.parse(document.getElementById(figure.dataset.months).textContent);
    this.name = figure.dataset.curve;
    this.curve = this.months.curves[this.name];
    this.place = figure.querySelector(".plot");
    this.reading = figure.querySelector(".reading");
    new ResizeObserver(() => (this.plot ? this.plot.setSize(this.#size()) : this.draw())).observe(this.place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  draw() {
    if (!this.place.clientWidth) return; // inside a closed <details>
    this.plot?.destroy();
    const { values, low, high, beside } = this.curve;
    this.plot = new uPlot(this.#options(), [values.map((_, n) => n), high, low, beside, values], this.place);
  }

  #size() {
    return { width: this.place.clientWidth, height: HEIGHT };
  }

  #options() {
    const style = getComputedStyle(document.documentElement);
    const [faint, muted, first, second] = ["--edge", "--pico-muted-color", "--for", "--against"].map((name) => style.getPropertyValue(name).trim());
    const axis = { stroke: muted, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1 }, font: "12px system-ui, sans-serif" };
    const hidden = { stroke: "transparent", points: { show: false } };
    const last = this.months.periods.length - 1;
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [14, 8, 0, 0],
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 } },
      scales: { x: { time: false, range: [-0.4, last + 0.4] } },
      axes: [
        { ...axis, size: 26, incrs: [1, 2, 3, 6, 12], space: 64, values: (_, places) => places.map((n) => this.months.periods[n] ?? "") },
        { ...axis, size: 52, space: 28, values: (_, ticks) => ticks.map(TICKS[this.name]) },
      ],
      series: [
        {},
        hidden,
        hidden,
        { stroke: muted, width: 1.5, dash: [5, 5], points: { show: false } },
        { stroke: first, width: 2, points: { show: true, size: 5, fill: first } },
      ],
      bands: [{ series: [1, 2], fill: `${first}33` }],
      hooks: {
        draw: [(plot) => this.#drawChanges(plot, second), (plot) => this.#drawSingles(plot, first)],
        setCursor: [(plot) => this.#read(plot.cursor.idx)],
      },
    };
  }

  /** Draw a dotted line where the model changes, labelled with the new version if there is room. */
  #drawChanges(plot, colour) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.strokeStyle = ctx.fillStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    let free = -Infinity;
    for (const place of this.months.changes) {
      const x = plot.valToPos(place - 0.5, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const text = version(this.months.models[place]);
      const half = ctx.measureText(text).width / 2;
      if (x - half < free || x + half > bbox.left + bbox.width) continue;
      ctx.fillText(text, x, bbox.top - 3 * devicePixelRatio);
      free = x + half + 4 * devicePixelRatio;
    }
    ctx.restore();
  }

  /** Draw the interval of an isolated month as a line, since its band would have no width. */
  #drawSingles(plot, colour) {
    const { values, low, high } = this.curve;
    const { ctx } = plot;
    ctx.save();
    ctx.setLineDash([]);
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    values.forEach((_, n) => {
      if (low[n] === null || (low[n - 1] ?? null) !== null || (low[n + 1] ?? null) !== null) return;
      const x = plot.valToPos(n, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, plot.valToPos(low[n], "y", true));
      ctx.lineTo(x, plot.valToPos(high[n], "y", true));
      ctx.stroke();
    });
    ctx.restore();
  }

  #read(place) {
    const { values, low, high } = this.curve;
    if (place === null || place === undefined || values[place] === null) {
      this.reading.textContent = "";
      return;
    }
    const format = FORMATS[this.name];
    const bounds = low[place] === null ? "" : ` (${format(low[place])} to ${format(high[place])})`;
    this.reading.textContent = `${this.months.periods[place]}: ${format(values[place])}${bounds}, ${this.months.models[place]}`;
  }
}

/** Draw all charts of the page; those inside a closed <details> are drawn when it is opened. */
export function drawCharts() {
  for (const figure of document.querySelectorAll(".chart")) new MonthChart(figure).draw();
}
