/* The router of kimi_mini/model/moe.py for one group: who is chosen by score plus bias, how loud by score alone. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  /* -> {chosen: experts by falling choice, weights: one per expert, 0 where it is not chosen, entry: the last choice let in} */
  KM.route = function (scores, biases, k, scale) {
    const choices = scores.map((score, expert) => score + biases[expert]);
    const chosen = choices.map((_, expert) => expert).sort((a, b) => choices[b] - choices[a] || a - b).slice(0, k);
    const sum = chosen.reduce((total, expert) => total + scores[expert], 0) + 1e-20;
    const weights = scores.map(() => 0);
    for (const expert of chosen) weights[expert] = (scores[expert] / sum) * scale;
    return { chosen, weights, choices, entry: choices[chosen[k - 1]] };
  };

  /* Scores between 0 and 1 in 16 bits each, as kimi_mini/viz/routing_runs.py packs them. */
  KM.unpackScores = function (text) {
    const bytes = atob(text);
    return Array.from({ length: bytes.length / 2 }, (_, i) => (bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8)) / 65535);
  };
})();
