// One eta for three families; a slider of a mean moves eta to where the family has that mean.

import { plot, range } from "./plot.js";

const AXES = { bernoulli: [-0.6, 1.6], poisson: null, gaussian: null };

export default function setup(page) {
  const draws = {};
  for (const name of Object.keys(AXES)) {
    const ticks = name === "bernoulli" ? [{ at: 0, label: "0" }, { at: 1, label: "1" }] : null;
    const high = name === "gaussian" ? "density" : "probability";
    draws[name] = plot(page.chart(name), { x: { label: "y", ticks }, y: { label: high }, height: 170 });
  }
  const means = page.section.querySelectorAll("[data-of]");
  let of = null;
  for (const slider of means) {
    slider.addEventListener("input", () => {
      of = slider.dataset.of;
      page.update();
    });
  }
  page.form.addEventListener("input", () => { of = null; });
  page.more = () => (of ? { of, mean: Number(page.one(`[data-of="${of}"]`).value) } : {});

  page.show = (answer) => {
    if (of) page.set("eta", answer.eta);
    page.label();
    for (const slider of means) if (slider.dataset.of !== of) slider.value = answer[slider.dataset.of].mean;
    for (const [name, draw] of Object.entries(draws)) {
      const { y, p, mean, discrete } = answer[name];
      const mass = { kind: discrete ? "stems" : "area", key: "mass", x: y, y: p, tone: "ink" };
      const layers = [mass, { kind: "rule", key: "mean", x: mean, tone: "warm", dash: true }];
      if (!discrete) layers.push({ kind: "line", key: "edge", x: y, y: p, tone: "ink" });
      const top = name === "bernoulli" ? [0, 1] : range([p, [0.4]], { zero: true });
      draw({ x: AXES[name] ?? (discrete ? [-0.7, Math.max(8, y.at(-1)) + 0.7] : [-8, 8]), y: top, layers });
    }
  };
}
