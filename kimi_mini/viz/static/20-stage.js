/* The shared stage. A visual is a root element `.km-stage[data-component]` with its data as JSON inside, and a component:

     KM.component("name", {
       state(data)      {key: {value, options: [...]} or {value, min, max, step}}: what the reader may set; the URL carries it
       controls(stage)  control specs (30-controls.js), at most three, in the order of the sentence they change
       guess(stage)     optional guess spec (31-guess.js)
       reset(stage)     optional: back to the start with what is not in the state
       draw(stage)      draws into stage.picture and returns {title, values, table: {columns, rows}, code, note}
     });

   For tests: every entry of `values` is written to the root as `data-value-<name>`, every state key as `data-state-<key>`.
   Classic script, no modules, no requests: pages open from disk. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const components = {};
  KM.stages = [];
  document.documentElement.classList.add("km-scripts");

  KM.component = (name, spec) => { components[name] = spec; };

  KM.element = function (tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  /* A reader's or a link's value, brought back into what the schema allows. */
  function admit(rule, value) {
    if (rule.options) {
      const match = rule.options.find((option) => String(option) === String(value));
      return match === undefined ? rule.value : match;
    }
    const number = Number(value);
    if (value === "" || value === null || !Number.isFinite(number)) return rule.value;
    const snapped = rule.min + Math.round((number - rule.min) / rule.step) * rule.step;
    return Math.min(rule.max, Math.max(rule.min, snapped));
  }

  class Stage {
    constructor(root) {
      this.root = root;
      this.name = root.dataset.name;
      this.spec = components[root.dataset.component];
      if (!this.spec) throw new Error(`no component ${root.dataset.component}`);
      this.data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
      this.schema = this.spec.state(this.data);
      this.state = this.defaults();
      this.drawer = null;
      this.build();
      this.marks = new KM.Marks(this.picture);
      KM.stages.push(this);
    }

    defaults() {
      return Object.fromEntries(Object.entries(this.schema).map(([key, rule]) => [key, rule.value]));
    }

    build() {
      const make = KM.element;
      this.title = this.root.querySelector(".km-title");
      this.guessBox = make("div", { class: "km-guess-place" });
      this.controls = make("div", { class: "km-controls" });
      this.picture = make("div", { class: "km-picture", role: "img", "aria-label": this.root.dataset.alt });
      this.note = make("p", { class: "km-note" });
      this.row = make("div", { class: "km-row" });
      this.drawers = make("div", { class: "km-drawer", hidden: true });
      this.spoken = make("p", { class: "km-hidden-text", "aria-live": "polite" });
      this.title.after(this.guessBox, this.controls, this.picture, this.note, this.row, this.drawers, this.spoken);
      this.buttons = {};
      for (const name of ["table", "code"]) {
        this.buttons[name] = make("button", { type: "button", "aria-expanded": "false", onclick: () => this.open(name) }, name);
      }
      const reset = make("button", { type: "button", onclick: () => this.reset() }, "reset");
      this.linkButton = make("button", { type: "button", onclick: () => this.link() }, "link to this state");
      this.row.append(this.buttons.table, this.buttons.code, reset);
      if (KM.hash.usable) this.row.append(this.linkButton);
    }

    /* Change state by hand: redraw, remember in the URL. `dragging` marks follow the thumb without a transition. */
    set(changes, dragging = false) {
      for (const [key, value] of Object.entries(changes)) this.state[key] = admit(this.schema[key], value);
      this.root.classList.toggle("km-dragging", dragging);
      this.update();
      KM.hash.write(this);
    }

    reset() {
      if (this.spec.reset) this.spec.reset(this);
      this.set(this.defaults());
    }

    restore(saved) {
      this.state = this.defaults();
      for (const [key, value] of saved || []) if (Object.hasOwn(this.schema, key)) this.state[key] = admit(this.schema[key], value);
      this.update();
    }

    changed() {
      return Object.entries(this.state).filter(([key, value]) => value !== this.schema[key].value);
    }

    get width() { return Math.max(240, this.picture.clientWidth); }

    update() {
      try {
        this.draw();
        this.root.classList.add("km-alive");
      } catch (error) {
        fail(this.root, error);
      }
    }

    draw() {
      if (this.spec.guess) KM.drawGuess(this, this.spec.guess(this));
      KM.syncControls(this, this.spec.controls(this));
      this.marks.begin();
      this.drawn = this.spec.draw(this);
      this.marks.end();
      this.say(this.drawn.title);
      this.note.textContent = this.drawn.note || "";
      for (const [key, value] of Object.entries(this.state)) this.root.setAttribute(`data-state-${key}`, value);
      for (const [key, value] of Object.entries(this.drawn.values)) this.root.setAttribute(`data-value-${key}`, value);
      this.fillDrawer();
    }

    say(text) {
      if (this.title.textContent === text) return;
      this.title.textContent = text;
      clearTimeout(this.saying);
      if (this.root.classList.contains("km-alive")) this.saying = setTimeout(() => { this.spoken.textContent = text; }, 500);
    }

    open(name) {
      this.drawer = this.drawer === name ? null : name;
      this.fillDrawer();
    }

    fillDrawer() {
      for (const [name, button] of Object.entries(this.buttons)) button.setAttribute("aria-expanded", String(this.drawer === name));
      this.drawers.hidden = this.drawer === null;
      this.drawers.replaceChildren();
      if (this.drawer === "table") this.drawers.append(table(this.drawn.table));
      if (this.drawer === "code") this.drawers.append(KM.element("pre", { tabindex: "0" }, KM.element("code", {}, this.drawn.code)));
    }

    link() {
      const address = KM.hash.address(this);
      const done = (label) => {
        this.linkButton.textContent = label;
        setTimeout(() => { this.linkButton.textContent = "link to this state"; }, 1500);
      };
      KM.hash.go(address);
      if (!navigator.clipboard) { done("it is in the address bar"); return; }
      navigator.clipboard.writeText(address).then(() => done("copied"), () => done("it is in the address bar"));
    }
  }

  /* The still that was there before is readable again; a broken visual says so instead of going blank. */
  function fail(root, error) {
    console.error(error);
    root.classList.remove("km-alive");
    root.classList.add("km-dead");
    if (root.querySelector(".km-failed")) return;
    const text = `This visual stopped working (${error.message}). What it shows at the start is below.`;
    root.querySelector(".km-title").after(KM.element("p", { class: "km-failed" }, text));
  }

  function table({ columns, rows }) {
    const make = KM.element;
    const head = make("tr", {}, ...columns.map((column) => make("th", { scope: "col" }, column)));
    const body = rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, String(cell)))));
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  }

  /* Called once by 90-start.js, when every component is known. */
  KM.start = function () {
    KM.settle();
    for (const root of document.querySelectorAll(".km-stage[data-component]")) {
      try {
        new Stage(root);
      } catch (error) {
        fail(root, error);
      }
    }
    const restore = () => {
      const saved = KM.hash.read();
      for (const stage of KM.stages) stage.restore(saved.get(stage.name));
      const first = KM.stages.find((stage) => stage.name === [...saved.keys()][0]);
      if (first) first.root.scrollIntoView({ block: "start" });
    };
    restore();
    addEventListener("hashchange", restore);
    const redraw = () => { for (const stage of KM.stages) stage.update(); };
    KM.theme.onChange(redraw);
    const watch = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        const stage = KM.stages.find((one) => one.picture === target);
        if (stage.drawnWidth !== stage.width) { stage.drawnWidth = stage.width; stage.update(); }
      }
    });
    for (const stage of KM.stages) { stage.drawnWidth = stage.width; watch.observe(stage.picture); }
  };
})();
