// Charts: axes by d3, and layers drawn on them. A layer is a plain object {kind, key, …}; drawing again moves what is
// there, so that a point that is dragged or has the focus stays the same element.

const { d3 } = window;
const MARGIN = { top: 12, right: 14, bottom: 40, left: 54 };
const SHAPES = [d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle, d3.symbolDiamond];

/** A chart in a figure, which follows its width. `x` and `y` are {label, tone, ticks}; `square` keeps both sides equal.
 *  Returns a function draw({x: [low, high], y: [low, high], layers}), where `ticks` may replace those of x. */
export function plot(figure, { x, y, height = 230, square = false }) {
  const svg = d3.select(figure).insert("svg", "figcaption").attr("role", "group");
  svg.attr("aria-label", figure.querySelector("figcaption")?.textContent.trim() ?? "chart");
  const inner = svg.append("g").attr("transform", `translate(${MARGIN.left},${MARGIN.top})`);
  const [below, beside] = ["x", "y"].map((name) => inner.append("g").attr("class", `axis ${name}`));
  const clip = `clip-${figure.dataset.chart}-${Math.random().toString(36).slice(2)}`;
  const frame = svg.append("clipPath").attr("id", clip).append("rect");
  const back = inner.append("g").attr("clip-path", `url(#${clip})`);
  const front = inner.append("g"); // points may stand over the edge
  const titles = [inner.append("text"), inner.append("text")];
  titles.forEach((title, i) => title.attr("class", `title ${[x, y][i].tone ?? ""}`).text([x, y][i].label));
  let last = null;

  function draw(wanted = last) {
    last = wanted;
    const across = svg.node().getBoundingClientRect().width - MARGIN.left - MARGIN.right;
    if (across < 20 || !wanted) return; // not shown yet
    const up = square ? Math.min(across, 540) : height;
    const scales = { x: d3.scaleLinear(wanted.x, [0, square ? up : across]), y: d3.scaleLinear(wanted.y, [up, 0]) };
    const right = scales.x.range()[1];
    svg.attr("height", up + MARGIN.top + MARGIN.bottom);
    frame.attr("width", right).attr("height", up);
    below.attr("transform", `translate(0,${up})`).call(axis(d3.axisBottom(scales.x), wanted.ticks ?? x.ticks, Math.min(8, right / 55), -up));
    beside.call(axis(d3.axisLeft(scales.y), y.ticks, Math.min(6, up / 38), -right));
    titles[0].attr("x", right).attr("y", up + 35).attr("text-anchor", "end");
    titles[1].attr("transform", "rotate(-90)").attr("x", 0).attr("y", -42).attr("text-anchor", "end");
    for (const [group, isFront] of [[back, false], [front, true]]) {
      const layers = wanted.layers.filter((layer) => (layer.kind === "dots" || layer.kind === "text") === isFront);
      group.selectAll(":scope > g").data(layers, (layer) => `${layer.kind} ${layer.key}`).join("g").order().each(function (layer) {
        DRAWN[layer.kind](d3.select(this), layer, scales, inner.node());
      });
    }
  }

  new ResizeObserver(() => draw()).observe(figure);
  return draw;
}

function axis(made, ticks, count, size) {
  made.ticks(count).tickSize(size).tickPadding(7);
  if (ticks) made.tickValues(ticks.map((t) => t.at)).tickFormat((_, i) => ticks[i].label);
  else made.tickFormat((v) => d3.format("~g")(Math.abs(v) < 1e-12 ? 0 : v));
  return made;
}

const pairs = (layer) => layer.x.map((v, i) => [v, layer.y[i]]);
const known = ([a, b]) => a !== null && b !== null && Number.isFinite(a) && Number.isFinite(b);
const tone = (layer) => `${layer.tone ?? "ink"}${layer.dash ? " dash" : ""}${layer.thin ? " thin" : ""}`;

const DRAWN = {
  line(group, layer, { x, y }) {
    const path = d3.line().defined(known).x((d) => x(d[0])).y((d) => y(d[1]));
    one(group, "path").attr("class", `line ${tone(layer)}`).attr("d", path(pairs(layer)));
  },
  area(group, layer, { x, y }) {
    const path = d3.area().defined(known).x((d) => x(d[0])).y0(y(0)).y1((d) => y(d[1]));
    one(group, "path").attr("class", `area ${tone(layer)}`).attr("d", path(pairs(layer)));
  },
  stems(group, layer, { x, y }) {
    const data = pairs(layer).filter(known);
    const gap = data.length > 1 ? Math.abs(x(data[1][0]) - x(data[0][0])) : 60;
    const wide = layer.width ?? Math.max(1.5, Math.min(34, 0.7 * gap));
    group.selectAll("rect").data(data).join("rect").attr("class", `stem ${tone(layer)}`)
      .attr("x", (d) => x(d[0]) - wide / 2 + (layer.shift ?? 0) * wide).attr("width", wide)
      .attr("y", (d) => Math.min(y(d[1]), y(0))).attr("height", (d) => Math.abs(y(0) - y(d[1])));
  },
  rule(group, layer, { x, y }) {
    const upright = layer.x !== undefined;
    const [from, to] = (upright ? y : x).range();
    const at = upright ? x(layer.x) : y(layer.y);
    one(group, "line").attr("class", `line thin ${tone(layer)}`)
      .attr("x1", upright ? at : from).attr("x2", upright ? at : to)
      .attr("y1", upright ? from : at).attr("y2", upright ? to : at);
  },
  contours(group, layer, { x, y }) {
    // Values on a grid of side x side points, the first coordinate running fastest, over the square `extent`.
    const { side, extent: [low, high] } = layer;
    const at = d3.scaleLinear([0.5, side - 0.5], [low, high]);
    const path = d3.geoPath(d3.geoTransform({ point(a, b) { this.stream.point(x(at(a)), y(at(b))); } }));
    const shapes = d3.contours().size([side, side]).thresholds(layer.levels)(layer.values);
    group.selectAll("path").data(shapes).join("path").attr("d", path)
      .attr("class", `contour ${layer.filled ? "filled" : "hollow"} ${tone(layer)}`);
  },
  text(group, layer, { x, y }) {
    one(group, "text").attr("class", `note ${layer.tone ?? ""}`).attr("text-anchor", layer.anchor ?? "start")
      .attr("x", x(layer.x) + (layer.dx ?? 0)).attr("y", y(layer.y) + (layer.dy ?? 0)).text(layer.text);
  },
  dots(group, layer, scales, inner) {
    const { x, y } = scales;
    const dots = group.selectAll("g.dot").data(layer.points).join((enter) => {
      const made = enter.append("g");
      made.append("circle").attr("class", "halo").attr("r", 17);
      made.append("path").attr("class", "mark");
      return made;
    });
    dots.attr("class", (d) => `dot ${d.tone ?? tone(layer)}${layer.move ? " free" : ""}`)
      .attr("transform", (d) => `translate(${x(d.x)},${y(d.y)})`);
    dots.select(".mark").attr("d", (d) => d3.symbol(SHAPES[d.shape ?? 0], layer.size ?? (layer.move ? 130 : 90))());
    if (layer.move) movable(dots, layer, scales, inner);
  },
};

const one = (group, name) => group.selectAll(name).data([0]).join(name);

/** Points that follow the pointer, a finger or the arrow keys: layer.move(i, x, y), within layer.within {x, y} and on
 *  the lattice layer.step {x, y}, where there is one. Enter or the space key calls layer.act(i) where there is one. */
function movable(dots, layer, { x, y }, inner) {
  const to = (i, a, b) => {
    const fit = (v, name) => {
      const [low, high] = layer.within[name];
      const step = layer.step[name];
      return Number(Math.min(high, Math.max(low, step ? Math.round(v / step) * step : v)).toFixed(4));
    };
    layer.move(i, fit(a, "x"), fit(b, "y"));
  };
  dots.attr("tabindex", 0).attr("role", "slider")
    .attr("aria-label", (d, i) => d.name ?? `${layer.name ?? "point"} ${i + 1}`)
    .attr("aria-valuenow", (d) => d.y).attr("aria-valuetext", (d) => `${layer.words?.(d) ?? `x ${d.x}, y ${d.y}`}`);
  const index = (node) => dots.nodes().indexOf(node);
  dots.on("keydown", function (event, d) {
    const turn = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (turn) {
      event.preventDefault();
      const many = event.shiftKey ? 5 : 1;
      to(index(this), d.x + many * turn[0] * (layer.step.x ?? 0), d.y + many * turn[1] * (layer.step.y ?? 0));
    } else if (layer.act && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      layer.act(index(this));
    }
  });
  if (layer.act) dots.on("dblclick", function () { layer.act(index(this)); });
  dots.call(
    d3.drag().container(inner)
      .subject((event, d) => ({ x: x(d.x), y: y(d.y) }))
      .on("start", function () { d3.select(this).classed("held", true).node().focus(); })
      .on("drag", function (event) { to(index(this), x.invert(event.x), y.invert(event.y)); })
      .on("end", function () { d3.select(this).classed("held", false); }),
  );
}

/** A range that holds all values, with some room, rounded outwards. */
export function range(values, { zero = false, room = 0.06 } = {}) {
  const kept = values.flat().filter((v) => v !== null && Number.isFinite(v));
  if (zero) kept.push(0);
  if (!kept.length) return [0, 1];
  const [low, high] = d3.extent(kept);
  const gap = (high - low || 1) * room;
  const bottom = low < 0 ? low - gap : zero ? 0 : Math.max(0, low - gap);
  return d3.nice(bottom, high + gap, 6);
}

/** Ticks at every y of a distribution on few points; else undefined, and d3 chooses. */
export function few({ y, discrete }) {
  return discrete && y.length < 8 ? y.map((at) => ({ at, label: d3.format("~g")(at) })) : undefined;
}
