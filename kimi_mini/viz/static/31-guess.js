/* Predict, then reveal. A guess is locked once, with a confidence; it is saved on this device, read back, and can be exported.

     guess(stage) -> {question, min, max, step, start, show(value), within, answer(), waits, then()}
   `within` says in words what counts as right; answer() is shown once the guess is locked, and then() is called.
   With `waits` the form appears only at KM.askGuess(stage).
   stage.guess is the locked guess {value, confidence, ...} or null; stage.revealed is true when it is locked or skipped. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const KEY = "kimi-mini-guesses";
  const CONFIDENCES = [20, 50, 70, 90];
  const thisVisit = {};

  function stored() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY));
      return found && typeof found.guesses === "object" && found.guesses !== null ? found.guesses : {};
    } catch {
      return {};
    }
  }

  KM.guesses = {
    all: () => ({ ...stored(), ...thisVisit }),

    /* True only when reading back gives what was written. */
    save(name, guess) {
      thisVisit[name] = guess;
      try {
        localStorage.setItem(KEY, JSON.stringify({ version: 1, guesses: { ...stored(), [name]: guess } }));
        return JSON.stringify(stored()[name]) === JSON.stringify(guess);
      } catch {
        return false;
      }
    },

    download() {
      const text = JSON.stringify({ version: 1, guesses: this.all() }, null, 2);
      const link = KM.element("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: "kimi-mini-guesses.json" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    },
  };

  KM.drawGuess = function (stage, spec) {
    if (stage.guess === undefined) {
      stage.guess = KM.guesses.all()[stage.name] || null;
      stage.revealed = stage.guess !== null;
    }
    if (stage.revealed) drawLocked(stage, spec);
    else if (!stage.guessBox.firstChild && !spec.waits) stage.guessBox.append(form(stage, spec));
  };

  KM.askGuess = function (stage) {
    if (!stage.guessBox.firstChild) stage.guessBox.append(form(stage, stage.spec.guess(stage)));
    stage.guessBox.querySelector("input").focus();
  };

  function drawLocked(stage, spec) {
    const skipped = stage.guess === null;
    const answer = spec.answer();
    const line = skipped ? answer : `Your guess: ${spec.show(stage.guess.value)}, ${stage.guess.confidence}\u00a0% sure. ${answer}`;
    const text = KM.element("p", {}, line);
    const actions = KM.element("div", { class: "km-actions" }, text);
    if (!skipped) {
      const button = KM.element("button", { type: "button", "data-control": "export", onclick: () => KM.guesses.download() }, "export guesses");
      actions.append(button);
    }
    if (stage.saveFailed) text.append(" This device did not keep it: export it if you want it later.");
    if (stage.guessLine !== line) stage.guessBox.replaceChildren(KM.element("div", { class: "km-guess" }, actions));
    stage.guessLine = line;
  }

  function form(stage, spec) {
    const make = KM.element;
    const input = make("input", { type: "range", min: spec.min, max: spec.max, step: spec.step, value: spec.start, "data-control": "guess", "aria-label": spec.question });
    const output = make("output", {}, spec.show(spec.start));
    const preview = () => {
      output.textContent = spec.show(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", preview);
    preview();
    const slider = make("div", { class: "km-control km-wide" }, make("div", { class: "km-label" }, make("span", {}, "Your guess"), output), input);
    const sure = make("div", { class: "km-segments" });
    for (const value of CONFIDENCES) {
      const radio = make("input", { type: "radio", name: `${stage.name}-sure`, value, "data-control": "confidence", onchange: () => { lock.disabled = false; hint.hidden = true; } });
      sure.append(make("label", {}, radio, make("span", {}, `${value}\u00a0%`)));
    }
    const confidence = make("fieldset", { class: "km-control" }, make("legend", { class: "km-label" }, `How sure that you are within ${spec.within}?`), sure);
    const reveal = (guess) => {
      stage.guess = guess;
      stage.revealed = true;
      stage.update();
      if (spec.then) spec.then();
    };
    const lock = make("button", { type: "button", class: "km-main", "data-control": "lock", disabled: true, onclick: () => {
      const chosen = sure.querySelector("input:checked");
      const guess = { question: spec.question, value: Number(input.value), confidence: Number(chosen.value), within: spec.within, at: new Date().toISOString() };
      stage.saveFailed = !KM.guesses.save(stage.name, guess);
      reveal(guess);
    } }, "lock my guess");
    const hint = make("p", {}, "Say how sure you are, then lock it.");
    const skip = make("button", { type: "button", "data-control": "skip", onclick: () => reveal(null) }, "just show me");
    return make("div", { class: "km-guess" }, make("p", { class: "km-question" }, spec.question),
      make("div", { class: "km-controls" }, slider, confidence), make("div", { class: "km-actions" }, lock, skip, hint));
  }
})();
