// A soft label beside the prediction, and what it does to the loss.

import { format } from "./lab.js";
import { plot, range } from "./plot.js";

export default function setup(page) {
  let names = [];
  const ticks = [0, 1, 2, 3].map((at) => ({ at, label: ["car", "plane", "boat", "horse"][at] }));
  const bars = plot(page.chart("bars"), { x: { label: "", ticks }, y: { label: "share" }, height: 220 });
  const lead = plot(page.chart("lead"), { x: { label: "lead of the true class in η" }, y: { label: "loss", tone: "warm" }, height: 190 });
  page.more = () => {
    const { s0, s1, s2, s3, label } = page.fields();
    return { scores: [s0, s1, s2, s3], label: Number(label) };
  };

  page.show = (answer) => {
    names = answer.classes;
    const at = names.map((_, i) => i);
    bars({ x: [-0.6, 3.6], y: [-0.2, 1.08], layers: [
      { kind: "rule", key: "zero", y: 0, tone: "grey" },
      { kind: "stems", key: "y", x: at, y: answer.y, tone: "ink", width: 26, shift: -0.55 },
      { kind: "stems", key: "h", x: at, y: answer.h, tone: "warm", width: 26, shift: 0.55 },
      ...at.map((i) => ({ kind: "text", key: `gradient ${i}`, x: i, y: 0, dy: 22, anchor: "middle", tone: "cool", text: format(answer.gradient[i], 3) })),
    ] });
    const { lead: x, soft, hard } = answer.curve;
    const layers = [{ kind: "line", key: "hard", x, y: hard, tone: "grey", dash: true }, { kind: "line", key: "soft", x, y: soft, tone: "warm" }];
    if (answer.best !== null) layers.push({ kind: "rule", key: "best", x: answer.best, tone: "cool", dash: true });
    lead({ x: [-2, 10], y: range([soft, hard], { zero: true }), layers });
  };

  page.one(".step").addEventListener("click", () => {
    page.answer.gradient.forEach((slope, i) => page.set(`s${i}`, page.answer.scores[i] - slope));
    page.update();
  });
}
