// Curves and points, by Chart.js; each with its numbers as a table for whoever cannot see it.
import { number } from "../lib/format.js";
import { colour, useColours } from "../lib/state.js";
import { html, useEffect, useRef } from "../lib/view.js";

export const SERIES = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"];

const axis = (title, extra = {}) => ({
  title: { display: true, text: title, color: colour("quiet") },
  grid: { color: colour("line") },
  border: { color: colour("line") },
  ...extra,
  ticks: { color: colour("quiet"), maxTicksLimit: 8, ...extra.ticks },
});

const legend = (datasets) => ({
  // Bounds of bands, and names of one series, say nothing.
  display: datasets.filter((set) => set.label).length > 1,
  position: "bottom",
  labels: { color: colour("text"), boxWidth: 14, boxHeight: 2, filter: (item) => Boolean(item.text) },
});

/**
 * A chart of x and y. `series`: { label, colour (its name), points: [{x, y, name?}], dashed, bandOf, dots }.
 */
export function Chart({ title, type = "line", series, x, y, tall, marks, tooltip }) {
  const canvas = useRef(null);
  const turn = useColours();
  useEffect(() => {
    const datasets = series.map((one) => ({
      label: one.label,
      data: one.points,
      borderColor: colour(one.colour),
      backgroundColor: colour(one.colour, one.fill == null ? 1 : 0.15),
      borderDash: one.dashed ? [5, 4] : [],
      borderWidth: one.hidden ? 0 : 2,
      fill: one.fill ?? false,
      pointStyle: one.shape || "circle",
      pointRadius: one.hidden ? 0 : (one.dots ?? 2),
      pointHoverRadius: one.hidden ? 0 : 5,
      tension: 0,
    }));
    const chart = new window.Chart(canvas.current, {
      type,
      data: { datasets },
      plugins: marks ? [marks] : [],
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: "nearest", intersect: false },
        scales: { x: axis(x.title, { type: "linear", ...x.options }), y: axis(y.title, y.options) },
        plugins: { legend: legend(datasets), tooltip: { filter: (item) => Boolean(item.dataset.label), callbacks: tooltip ? { label: tooltip } : {} } },
      },
    });
    return () => chart.destroy();
  }, [turn, JSON.stringify(series)]);
  const told = series.filter((one) => one.label && !one.hidden);
  return html`<figure class="chart">
    <figcaption>${title}</figcaption>
    <div class=${tall ? "canvas tall" : "canvas"}><canvas ref=${canvas} role="img" aria-label=${title}></canvas></div>
    <details><summary>Numbers</summary><div class="scroll short" tabindex="0" role="region" aria-label=${`${title}: numbers`}><table>
      <thead><tr><th scope="col">Series</th><th scope="col" class="numeric">${x.title}</th><th scope="col" class="numeric">${y.title}</th></tr></thead>
      <tbody>${told.flatMap((one) =>
        one.points.map((point, index) => html`<tr key=${`${one.label}${index}`}><td>${point.name || one.label}</td><td class="numeric">${number(point.x, 2)}</td><td class="numeric">${number(point.y)}</td></tr>`),
      )}</tbody></table></div></details>
  </figure>`;
}
