// The loss as a function of the margin.

import { plot } from "./plot.js";

export default function setup(page) {
  const draw = plot(page.chart("loss"), { x: { label: "margin yη" }, y: { label: "loss", tone: "warm" }, height: 330 });

  page.show = (answer) => {
    const { y, score } = page.fields();
    const margin = Number(y) * score;
    const slope = Number(y) * answer.slope; // in the margin
    const line = [-3, 3].map((at) => answer.loss + slope * (at - answer.margin));
    draw({ x: [-3, 3], y: [-0.2, 6.2], layers: [
      { kind: "line", key: "zero one", x: [-3, 0, 0, 3], y: [1, 1, 0, 0], tone: "grey", dash: true, thin: true },
      { kind: "line", key: "slope", x: [-3, 3], y: line, tone: "cool", dash: true, thin: true },
      { kind: "line", key: "loss", x: answer.curve.margin, y: answer.curve.loss, tone: "warm" },
      { kind: "dots", key: "at", points: [{ x: margin, y: answer.loss }], tone: "warm", within: { x: [-3, 3], y: [0, 6] }, step: { x: 0.05 },
        name: "margin", words: (d) => `margin ${d.x.toFixed(2)}, loss ${d.y.toFixed(2)}`,
        move: (i, x) => { page.set("score", Number(page.fields().y) * x); page.update(); } },
    ] });
  };
}
