/* The accusation of a frame of the museum and the label behind it: who was to blame, the lines, the check that kills them.
   Accusations are kept on this device until the visual is reset. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const make = (...parts) => KM.element(...parts);
  const KEY = "kimi-mini-museum";
  const WHO = { statistic: "the maximum", factor: "the factor", place: "the rows", optimizer: "Muon", nobody: "nobody: it is healthy" };

  function kept(stage) {
    if (!stage.verdicts) {
      try {
        stage.verdicts = JSON.parse(localStorage.getItem(KEY)) || {};
      } catch {
        stage.verdicts = {};
      }
    }
    return stage.verdicts;
  }

  function keep(stage) {
    try {
      localStorage.setItem(KEY, JSON.stringify(stage.verdicts));
    } catch {
      // This visit still knows them.
    }
  }

  const culprit = (frame) => (frame.piece ? frame.piece.suspect : "nobody");
  const right = (stage, frame) => frame.identical || KM.verdictOn(stage, frame) === culprit(frame);

  /* Who was accused of a frame, or undefined. */
  KM.verdictOn = (stage, frame) => { const who = kept(stage)[frame.version]; return Object.hasOwn(WHO, who) ? who : undefined; };

  KM.forgetVerdicts = function (stage) {
    stage.verdicts = {};
    keep(stage);
  };

  KM.verdictMark = (stage, frame) => (KM.verdictOn(stage, frame) ? (right(stage, frame) ? " \u2713" : " \u2717") : "");

  KM.verdictScore = function (stage) {
    const accused = stage.data.frames.filter((frame) => KM.verdictOn(stage, frame));
    return { accused: accused.length, solved: accused.filter((frame) => right(stage, frame)).length };
  };

  KM.verdictTitle = function (stage, frame) {
    if (!KM.verdictOn(stage, frame)) return null;
    const what = frame.piece ? frame.piece.title : "The right version";
    return `Frame ${stage.state.frame}: ${what[0].toLowerCase()}${what.slice(1)}. ${right(stage, frame) ? "You were right." : "You were wrong."}`;
  };

  KM.drawVerdict = function (stage, frame) {
    if (!stage.verdictBox) stage.picture.after((stage.verdictBox = make("div", { class: "km-verdict" })));
    const box = stage.verdictBox;
    const drawn = frame ? `${frame.version} ${KM.verdictOn(stage, frame)} ${JSON.stringify(KM.verdictScore(stage))}` : "";
    if (box.dataset.drawn === drawn) return;
    const inside = box.contains(document.activeElement);
    box.dataset.drawn = drawn;
    box.replaceChildren(...(frame ? (KM.verdictOn(stage, frame) ? label(stage, frame) : bench(stage, frame)) : []));
    if (inside) (box.querySelector("button") || box).focus();
  };

  function bench(stage, frame) {
    const buttons = Object.entries(WHO).map(([who, name]) => make("button", { type: "button", "data-control": "accuse", value: who, onclick: () => {
      kept(stage)[frame.version] = who;
      keep(stage);
      stage.update();
    } }, name));
    const suspects = Object.entries(stage.data.suspects).map(([who, does]) => make("li", {}, make("b", {}, WHO[who]), `: ${does}`));
    return [make("p", { class: "km-question" }, `Frame ${stage.state.frame}: whom do you accuse?`), make("div", { class: "km-bench" }, ...buttons), make("ul", {}, ...suspects)];
  }

  function label(stage, frame) {
    const { piece } = frame;
    const { accused, solved } = KM.verdictScore(stage);
    const lines = piece ? [
      make("p", {}, `It was ${WHO[piece.suspect]}, in ${piece.function.replace(":", ".")}: ${piece.explanation}`),
      make("pre", { tabindex: "0" }, make("code", {}, ...piece.diff.map((line) => make("span", { class: line[0] === "-" ? "km-right-line" : "km-wrong-line" }, `${line}\n`)))),
      make("p", {}, "The check that kills it: ", make("code", {}, piece.killed), "."),
    ] : [make("p", {}, "Nothing is wrong here: this is the package as it is.")];
    if (frame.identical) lines.push(make("p", {}, "In this run its numbers are those of the healthy one, every digit: what it does wrong never came up. No instrument could tell, so either answer counts."));
    const next = stage.data.frames.findIndex((other) => !KM.verdictOn(stage, other));
    const actions = [make("p", { class: "km-score" }, `${solved} of ${accused} right so far.`)];
    if (next >= 0) actions.push(make("button", { type: "button", "data-control": "next", onclick: () => stage.set({ frame: next + 1 }) }, `go to frame ${next + 1}`));
    return [make("p", { class: "km-question" }, `You accused ${WHO[KM.verdictOn(stage, frame)]}.`), ...lines, make("div", { class: "km-bench" }, ...actions)];
  }

  /* 10 to the minus what: digits raised. */
  KM.superscript = (count) => String(count).replace(/[0-9]/g, (digit) => "\u2070\u00B9\u00B2\u00B3\u2074\u2075\u2076\u2077\u2078\u2079"[digit]);
})();
