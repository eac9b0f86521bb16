/* Controls. A spec is one of
     {kind: "slider", name, label, show(value)}            name in the state's schema; options are snapped to, one arrow key per step
     {kind: "choice", name, label, names: {option: text}}  a row of radio buttons
     {kind: "select", name, label, names: {option: text}}  a drop-down
     {kind: "button", name, label, press(), disabled, main, pressed}
   Elements are kept by kind and name from one draw to the next, so that focus stays where the reader left it. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const make = (...parts) => KM.element(...parts);
  let serial = 0;

  const makers = {
    slider(stage, spec) {
      const id = `km-control-${serial++}`;
      const input = make("input", { type: "range", id, "data-control": spec.name });
      const output = make("output", { for: id });
      const label = make("span", {});
      const box = make("div", { class: "km-control km-wide" }, make("label", { class: "km-label", for: id }, label, output), input);
      const value = () => { const { options } = stage.schema[box.name]; return options ? options[Number(input.value)] : input.value; };
      input.addEventListener("input", () => stage.set({ [box.name]: value() }, true));
      input.addEventListener("change", () => stage.root.classList.remove("km-dragging"));
      box.sync = (next) => {
        const rule = stage.schema[next.name];
        const current = stage.state[next.name];
        box.name = next.name;
        input.dataset.control = next.name;
        const range = rule.options ? { min: 0, max: rule.options.length - 1, step: 1 } : rule;
        Object.assign(input, { min: range.min, max: range.max, step: range.step });
        input.value = rule.options ? rule.options.indexOf(current) : current;
        label.textContent = next.label;
        output.textContent = next.show(current);
        input.setAttribute("aria-valuetext", next.show(current));
      };
      return box;
    },

    choice(stage, spec) {
      const group = `km-control-${serial++}`;
      const segments = make("div", { class: "km-segments" });
      const inputs = stage.schema[spec.name].options.map((option) => {
        const input = make("input", {
          type: "radio", name: group, value: option, "data-control": spec.name, onchange: () => stage.set({ [spec.name]: option }),
        });
        segments.append(make("label", {}, input, make("span", {}, spec.names[option])));
        return input;
      });
      const box = make("fieldset", { class: "km-control" }, make("legend", { class: "km-label" }, spec.label), segments);
      box.sync = () => { for (const input of inputs) input.checked = input.value === String(stage.state[spec.name]); };
      return box;
    },

    select(stage, spec) {
      const id = `km-control-${serial++}`;
      const input = make("select", { id, "data-control": spec.name, onchange: () => stage.set({ [spec.name]: input.value }) });
      for (const option of stage.schema[spec.name].options) input.append(make("option", { value: option }, spec.names[option]));
      const box = make("div", { class: "km-control" }, make("label", { class: "km-label", for: id }, spec.label), input);
      box.sync = () => { input.value = stage.state[spec.name]; };
      return box;
    },

    button(stage, spec) {
      const button = make("button", { type: "button", "data-control": spec.name, onclick: () => button.press() });
      const box = make("div", { class: "km-control" }, button);
      box.sync = (next) => {
        button.press = next.press;
        if (button.textContent !== next.label) button.textContent = next.label;
        button.disabled = Boolean(next.disabled);
        button.classList.toggle("km-main", Boolean(next.main));
        if (next.pressed !== undefined) button.setAttribute("aria-pressed", String(next.pressed));
      };
      return box;
    },
  };

  KM.syncControls = function (stage, specs) {
    const kept = (stage.controlBoxes = stage.controlBoxes || new Map());
    const wanted = new Map(specs.map((spec) => [`${spec.kind}:${spec.slot || spec.name}`, spec]));
    for (const [key, box] of kept) if (!wanted.has(key)) { box.remove(); kept.delete(key); }
    let before = null;
    for (const [key, spec] of wanted) {
      let box = kept.get(key);
      if (!box) { box = makers[spec.kind](stage, spec); kept.set(key, box); }
      box.sync(spec);
      const place = before ? before.nextSibling : stage.controls.firstChild;
      if (place !== box) stage.controls.insertBefore(box, place);
      before = box;
    }
  };
})();
