// The frame of the lab: which page is shown, what its form asks of the library, and where the numbers go.
// A page is a section of index.html and a module of the same name, whose default export is given a Page.

const MINUS = "\u2212";

/** A number for people: four digits or so, a true minus sign, 0 where it is below `least`, a dash for none. */
export function format(value, digits = 4, least = 1e-14) {
  if (value === null || value === undefined) return "\u2013";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size < least || size === 0) return "0";
  if (size < 1e-4 || size >= 1e6) {
    const [digit, power] = value.toExponential(1).split("e");
    const raised = [...String(Number(power))].map((c) => "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"["-0123456789".indexOf(c)]);
    return `${digit.replace("-", MINUS)} \u00d7 10${raised.join("")}`;
  }
  if (size < 0.01) return value.toPrecision(2).replace("-", MINUS);
  const places = Number.isInteger(value) ? 0 : Math.max(0, digits - 1 - Math.max(0, Math.floor(Math.log10(size))));
  return value.toFixed(places).replace("-", MINUS);
}

/** An element with properties and children; text is text, never markup. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** What the library answers to a question. Throws an Error with its message where it cannot. */
export async function ask(question, request) {
  let response;
  try {
    response = await fetch(`ask/${question}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
    });
  } catch {
    throw new Error("The lab does not answer: it was closed. Start it again with \u201cjglm lab\u201d.");
  }
  const answer = await response.json().catch(() => ({ error: `The lab answered ${response.status}.` }));
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer;
}

/** Asks for the latest state only: while an answer is awaited, the states in between are left out. `wait(true)` is
 *  called where that takes longer than a blink, `wait(false)` at the end. */
export class Live {
  constructor(question, show, fail, wait = () => {}) {
    Object.assign(this, { question, show, fail, wait, next: null, busy: false });
  }

  async ask(request) {
    this.next = request;
    if (this.busy) return;
    this.busy = true;
    const slow = setTimeout(() => this.wait(true), 300);
    while (this.next) {
      const now = this.next;
      this.next = null;
      try {
        this.show(await ask(this.question, now), now);
      } catch (error) {
        this.fail(error);
      }
    }
    this.busy = false;
    clearTimeout(slow);
    this.wait(false);
  }
}

/** One experiment: its section, form and numbers. Its module sets `more` (what else is asked) and `show`. */
export class Page {
  constructor(section) {
    this.name = section.id;
    this.section = section;
    this.form = section.querySelector("form");
    this.status = section.querySelector(".status");
    this.more = () => ({});
    this.show = () => {};
    this.live = new Live(this.name, (answer) => this.shown(answer), (error) => this.say(error.message),
      (slow) => section.classList.toggle("waiting", slow));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => {
      clearTimeout(this.typing);
      // While a text is written, a pause is waited for.
      this.typing = setTimeout(() => this.update(), ["text", "number"].includes(event.target.type) ? 300 : 0);
      this.label();
    });
  }

  one(selector) {
    return this.section.querySelector(selector);
  }

  chart(name) {
    return this.one(`[data-chart="${name}"]`);
  }

  /** The fields of the form by name. */
  fields() {
    const read = {};
    for (const field of this.form.elements) {
      if (!field.name || (field.type === "radio" && !field.checked)) continue;
      const number = field.type === "range" || field.type === "number";
      read[field.name] = number ? (field.value === "" ? null : Number(field.value)) : field.value;
    }
    return read;
  }

  /** Write the values of sliders beside them. */
  label() {
    for (const field of this.form.querySelectorAll("input[type=range]")) {
      const places = (String(field.step).split(".")[1] ?? "").length;
      const said = Number(field.value).toFixed(places).replace("-", MINUS);
      field.closest("label").querySelector("output").textContent = said;
    }
  }

  set(name, value) {
    this.form.elements[name].value = value;
  }

  update() {
    this.label();
    this.live.ask({ ...this.fields(), ...this.more() });
  }

  shown(answer) {
    this.answer = answer;
    this.say(answer.trouble ?? "");
    fill(this.section, answer);
    if (answer.code) {
      this.one(".python code").textContent = answer.code;
      const data = this.one(".python .data");
      if (data) data.textContent = answer.data;
    }
    this.show(answer);
    this.section.dataset.answers = Number(this.section.dataset.answers ?? 0) + 1;
  }

  /** Something was dragged: show it where it is now, and ask. */
  moved() {
    if (this.answer) this.show(this.answer);
    this.update();
  }

  say(text) {
    this.status.textContent = text;
  }
}

/** Put an answer into the elements that name a part of it: data-value="ends.squares.loss"; data-exact shows
 *  what is rounding alone too. */
export function fill(root, answer) {
  for (const place of root.querySelectorAll("[data-value]")) {
    const value = place.dataset.value.split(".").reduce((inner, key) => inner?.[key], answer);
    if (value === undefined) continue;
    const values = Array.isArray(value) ? value : [value];
    place.textContent = values.map((v) => format(v, 4, "exact" in place.dataset ? 0 : undefined)).join(", ");
  }
}

const opened = new Map();

async function open(name) {
  if (opened.has(name)) return;
  const page = new Page(document.getElementById(name));
  opened.set(name, page);
  const { default: setup } = await import(`./${name}.js`);
  setup(page);
  page.update();
}

function go() {
  const sections = [...document.querySelectorAll(".page")];
  const wanted = sections.find((s) => `#/${s.id}` === location.hash) ?? sections[0];
  for (const section of sections) section.hidden = section !== wanted;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${wanted.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.querySelector(".menu .where").textContent = wanted.querySelector("h2").textContent;
  document.title = `${wanted.querySelector("h2").textContent} \u00b7 jglm lab`;
  window.scrollTo(0, 0);
  open(wanted.id);
}

function menu(shown) {
  document.body.classList.toggle("menu-open", shown);
  document.querySelector(".menu").setAttribute("aria-expanded", String(shown));
}

function frame() {
  const sections = [...document.querySelectorAll(".page")];
  const list = document.querySelector("nav ol");
  sections.forEach((section, i) => {
    const title = section.querySelector("h2").textContent;
    const link = element("a", { href: `#/${section.id}` }, title);
    link.addEventListener("click", () => menu(false)); // of the page that is shown too
    list.append(element("li", {}, link));
    section.querySelector(".count").textContent = `${i + 1} of ${sections.length}`;
    const next = sections[i + 1];
    const before = sections[i - 1];
    const ends = element("p", { class: "ends" });
    if (before) ends.append(element("a", { href: `#/${before.id}` }, `\u2190 ${before.querySelector("h2").textContent}`));
    if (next) ends.append(element("a", { href: `#/${next.id}`, class: "next" }, `${next.querySelector("h2").textContent} \u2192`));
    section.append(ends);
  });
  document.querySelector(".menu").addEventListener("click", () => menu(!document.body.classList.contains("menu-open")));
  window.addEventListener("hashchange", go);
  go();
}

frame();
