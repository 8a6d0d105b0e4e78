// Two losses of one sigmoid as maps over (theta0, theta1), with the ways of gradient descent from a start.

import { plot } from "./plot.js";

const TONES = { squares: "ink", likelihood: "warm" };
const EDGE = 6;

export default function setup(page) {
  const x = { label: "intercept θ₀" };
  const y = { label: "slope θ₁" };
  const maps = {};
  for (const name of Object.keys(TONES)) maps[name] = plot(page.chart(name), { x, y, square: true });
  const one = plot(page.chart("one"), { x: { label: "η" }, y: { label: "loss" }, height: 210 });
  const data = plot(page.chart("data"), { x: { label: "x" }, y: { label: "y, and h" }, height: 210 });
  let start = [3, -3];
  page.more = () => ({ start });

  page.show = (answer) => {
    for (const [name, tone] of Object.entries(TONES)) {
      const values = answer.surfaces[name];
      const way = answer.paths[name];
      // Levels crowd towards the bottom, where the valleys are.
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const levels = Array.from({ length: 16 }, (_, i) => low + (high - low) * ((i + 0.5) / 16) ** 2);
      const grid = { kind: "contours", side: answer.grid.length, extent: [-EDGE, EDGE], values, levels, tone };
      const [u, v] = way.at(-1);
      maps[name]({ x: [-EDGE, EDGE], y: [-EDGE, EDGE], layers: [
        { ...grid, key: "height", filled: true, thin: true }, { ...grid, key: "lines", thin: true },
        { kind: "line", key: "way", x: way.map((p) => p[0]), y: way.map((p) => p[1]), tone: "plum" },
        { kind: "dots", key: "end", points: [{ x: u, y: v }], tone, size: 120 },
        { kind: "dots", key: "start", points: [{ x: start[0], y: start[1], shape: 3, name: "start" }], tone: "plum", size: 190,
          within: { x: [-EDGE, EDGE], y: [-EDGE, EDGE] }, step: { x: 0.1, y: 0.1 }, words: (d) => `θ₀ ${d.x}, θ₁ ${d.y}`,
          move: (i, a, b) => { start = [a, b]; page.moved(); } },
      ] });
    }
    const both = (of) => Object.entries(TONES).map(([name, tone]) => ({ key: name, tone, ...of(name) }));
    const at = answer.one.eta;
    one({ x: [-8, 8], y: [-0.3, 8], layers: [
      ...both((name) => ({ kind: "line", x: answer.one.etas, y: answer.one[name].curve })),
      ...both((name) => ({ kind: "dots", points: [{ x: at, y: answer.one[name].loss }] })),
    ] });
    data({ x: [-4, 4], y: [-0.1, 1.1], layers: [
      ...both((name) => ({ kind: "line", x: answer.sigmoids.x, y: answer.sigmoids[name] })),
      { kind: "dots", key: "points", points: answer.x.map((v, i) => ({ x: v, y: answer.y[i] })), tone: "grey" },
    ] });
  };

  for (const button of page.section.querySelectorAll(".start")) {
    button.addEventListener("click", () => {
      start = button.dataset.at.split(",").map(Number);
      page.moved();
    });
  }
}
