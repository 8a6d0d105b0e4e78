// Write a(eta). The curves come with one question; the distribution takes longer for a new text, so it is asked apart.

import { ask, element, format, Live } from "./lab.js";
import { few, plot, range } from "./plot.js";

export default function setup(page) {
  const eta = { label: "natural parameter η", tone: "ink" };
  const partition = plot(page.chart("partition"), { x: eta, y: { label: "a(η)" } });
  const mean = plot(page.chart("mean"), { x: eta, y: { label: "mean", tone: "warm" } });
  const variance = plot(page.chart("variance"), { x: eta, y: { label: "variance", tone: "cool" } });
  const density = plot(page.chart("density"), { x: { label: "y" }, y: { label: "probability or density" } });
  const slow = page.section.querySelectorAll("[data-slow]");
  const findings = page.one(".findings");

  // Until the distribution of what is written is known, the one before stands pale.
  const unknown = (sign) => {
    slow.forEach((place) => { place.textContent = sign; });
    page.chart("density").classList.add("stale");
  };
  const distribution = new Live("density", (answer, { text }) => {
    if (text !== page.fields().text) return; // of what stood there before
    slow.forEach((place) => { place.textContent = format(answer[place.dataset.slow]); });
    page.say(answer.trouble ?? "");
    const kind = answer.discrete ? { kind: "stems" } : { kind: "area" };
    const layers = [{ ...kind, key: "mass", x: answer.y, y: answer.p, tone: "ink" }];
    if (!answer.discrete) layers.push({ kind: "line", key: "edge", x: answer.y, y: answer.p, tone: "ink" });
    layers.push({ kind: "rule", key: "mean", x: page.answer.mean, tone: "warm", dash: true });
    const room = answer.discrete ? 0.8 * ((answer.y[1] ?? answer.y[0] + 1) - answer.y[0]) : 0;
    density({ x: [answer.y[0] - room, answer.y.at(-1) + room], y: range([answer.p], { zero: true }), ticks: few(answer), layers });
    page.chart("density").classList.remove("stale");
    page.section.dataset.densities = Number(page.section.dataset.densities ?? 0) + 1;
  }, (error) => {
    unknown("–");
    page.say(error.message);
  }, (waiting) => page.section.classList.toggle("waiting", waiting));

  page.show = (answer) => {
    const slider = page.form.elements.eta;
    if (Number(slider.min) !== Number(answer.low.toFixed(2)) || Number(slider.max) !== Number(answer.high.toFixed(2))) {
      slider.min = answer.low.toFixed(2);
      slider.max = answer.high.toFixed(2);
      slider.step = 0.01;
    }
    slider.value = answer.eta;
    page.label();
    const { eta: x, ...curves } = answer.curves;
    const at = { a: answer.a, mean: answer.mean, variance: answer.variance };
    for (const [draw, name, tone] of [[partition, "a", "grey"], [mean, "mean", "warm"], [variance, "variance", "cool"]]) {
      const y = range([curves[name]], { zero: true });
      const layers = [{ kind: "line", key: "curve", x, y: curves[name], tone }];
      if (name === "a") {
        const line = x.map((v) => answer.a + answer.mean * (v - answer.eta));
        layers.push({ kind: "line", key: "slope", x, y: line, tone: "warm", dash: true, thin: true });
      }
      if (at[name] !== null) layers.push({ kind: "dots", key: "at", points: [{ x: answer.eta, y: at[name] }], tone });
      draw({ x: [x[0], x.at(-1)], y, layers });
    }
    if (answer.trouble) unknown("–");
    else distribution.ask({ text: page.fields().text, low: page.fields().low, high: page.fields().high, eta: answer.eta });
  };

  page.form.addEventListener("input", (event) => {
    if (event.target.name !== "eta") { unknown("…"); findings.replaceChildren(); }
  });
  page.one(".preset").addEventListener("input", (event) => {
    event.stopPropagation();
    const [text, low, high] = event.target.value.split("|");
    for (const [name, value] of Object.entries({ text, low, high })) page.set(name, value);
    unknown("…");
    findings.replaceChildren();
    page.update();
  });
  page.one(".verdict").addEventListener("click", async (event) => {
    const button = event.target;
    button.disabled = true;
    findings.replaceChildren(element("li", {}, "looking …"));
    try {
      const answer = await ask("verdict", page.fields());
      const title = answer.ok ? "It is a log-partition." : "It is not a log-partition.";
      findings.replaceChildren(element("li", { class: answer.ok ? "" : "wrong" }, element("b", {}, title)),
        ...answer.findings.map((f) => element("li", { class: f.level }, element("b", {}, `${f.what}: `), f.said)));
    } catch (error) {
      findings.replaceChildren(element("li", { class: "wrong" }, error.message));
    }
    button.disabled = false;
  });
}
