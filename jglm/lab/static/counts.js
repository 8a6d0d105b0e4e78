// Counts that can be dragged; a line and a Poisson curve follow.

import { plot } from "./plot.js";

const BOTTOM = -8;

export default function setup(page) {
  const draw = plot(page.chart("fits"), { x: { label: "money spent on advertising, x" }, y: { label: "customers in the hour, y" }, height: 380 });
  let points = null;
  let start = null;
  page.more = () => (points ? { points } : {});

  page.show = (answer) => {
    points ??= answer.points;
    start ??= structuredClone(points);
    const below = answer.line.map((v) => (v <= 0 ? v : null));
    draw({ x: [0, 10], y: [BOTTOM, 30], layers: [
      { kind: "area", key: "void", x: answer.x, y: below, tone: "plum" },
      { kind: "rule", key: "zero", y: 0, tone: "grey" },
      { kind: "line", key: "line", x: answer.x, y: answer.line, tone: "ink" },
      { kind: "line", key: "below", x: answer.x, y: below, tone: "plum" },
      { kind: "line", key: "curve", x: answer.x, y: answer.curve, tone: "warm" },
      { kind: "dots", key: "points", points: points.map(([x, y]) => ({ x, y })), tone: "grey", name: "hour",
        words: (d) => `x ${d.x}, ${d.y} customers`, within: { x: [0, 10], y: [0, 30] }, step: { x: 0.1, y: 1 },
        move: (i, x, y) => { points[i] = [x, y]; page.moved(); } },
    ] });
  };

  page.one(".reset").addEventListener("click", () => {
    points = structuredClone(start);
    page.moved();
  });
}
