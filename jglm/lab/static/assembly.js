// One x on its way through the four maps, each of which is a chart with the same point on it.

import { few, plot, range } from "./plot.js";

export default function setup(page) {
  const lin = { label: "linear predictor", tone: "ink" };
  const line = plot(page.chart("line"), { x: { label: "x" }, y: lin, height: 190 });
  const natural = plot(page.chart("natural"), { x: lin, y: { label: "natural parameter η", tone: "ink" }, height: 190 });
  const response = plot(page.chart("response"), { x: lin, y: { label: "mean h", tone: "warm" }, height: 190 });
  const density = plot(page.chart("density"), { x: { label: "y" }, y: { label: "chance or density" }, height: 190 });
  let draw = 0;
  page.more = () => ({ draw });

  page.show = (answer) => {
    const { intercept, slope } = page.fields();
    const ends = [-2, 2];
    const at = (x, y, tone) => ({ kind: "dots", key: "at", points: [{ x, y }], tone });
    const move = { within: { x: ends, y: [-9, 9] }, step: { x: 0.02 }, name: "x", words: (d) => `x ${d.x}`,
      move: (i, x) => { page.set("x", x); page.update(); } };
    line({ x: ends, y: [-3.5, 3.5], layers: [
      { kind: "line", key: "line", x: ends, y: ends.map((x) => intercept + slope * x), tone: "ink" },
      { ...at(page.fields().x, intercept + slope * page.fields().x, "ink"), ...move },
    ] });
    natural({ x: [-3.5, 3.5], y: range([answer.curve.eta.filter((v) => v > -8)]), layers: [
      { kind: "line", key: "line", x: answer.curve.lin, y: answer.curve.eta, tone: "ink" }, at(answer.lin, answer.eta, "ink"),
    ] });
    response({ x: [-3.5, 3.5], y: range([answer.curve.mean]), layers: [
      { kind: "line", key: "line", x: answer.curve.lin, y: answer.curve.mean, tone: "warm" }, at(answer.lin, answer.mean, "warm"),
    ] });
    const { y, p, discrete } = answer.density;
    const layers = [{ kind: discrete ? "stems" : "area", key: "mass", x: y, y: p, tone: "ink" },
      { kind: "rule", key: "mean", x: answer.mean, tone: "warm", dash: true },
      { kind: "dots", key: "y", points: [{ x: answer.y, y: 0 }], tone: "plum" }];
    if (!discrete) layers.splice(1, 0, { kind: "line", key: "edge", x: y, y: p, tone: "ink" });
    const room = discrete ? 0.7 : 0;
    density({ x: [Math.min(y[0], answer.y) - room, Math.max(y.at(-1), answer.y) + room], y: range([p], { zero: true }), ticks: few(answer.density), layers });
  };

  page.one(".draw").addEventListener("click", () => {
    draw += 1;
    page.update();
  });
  page.one(".send").addEventListener("click", (event) => {
    // From left to right in four seconds, or at once where motion is not wanted.
    const button = event.target;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const began = performance.now();
    button.disabled = true;
    const frame = (now) => {
      const share = still ? 1 : Math.min(1, (now - began) / 4000);
      page.set("x", -2 + 4 * share);
      page.update();
      if (share < 1 && !page.section.hidden) requestAnimationFrame(frame);
      else button.disabled = false;
    };
    draw += 1;
    requestAnimationFrame(frame);
  });
}
