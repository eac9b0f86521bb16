/* MINI's forward pass in the page, one token at a time over the latent cache; equal to kimi_mini.model within rounding.

     new KM.Engine(config, weights)      config.json as shipped; weights from KM.readSafetensors(bytes)
     engine.step(token, off)             -> {logits, maxima [layer][head], chosen [layer][k], weights [layer][k]}
     engine.length = n                   forgets all but the first n tokens of the cache
   `off` is a Set of parts whose output counts for nothing: "expert-3-17", "head-0-5", "shared-2" (layer, then number). The router
   still chooses, and the others keep their weights. Weights are float32, sums are doubles. Keys and values are never built:
   the key projection moves into the query, the value projection behind the sum, as in MLA.decode of the package. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  function define(KM) {
    "use strict";
    const LATENT_NORM_EPS = 1e-6; // released code builds the two inner norms with this, not with rms_norm_eps

    /* ---- weights ---- */

    let halves = null;

    /* Every float16 there is, once. */
    function halfTable() {
      if (halves) return halves;
      halves = new Float32Array(65536);
      for (let bits = 0; bits < 65536; bits++) {
        const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
        const size = exponent === 0 ? fraction * 2 ** -24 : exponent < 31 ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction ? NaN : Infinity;
        halves[bits] = bits & 0x8000 ? -size : size;
      }
      return halves;
    }

    function widen(bits, table) {
      const out = new Float32Array(bits.length);
      for (let i = 0; i < out.length; i++) out[i] = table[bits[i]];
      return out;
    }

    /* A safetensors file as Map of name -> Float32Array, rows one after the other. */
    KM.readSafetensors = function (bytes) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const start = 8 + Number(view.getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
      const table = halfTable();
      const tensors = new Map();
      for (const [name, { dtype, data_offsets: [from, to] = [] }] of Object.entries(header)) {
        if (name === "__metadata__") continue;
        const raw = bytes.slice(start + from, start + to).buffer; // a copy starts at an even address
        if (dtype === "F32") tensors.set(name, new Float32Array(raw));
        else if (dtype === "F16") tensors.set(name, widen(new Uint16Array(raw), table));
        else throw new Error(`${name} is ${dtype}; expected F16 or F32`);
      }
      return tensors;
    };

    /* ---- arithmetic ---- */

    /* out[i] = row i of W . x */
    function multiply(W, x, out) {
      const [rows, width] = [out.length, x.length];
      for (let row = 0, at = 0; row < rows; row++, at += width) {
        let a = 0, b = 0, c = 0, d = 0; // four sums at a time keep the processor busy
        for (let i = 0; i < width; i += 4) {
          a += W[at + i] * x[i];
          b += W[at + i + 1] * x[i + 1];
          c += W[at + i + 2] * x[i + 2];
          d += W[at + i + 3] * x[i + 3];
        }
        out[row] = a + b + c + d;
      }
      return out;
    }

    /* out = sum of x[row] times the beginning of row `row` of W */
    function mix(W, x, width, out) {
      const sums = new Float64Array(out.length);
      for (let row = 0, at = 0; row < x.length; row++, at += width) {
        const weight = x[row];
        for (let i = 0; i < sums.length; i++) sums[i] += weight * W[at + i];
      }
      out.set(sums);
    }

    function norm(x, weight, eps, out) {
      let sum = 0;
      for (let i = 0; i < x.length; i++) sum += x[i] * x[i];
      const factor = 1 / Math.sqrt(sum / x.length + eps);
      for (let i = 0; i < x.length; i++) out[i] = x[i] * factor * weight[i];
      return out;
    }

    /* Interleaved pairs (0,1), (2,3), ... turned by position times frequency, in place. */
    function rotate(x, position, frequency) {
      for (let pair = 0; pair < frequency.length; pair++) {
        const [cos, sin] = [Math.cos(position * frequency[pair]), Math.sin(position * frequency[pair])];
        const [even, odd] = [x[2 * pair], x[2 * pair + 1]];
        x[2 * pair] = even * cos - odd * sin;
        x[2 * pair + 1] = odd * cos + even * sin;
      }
    }

    /* x += weight * down(silu(gate(x)) * up(x)) of the normed input */
    function swiglu(mlp, input, weight, x, scratch) {
      const hidden = mlp.gate.length / input.length;
      const [gate, up] = [multiply(mlp.gate, input, scratch.gate.subarray(0, hidden)), multiply(mlp.up, input, scratch.up.subarray(0, hidden))];
      for (let i = 0; i < hidden; i++) gate[i] = (gate[i] / (1 + Math.exp(-gate[i]))) * up[i];
      multiply(mlp.down, gate, scratch.y);
      for (let i = 0; i < x.length; i++) x[i] += weight * scratch.y[i];
    }

    /* ---- the model ---- */

    KM.Engine = class {
      constructor(config, weights) {
        const c = (this.config = config);
        const refused = [
          [c.rope_scaling === null, "YaRN"], [c.n_group === 1, "expert groups"], [!c.tie_word_embeddings, "a tied head"],
          [c.q_lora_rank !== null, "queries without a latent"], [c.norm_topk_prob, "weights that do not sum to one"],
        ].filter(([fits]) => !fits);
        if (refused.length) throw new Error(`this engine does not do ${refused.map(([, what]) => what).join(", ")}`);
        this.weights = weights;
        this.entry = c.kv_lora_rank + c.qk_rope_head_dim;
        const pairs = Array.from({ length: c.qk_rope_head_dim / 2 }, (_, pair) => c.rope_theta ** ((-2 * pair) / c.qk_rope_head_dim));
        this.frequency = Float64Array.from(pairs);
        this.scale = 1 / Math.sqrt(c.qk_nope_head_dim + c.qk_rope_head_dim);
        this.layers = Array.from({ length: c.num_hidden_layers }, (_, layer) => this.layer(layer));
        this.cache = this.layers.map(() => new Float32Array(0));
        this.length = 0;
        this.scratch = this.room();
      }

      get capacity() { return this.config.max_position_embeddings; }

      /* Bytes that the cache holds for its tokens. */
      get bytes() { return this.length * this.entry * 4 * this.layers.length; }

      take(name) {
        if (!this.weights.has(name)) throw new Error(`no weights ${name}`);
        return this.weights.get(name);
      }

      layer(number) {
        const take = (name) => this.take(`model.layers.${number}.${name}.weight`);
        const mlp = (prefix) => ({ gate: take(`${prefix}.gate_proj`), up: take(`${prefix}.up_proj`), down: take(`${prefix}.down_proj`) });
        const attention = {
          qDown: take("self_attn.q_a_proj"), qNorm: take("self_attn.q_a_layernorm"), qUp: take("self_attn.q_b_proj"),
          kvDown: take("self_attn.kv_a_proj_with_mqa"), kvNorm: take("self_attn.kv_a_layernorm"), kvUp: take("self_attn.kv_b_proj"),
          out: take("self_attn.o_proj"),
        };
        const norms = { before: take("input_layernorm"), between: take("post_attention_layernorm") };
        if (number < this.config.first_k_dense_replace) return { ...norms, attention, dense: mlp("mlp") };
        const experts = Array.from({ length: this.config.n_routed_experts }, (_, expert) => mlp(`mlp.experts.${expert}`));
        const bias = this.take(`model.layers.${number}.mlp.gate.e_score_correction_bias`);
        return { ...norms, attention, experts, shared: mlp("mlp.shared_experts"), router: take("mlp.gate"), bias };
      }

      room() {
        const c = this.config;
        const widest = Math.max(c.intermediate_size, c.moe_intermediate_size * c.n_shared_experts);
        const sizes = {
          x: c.hidden_size, normed: c.hidden_size, y: c.hidden_size, gate: widest, up: widest, qLatent: c.q_lora_rank,
          q: c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim), entry: this.entry, absorbed: this.entry, read: c.kv_lora_rank,
          heads: c.num_attention_heads * c.v_head_dim, score: c.n_routed_experts, attended: this.capacity,
        };
        return Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, new Float32Array(size)]));
      }

      /* Room for one more entry in every layer; the cache grows by doubling. */
      grow() {
        if (this.length >= this.capacity) throw new Error(`the context is full: ${this.capacity} tokens`);
        const needed = (this.length + 1) * this.entry;
        this.cache = this.cache.map((old) => {
          if (old.length >= needed) return old;
          const wider = new Float32Array(Math.max(needed, 2 * old.length, 64 * this.entry));
          wider.set(old);
          return wider;
        });
      }

      step(token, off = new Set()) {
        const { config: c, scratch: s } = this;
        this.grow();
        const embedding = this.take("model.embed_tokens.weight");
        s.x.set(embedding.subarray(token * c.hidden_size, (token + 1) * c.hidden_size));
        const trace = { maxima: [], chosen: [], weights: [] };
        this.layers.forEach((layer, number) => {
          norm(s.x, layer.before, c.rms_norm_eps, s.normed);
          trace.maxima.push(this.attend(layer.attention, number, off));
          norm(s.x, layer.between, c.rms_norm_eps, s.normed);
          const { chosen, weights } = layer.dense ? this.dense(layer) : this.consult(layer, number, off);
          trace.chosen.push(chosen);
          trace.weights.push(weights);
        });
        this.length += 1;
        norm(s.x, this.take("model.norm.weight"), c.rms_norm_eps, s.normed);
        trace.logits = multiply(this.take("lm_head.weight"), s.normed, new Float32Array(c.vocab_size));
        return trace;
      }

      dense(layer) {
        swiglu(layer.dense, this.scratch.normed, 1, this.scratch.x, this.scratch);
        return { chosen: [], weights: [] };
      }

      /* Adds attention to x; returns each head's largest logit of this token. */
      attend(a, number, off) {
        const { config: c, scratch: s, length, entry, cache } = this;
        const [nope, rope, latent, vDim] = [c.qk_nope_head_dim, c.qk_rope_head_dim, c.kv_lora_rank, c.v_head_dim];
        norm(multiply(a.qDown, s.normed, s.qLatent), a.qNorm, LATENT_NORM_EPS, s.qLatent);
        multiply(a.qUp, s.qLatent, s.q);
        multiply(a.kvDown, s.normed, s.entry);
        norm(s.entry.subarray(0, latent), a.kvNorm, LATENT_NORM_EPS, s.entry.subarray(0, latent));
        rotate(s.entry.subarray(latent), length, this.frequency);
        cache[number].set(s.entry, length * entry);
        const maxima = [];
        for (let head = 0; head < c.num_attention_heads; head++) {
          const q = s.q.subarray(head * (nope + rope), (head + 1) * (nope + rope));
          rotate(q.subarray(nope), length, this.frequency);
          const rows = a.kvUp.subarray(head * (nope + vDim) * latent, (head + 1) * (nope + vDim) * latent);
          mix(rows, q.subarray(0, nope), latent, s.absorbed.subarray(0, latent));
          s.absorbed.set(q.subarray(nope), latent);
          maxima.push(this.read(cache[number], s));
          const out = multiply(rows.subarray(nope * latent), s.read, s.heads.subarray(head * vDim, (head + 1) * vDim));
          if (off.has(`head-${number}-${head}`)) out.fill(0);
        }
        multiply(a.out, s.heads, s.y);
        for (let i = 0; i < s.x.length; i++) s.x[i] += s.y[i];
        return maxima;
      }

      /* Softmax over the cached tokens, this one included; s.read becomes the mean of their latents. */
      read(cache, s) {
        const [count, { scale }] = [this.length + 1, this];
        const weights = multiply(cache, s.absorbed, s.attended.subarray(0, count));
        let [largest, sum] = [-Infinity, 0];
        for (let t = 0; t < count; t++) largest = Math.max(largest, (weights[t] *= scale));
        for (let t = 0; t < count; t++) sum += weights[t] = Math.exp(weights[t] - largest);
        for (let t = 0; t < count; t++) weights[t] /= sum;
        mix(cache, weights, this.entry, s.read);
        return largest;
      }

      /* Adds the experts to x. The bias decides who is chosen, never how much a chosen one weighs. */
      consult(layer, number, off) {
        const { config: c, scratch: s } = this;
        const score = multiply(layer.router, s.normed, s.score).map((value) => 1 / (1 + Math.exp(-value)));
        const order = Array.from(score.keys()).sort((a, b) => score[b] + layer.bias[b] - (score[a] + layer.bias[a]));
        const chosen = order.slice(0, c.num_experts_per_tok);
        const sum = chosen.reduce((total, expert) => total + score[expert], 0);
        const weights = chosen.map((expert) => (score[expert] / sum) * c.routed_scaling_factor);
        chosen.forEach((expert, k) => {
          if (!off.has(`expert-${number}-${expert}`)) swiglu(layer.experts[expert], s.normed, weights[k], s.x, s);
        });
        if (!off.has(`shared-${number}`)) swiglu(layer.shared, s.normed, 1, s.x, s);
        return { chosen, weights };
      }
    };

    /* ---- what follows ---- */

    /* Probabilities of all tokens at a temperature; 0 gives all to the most likely one. */
    KM.probabilities = function (logits, temperature) {
      const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
      const weights = Float64Array.from(logits, (logit) => (temperature > 0 ? Math.exp((logit - largest) / temperature) : logit === largest ? 1 : 0));
      const sum = weights.reduce((a, b) => a + b, 0);
      return weights.map((weight) => weight / sum);
    };

    /* The token whose share of [0, 1) holds `draw`. */
    KM.pick = function (probabilities, draw) {
      let below = 0;
      for (let token = 0; token < probabilities.length; token++) {
        below += probabilities[token];
        if (draw < below) return token;
      }
      return probabilities.lastIndexOf(Math.max(...probabilities)); // rounding left a crumb above the sum
    };

    /* The `count` likeliest tokens, likeliest first. */
    KM.likeliest = (probabilities, count) => Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]).slice(0, count);
  }

  (KM.forWorker = KM.forWorker || []).push(define);
  define(KM);
})();
