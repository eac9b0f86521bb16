/* Eight cards: eight answers to one problem, each with a reward the reader may drag and an arrow that shows its push.
   The push is the factor of an answer's gradient in the closed form of the objective: r - mean r - tau log(new / old). */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const AS_MARKED = "as marked";
  const MARKS = { [AS_MARKED]: AS_MARKED, half: "half right", one: "one wrong", all: "all right" };
  const REWARDS = Array.from({ length: 11 }, (_, tenth) => tenth / 10);
  const HEIGHT = 104; // of an arrow's place
  const MIDDLE = HEIGHT / 2;
  const MOST = 1; // the push that an arrow has room for
  const minus = (text) => text.replace("-", "\u2212");
  const signed = (value) => `${value > 0.005 ? "+" : ""}${minus(number(Math.abs(value) < 0.005 ? 0 : value, 2))}`;

  const groupOf = ({ data, state }) => data.groups.find(({ step }) => step === state.checkpoint);
  const key = (index) => `r${index + 1}`;

  /* The reward of a card: dragged, or set for all, or the verifier's. */
  function rewards(stage) {
    const { answers } = groupOf(stage);
    const set = {
      [AS_MARKED]: (index) => answers[index].reward,
      half: (index) => (index < answers.length / 2 ? 1 : 0),
      one: (index) => (index === 0 ? 0 : 1),
      all: () => 1,
    }[stage.state.marks];
    return answers.map((_, index) => { const own = stage.state[key(index)]; return own === AS_MARKED ? set(index) : own; });
  }

  function pushes(stage) {
    const given = rewards(stage);
    const mean = given.reduce((sum, reward) => sum + reward, 0) / given.length;
    return groupOf(stage).answers.map(({ old, new: now }, index) => given[index] - mean - stage.state.tau * (now - old));
  }

  /* A new set of marks, or another checkpoint, takes dragged rewards back. */
  function forget(stage) {
    const { marks, checkpoint } = stage.state;
    const dragged = groupOf(stage).answers.map((_, index) => stage.state[key(index)]).join();
    const before = stage.before;
    if (before && before.dragged === dragged && (before.marks !== marks || before.checkpoint !== checkpoint)) {
      groupOf(stage).answers.forEach((_, index) => { stage.state[key(index)] = AS_MARKED; });
    }
    stage.before = { marks, checkpoint, dragged: groupOf(stage).answers.map((_, index) => stage.state[key(index)]).join() };
  }

  /* ---- the cards: kept from draw to draw, so that a thumb stays under the finger ---- */

  function card(stage, index) {
    const make = KM.element;
    const input = make("input", { type: "range", min: 0, max: 10, step: 1, "data-control": key(index) });
    input.addEventListener("input", () => stage.set({ [key(index)]: Number(input.value) / 10 }, true));
    input.addEventListener("change", () => stage.root.classList.remove("km-dragging"));
    const text = make("p", { class: "km-card-text" });
    const label = make("p", { class: "km-card-label" });
    const push = make("p", { class: "km-card-push" });
    const arrow = make("div", { class: "km-card-arrow" });
    const box = make("li", {}, text, make("div", { class: "km-card-side" }, arrow, push), label, input);
    return Object.assign(box, { input, text, label, push, arrow });
  }

  function arrow(push) {
    const tip = MIDDLE - (Math.max(-MOST, Math.min(MOST, push)) / MOST) * (MIDDLE - 4);
    const head = Math.min(9, Math.abs(tip - MIDDLE));
    const back = tip + Math.sign(MIDDLE - tip) * head;
    const shaft = Math.abs(push) < 0.005 ? "" : `<path class="km-push" d="M-4 ${MIDDLE}V${back}H-10L0 ${tip}L10 ${back}H4V${MIDDLE}Z"/>`;
    return `<svg viewBox="-14 0 28 ${HEIGHT}" width="28" height="${HEIGHT}" aria-hidden="true"><path class="km-push-zero" d="M-14 ${MIDDLE}H14"/>${shaft}</svg>`;
  }

  function cards(stage, pushed, given) {
    const { answers, prompt } = groupOf(stage);
    if (!stage.list) {
      stage.list = KM.element("ol", { class: "km-cards" });
      stage.asked = KM.element("p", { class: "km-cards-asked" });
      stage.picture.before(stage.asked, stage.list);
      stage.list.append(...answers.map((_, index) => card(stage, index)));
    }
    stage.asked.textContent = prompt;
    answers.forEach(({ text, reward }, index) => {
      const box = stage.list.children[index];
      box.text.textContent = text || "(nothing)";
      box.text.title = text;
      box.input.value = Math.round(given[index] * 10);
      box.input.setAttribute("aria-label", `reward of answer ${index + 1}: ${text}`);
      box.input.setAttribute("aria-valuetext", number(given[index], 1));
      const own = given[index] === reward ? "" : `, the verifier says ${number(reward, reward % 1 ? 2 : 0)}`;
      box.label.textContent = `reward ${number(given[index], given[index] % 1 ? 2 : 0)}${own}`;
      box.push.textContent = signed(pushed[index]);
      box.arrow.innerHTML = stage.revealed ? arrow(pushed[index]) : arrow(0);
      box.push.hidden = !stage.revealed;
    });
  }

  /* Under the cards: the sum of all pushes for every number of right answers, and where these eight are. */
  function hill(stage, total, right) {
    const { marks, width } = stage;
    const size = groupOf(stage).answers.length;
    const height = 108;
    const base = height + 22;
    const whole = (count) => (2 * count * (size - count)) / size;
    const most = whole(size / 2);
    const x = (count) => 8 + (count / size) * (width - 16);
    const y = (sum) => base - (Math.min(sum, most * 1.25) / (most * 1.25)) * height;
    marks.size(width, base + 44);
    marks.text("name", 0, 14, "all arrows together, by right answers", { className: "km-halo" });
    for (let count = 0; count <= size; count++) {
      marks.rect(`bar-${count}`, x(count) - 1, y(whole(count)), 2, base - y(whole(count)), "km-grid");
      marks.shape(`dot-${count}`, x(count), y(whole(count)), "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z", "km-rest-fill");
    }
    marks.shape("here", x(right), y(total), "M-7 0A7 7 0 1 0 7 0A7 7 0 1 0 -7 0Z", "km-reward-fill");
    marks.text("here-text", x(right), Math.max(30, y(total) - 14), `these eight: ${number(total, 2)}`, { anchor: "middle", within: width, className: "km-halo" });
    marks.axis("axis", 8, base, width - 16, Array.from({ length: size + 1 }, (_, count) => ({ at: count / size, label: String(count) })));
  }

  const counted = (given) => given.filter((reward) => reward > 0.5).length;

  function titleOf(stage, given, pushed) {
    const size = given.length;
    if (!stage.revealed) return "Eight answers to one problem. One is wrong, seven are right: how hard is the wrong one pushed?";
    const least = pushed.reduce((a, b) => (b < a ? b : a));
    if (pushed.every((push) => Math.abs(push) < 0.005)) return `All ${size} have the same reward: every arrow vanishes, and nothing is learned.`;
    if (given.every((reward) => reward === given[0])) return `All ${size} have the same reward: what is left is the pull back to the old policy.`;
    const binary = given.every((reward) => reward === 0 || reward === 1);
    const right = counted(given);
    const wrong = size - right;
    const still = groupOf(stage).answers.every(({ old, new: now }) => Math.abs(stage.state.tau * (now - old)) < 0.005);
    if (binary && still && wrong === 1) return `The one wrong answer is pushed down by ${number(-least, 2)}, as hard as the other ${right} together are pushed up.`;
    if (binary && still) return `${right} of ${size} right: each right answer is pushed up by ${number(1 - right / size, 2)}, each wrong one down by ${number(right / size, 2)}.`;
    return `Mean reward ${number(given.reduce((a, b) => a + b, 0) / size, 2)}: pushes from ${signed(least)} to ${signed(Math.max(...pushed))}.`;
  }

  KM.component("cards", {
    state: (data) => ({
      checkpoint: { value: data.groups[data.opening].step, options: data.groups.map(({ step }) => step) },
      tau: { value: data.tau, options: data.taus },
      marks: { value: AS_MARKED, options: Object.keys(MARKS) },
      ...Object.fromEntries(data.groups[0].answers.map((_, index) => [key(index), { value: AS_MARKED, options: [AS_MARKED, ...REWARDS] }])),
    }),

    guess: ({ data }) => {
      const size = data.groups[0].answers.length;
      return {
        question: `Guess first: ${size} answers, one is wrong and ${size - 1} are right. How many times as hard is the wrong one pushed as one right one?`,
        min: 1, max: 2 * size, step: 1, start: 1, within: "half a time", show: (value) => `${value} times`,
        answer: () => `${size - 1} times: ${number((size - 1) / size, 3)} down against ${number(1 / size, 3)} up each. Set the marks to "one wrong" and look.`,
      };
    },

    controls: (stage) => (stage.revealed ? [
      { kind: "slider", name: "checkpoint", label: "answers drawn after", show: (step) => (step === 1 ? "the start" : `${number(step - 1)} steps of RL`) },
      { kind: "choice", name: "marks", label: "rewards", names: MARKS },
      { kind: "slider", name: "tau", label: "tau, the pull to the old policy", show: (tau) => number(tau, 2) },
    ] : []),

    draw(stage) {
      forget(stage);
      const given = rewards(stage);
      const pushed = pushes(stage);
      const total = pushed.reduce((sum, push) => sum + Math.abs(push), 0);
      cards(stage, pushed, given);
      hill(stage, stage.revealed ? total : 0, counted(given));
      const { answers, step } = groupOf(stage);
      return {
        title: titleOf(stage, given, pushed),
        values: { total, right: counted(given), ...Object.fromEntries(pushed.map((push, index) => [`push${index + 1}`, push])) },
        note: `Measured here: answers of MINI at temperature ${number(stage.data.temperature, 1)}, their rewards, and their log-probabilities before and after one update. The arrows are derived, for the next update on the same answers: reward less the mean of the group, less tau times the log-ratio. Grey: that sum for every number of right answers, at tau 0.`,
        table: {
          columns: ["answer", "reward", "log-ratio", "push"],
          rows: answers.map(({ text, old, new: now }, index) => [text, number(given[index], 2), signed(now - old), stage.revealed ? signed(pushed[index]) : "guess first"]),
        },
        code: `from kimi_mini.viz import rewards   # in the folder book/\n(group,) = [one for one in rewards.load_recording("data/climb").groups if one.step == ${step}]\n` +
          `rewards.pushes([a.reward for a in group.answers], [a.new - a.old for a in group.answers], tau=${stage.state.tau})`,
      };
    },
  });
})();
