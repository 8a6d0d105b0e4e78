// Base measure, tilt and their product, one under the other over the same y.

import { plot } from "./plot.js";

export default function setup(page) {
  const x = { label: "y" };
  const base = plot(page.chart("base"), { x, y: { label: "b(y)", tone: "cool" }, height: 120 });
  const tilt = plot(page.chart("tilt"), { x, y: { label: "tilt", tone: "ink" }, height: 120 });
  const bell = plot(page.chart("bell"), { x, y: { label: "density", tone: "warm" }, height: 150 });

  page.show = (answer) => {
    const { y, base: b, tilt: t, bell: p } = answer.curves;
    const at = (value, tone) => [{ kind: "rule", key: "at", x: answer.y, tone: "grey", dash: true },
      { kind: "dots", key: "dot", points: [{ x: answer.y, y: value }], tone }];
    base({ x: [-5, 5], y: [0, 0.45], layers: [{ kind: "area", key: "area", x: y, y: b, tone: "cool" },
      { kind: "line", key: "line", x: y, y: b, tone: "cool" }, ...at(answer.at.base, "cool")] });
    tilt({ x: [-5, 5], y: [0, Math.max(4, 1.25 * answer.at.tilt)], layers: [{ kind: "line", key: "line", x: y, y: t, tone: "ink" }, ...at(answer.at.tilt, "ink")] });
    bell({ x: [-5, 5], y: [0, 0.45], layers: [{ kind: "area", key: "area", x: y, y: p, tone: "warm" },
      { kind: "line", key: "line", x: y, y: p, tone: "warm" }, ...at(answer.at.bell, "warm")] });
  };
}
