// Points of two or three classes in the plane; shades of probability, boundaries, and one place that is asked for.

import { element, format } from "./lab.js";
import { plot } from "./plot.js";

const TONES = ["ink", "warm", "cool"];
const EDGE = 4;

export default function setup(page) {
  const draw = plot(page.chart("plane"), { x: { label: "first feature" }, y: { label: "second feature" }, square: true });
  const sets = {}; // the points of each model
  const starts = {};
  let at = [-0.5, 0.6];
  const model = () => page.fields().model;
  page.more = () => ({ at, ...(sets[model()] ? { points: sets[model()] } : {}) });

  page.show = (answer) => {
    const many = answer.classes;
    if ((many === 2) !== (model() === "logistic")) return; // an answer to the model before
    const points = (sets[model()] ??= answer.points);
    starts[model()] ??= structuredClone(points);
    page.one(".third").hidden = many === 2;
    const grid = { kind: "contours", side: answer.side, extent: [-EDGE, EDGE] };
    const shown = TONES.slice(0, many);
    const levels = [0.5, 0.6, 0.7, 0.8, 0.9];
    const shades = shown.map((tone, k) => ({ ...grid, key: `shade ${k}`, values: answer.grid[k], levels, filled: true, tone }));
    const lines = shown.slice(0, many === 2 ? 1 : many).map((_, k) => ({ ...grid, key: `line ${k}`, values: answer.leads[k], levels: [0], tone: "grey" }));
    const wrong = points.filter((_, i) => answer.margins[i] < 0).map(([x, y]) => ({ x, y, tone: "wrong" }));
    const within = { x: [-EDGE, EDGE], y: [-EDGE, EDGE] };
    const step = { x: 0.1, y: 0.1 };
    draw({ x: [-EDGE, EDGE], y: [-EDGE, EDGE], layers: [...shades, ...lines,
      { kind: "dots", key: "wrong", points: wrong, size: 420 },
      { kind: "dots", key: "points", points: points.map(([x, y, k]) => ({ x, y, shape: k, tone: TONES[k], k })), within, step,
        words: (d) => `class ${d.k}, at ${d.x}, ${d.y}`,
        move: (i, x, y) => { points[i] = [x, y, points[i][2]]; page.moved(); },
        act: (i) => { points[i] = [points[i][0], points[i][1], (points[i][2] + 1) % many]; page.moved(); } },
      { kind: "dots", key: "at", points: [{ x: at[0], y: at[1], shape: 3, name: "the place that is asked for" }], tone: "plum", size: 190, within, step,
        words: (d) => `${d.x}, ${d.y}`, move: (i, x, y) => { at = [x, y]; page.moved(); } },
    ] });
    const row = (k) => element("tr", { class: k === answer.best ? "best" : "" }, element("th", { scope: "row", class: `c-${TONES[k]}` }, String(k)),
      ...[answer.scores[k], answer.measures[k], answer.chances[k]].map((v) => element("td", {}, format(v, 3))));
    page.one(".rows").replaceChildren(...shown.map((_, k) => row(k)));
  };

  page.one(".reset").addEventListener("click", () => {
    sets[model()] = structuredClone(starts[model()]);
    page.moved();
  });
}
