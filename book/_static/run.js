// Cells that run in the page: the bar that online.py puts below a title, and a button below each cell.
//
// Nothing is fetched until the switch is turned on.  Python then runs in a worker (pyodide/worker.js).  To stop it is to
// end that worker.  Its names go with it, so a cell runs after those above it that this Python has not run yet.

const bar = document.querySelector(".run-bar");
const [toggle, controls, status] = [".run-switch", ".run-controls", ".run-status"].map((s) => bar.querySelector(s));
const root = new URL("../", import.meta.url); // of the site
let cells = [];
let python = null; // the worker
let running = null; // the cell, and `finish` says how it ended: "done", "failed" or "stopped"
let finish = () => {};
let queue = Promise.resolve(); // one run after another

const say = (text) => (status.textContent = text);

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// The text of what is being edited, where a browser breaks lines by elements.
function textOf(edited) {
  const copy = edited.cloneNode(true);
  for (const line of copy.querySelectorAll("br")) line.replaceWith("\n");
  return copy.textContent;
}

class Cell {
  constructor(place, number) {
    this.name = `cell ${number}`;
    this.code = place.querySelector(".cell_input pre");
    this.written = this.code.innerHTML;
    this.output = place.querySelector(".cell_output") ?? place.appendChild(element("div", { className: "cell_output" }));
    this.printed = [...this.output.childNodes];
    this.words = [...this.output.querySelectorAll("svg.figure, img")].map((x) => x.ariaLabel ?? x.alt);
    this.button = element("button", { type: "button", className: "run-cell" });
    (place.querySelector(":scope > details.above-input") ?? place.querySelector(".cell_input")).after(this.button);
    this.button.onclick = () => (running === this ? stop() : this.run());
    this.code.oninput = () => (this.isDone = false);
    this.code.onkeydown = (event) => this.key(event);
    this.code.contentEditable = "plaintext-only";
    this.code.spellcheck = false;
    Object.assign(this.code, { role: "textbox", ariaMultiLine: "true", ariaLabel: `Code of ${this.name}` });
    this.label();
  }

  label(does = "Run") {
    this.button.textContent = does;
    this.button.ariaLabel = `${does} ${this.name}`;
  }

  // Enter keeps the indentation; Tab still leaves the cell.
  key(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    if (event.shiftKey || event.ctrlKey || event.metaKey) return void this.run();
    const before = new Range();
    before.selectNodeContents(this.code);
    before.setEnd(getSelection().focusNode, getSelection().focusOffset);
    const indent = textOf(before.cloneContents()).match(/ *(?=[^\n]*$)/)[0];
    document.execCommand("insertText", false, `\n${indent}`); // so that it can be undone
  }

  run() {
    const above = cells.slice(0, cells.indexOf(this));
    return runAll([...above.filter((cell) => !cell.isDone), this]);
  }

  async execute() {
    running = this;
    this.label("Stop");
    this.output.replaceChildren();
    this.left = [...this.words];
    const ended = new Promise((resolve) => (finish = resolve));
    python.postMessage(textOf(this.code));
    this.isDone = (await ended) === "done";
    running = null;
    this.label();
    return ended;
  }

  show({ kind, name, html, text }) {
    const last = this.output.lastElementChild;
    if (html) {
      const box = element("div", { className: "output text_html", innerHTML: html });
      for (const figure of box.querySelectorAll("svg.figure[aria-label=''], img[alt='']")) {
        const words = this.left.shift() ?? `Figure that ${this.name} drew`;
        figure.setAttribute(figure.localName === "img" ? "alt" : "aria-label", words);
      }
      this.output.append(box);
      if (box.querySelector("mg-flipbook")) loadFlipbook();
    } else if (name && last?.dataset.stream === name) {
      last.querySelector("pre").append(text);
    } else {
      const box = element("div", { className: `output run-${kind}` }, element("pre", { tabIndex: 0 }, text));
      if (name) box.dataset.stream = name;
      this.output.append(box);
    }
  }

  restore() {
    this.code.innerHTML = this.written;
    this.output.replaceChildren(...this.printed);
    this.isDone = false;
  }

  leave() {
    this.restore();
    for (const name of ["contenteditable", "spellcheck", "role", "aria-multiline", "aria-label"]) this.code.removeAttribute(name);
    this.code.oninput = this.code.onkeydown = null;
    this.button.remove();
    if (!this.printed.length) this.output.remove();
  }
}

function loadFlipbook() {
  if (customElements.get("mg-flipbook")) return;
  document.head.append(element("link", { rel: "stylesheet", href: new URL("flipbook.css", import.meta.url) }));
  import(new URL("flipbook.js", import.meta.url));
}

function start() {
  if (python) return;
  say("Python is starting. The first time, some 30 MB are fetched from this site.");
  const mine = (python = new Worker(new URL("pyodide/worker.js", root), { type: "module" }));
  mine.ready = new Promise((resolve, reject) => {
    mine.cancel = reject;
    mine.onerror = () => mine.onmessage({ data: '{"kind": "broken", "text": "the site did not give its files. Are you online?"}' });
    mine.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.kind === "ready") resolve();
      else if (message.kind === "broken") python === mine && end(`Python broke down: ${message.text}`);
      else if (message.kind === "done") finish(message.failed ? "failed" : "done");
      else running?.show(message);
    };
  });
  mine.ready.then(() => python === mine && !running && say("Python is ready."), () => {});
}

function runAll(these) {
  start();
  const mine = python;
  queue = queue.then(async () => {
    await mine.ready;
    for (const cell of these) {
      if (python !== mine) return; // stopped
      say(`Running ${cell.name} of ${cells.length}.`);
      const how = await cell.execute();
      if (how === "failed") say(`An error in ${cell.name}.`);
      if (how !== "done") return;
    }
    say(these.length > 1 ? `${these.length} cells ran.` : `${these[0].name} ran.`);
  }).catch(() => {}); // Python did not start, and why has been said
  return queue;
}

function end(why) {
  python?.terminate();
  python?.cancel();
  python = null;
  for (const cell of cells) cell.isDone = false;
  finish("stopped");
  say(why);
}

const stop = () => end("Stopped. The names of this Python are gone; the next run begins with the cells above it.");

function turn() {
  const on = toggle.getAttribute("aria-checked") === "false";
  toggle.setAttribute("aria-checked", on);
  controls.hidden = !on;
  if (on) {
    const places = [...document.querySelectorAll("div.cell")].filter((place) => place.querySelector(".cell_input pre"));
    cells = places.map((place, k) => new Cell(place, k + 1));
    start();
  } else {
    end("The page is as it was.");
    for (const cell of cells.splice(0)) cell.leave();
  }
}

toggle.onclick = turn;
const buttons = controls.querySelectorAll("button"); // run all, stop, start over
[() => runAll([...cells]), stop, () => (turn(), turn())].forEach((does, k) => (buttons[k].onclick = does));
