// The logit and its inverse side by side: one point, seen from both.

import { plot } from "./plot.js";

export default function setup(page) {
  const probability = { label: "probability φ", tone: "warm" };
  const eta = { label: "log-odds η", tone: "ink" };
  const logit = plot(page.chart("logit"), { x: probability, y: eta, height: 260 });
  const sigmoid = plot(page.chart("sigmoid"), { x: eta, y: probability, height: 260 });
  const move = (to) => {
    page.set("probability", Math.min(0.99, Math.max(0.01, to)));
    page.update();
  };

  page.show = (answer) => {
    const { probability: at } = page.fields();
    const within = { x: [0.01, 0.99], y: [-6, 6] };
    logit({ x: [0, 1], y: [-6, 6], layers: [
      { kind: "rule", key: "zero", y: 0, tone: "grey", dash: true },
      { kind: "line", key: "curve", x: answer.logit.probability, y: answer.logit.eta, tone: "ink" },
      { kind: "dots", key: "at", points: [{ x: at, y: answer.eta }], tone: "ink", within, step: { x: 0.01 },
        name: "probability", words: (d) => `φ ${d.x}, log-odds ${d.y.toFixed(2)}`, move: (i, x) => move(x) },
    ] });
    sigmoid({ x: [-6, 6], y: [0, 1], layers: [
      { kind: "line", key: "probit", x: answer.sigmoid.eta, y: answer.sigmoid.probit, tone: "grey", dash: true, thin: true },
      { kind: "line", key: "curve", x: answer.sigmoid.eta, y: answer.sigmoid.mean, tone: "warm" },
      { kind: "dots", key: "at", points: [{ x: answer.eta, y: answer.back }], tone: "warm", within: { x: [-4.6, 4.6], y: [0.01, 0.99] },
        step: { y: 0.01 }, name: "probability", words: (d) => `log-odds ${d.x.toFixed(2)}, φ ${d.y.toFixed(2)}`, move: (i, x, y) => move(y) },
    ] });
  };
}
