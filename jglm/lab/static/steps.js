// Gradient ascent by hand: the page keeps theta and the way that it came, the library takes the step.

import { element, format } from "./lab.js";
import { plot, range } from "./plot.js";

export default function setup(page) {
  const fit = plot(page.chart("fit"), { x: { label: "x" }, y: { label: "y, and its mean h" }, height: 280 });
  const climb = plot(page.chart("climb"), { x: { label: "steps" }, y: { label: "log-likelihood", tone: "ink" }, height: 150 });
  const buttons = page.section.querySelectorAll(".once, .ten");
  let theta = null; // where the family begins, until a step is made
  let way = [];
  let made = 0;
  let left = 0;
  page.more = () => (theta ? { theta } : { log_alpha: undefined }); // at first what suits the family

  page.show = (answer) => {
    const select = page.form.elements.family;
    if (select.options.length === 1) {
      select.replaceChildren(...answer.names.map((name) => element("option", {}, name)));
      select.value = "poisson";
    }
    if (!theta) {
      page.set("log_alpha", answer.log_alpha);
      page.label();
    }
    theta = answer.theta;
    if (way.length <= made) way.push(answer.loglik);
    page.one(".made").textContent = format(made);
    const { x, y, grid, curve, target } = answer;
    const errors = x.map((at, i) => ({ kind: "line", key: `error ${i}`, x: [at, at], y: [y[i], nearest(grid, curve, at)], tone: "grey", thin: true }));
    fit({ x: [-1.1, 1.1], y: range([y, target, curve.filter((v) => v !== null && Math.abs(v) < 4 * (1 + Math.max(...y.map(Math.abs))))]), layers: [...errors,
      { kind: "line", key: "target", x: grid, y: target, tone: "cool", dash: true },
      { kind: "line", key: "mean", x: grid, y: curve, tone: "warm" },
      { kind: "dots", key: "y", points: x.map((at, i) => ({ x: at, y: y[i] })), tone: "grey" },
    ] });
    climb({ x: [0, Math.max(10, way.length - 1)], y: range([way, [answer.most]]), layers: [
      { kind: "rule", key: "most", y: answer.most, tone: "cool", dash: true },
      { kind: "line", key: "way", x: way.map((_, i) => i), y: way, tone: "ink" },
      { kind: "dots", key: "last", points: [{ x: way.length - 1, y: way.at(-1) }], tone: "ink" },
    ] });
    for (const button of buttons) button.disabled = Boolean(answer.trouble);
    if (left && !answer.trouble) step(left - 1);
    else left = 0;
  };

  function step(more) {
    left = more;
    made += 1;
    theta = page.answer.after;
    page.update();
  }
  function reset() {
    [theta, way, left, made] = [null, [], 0, 0];
    page.update();
  }
  page.one(".once").addEventListener("click", () => step(0));
  page.one(".ten").addEventListener("click", () => step(9));
  page.one(".reset").addEventListener("click", reset);
  page.form.elements.family.addEventListener("input", (event) => {
    event.stopPropagation();
    reset();
  });
}

const nearest = (grid, values, at) => values[grid.reduce((best, v, i) => (Math.abs(v - at) < Math.abs(grid[best] - at) ? i : best), 0)];
