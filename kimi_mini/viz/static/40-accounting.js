/* The counting rules of kimi_mini/accounting.py, for figures whose config changes under the reader's hand.
   tests/viz/test_accounting_js.py holds this file to that one, integer for integer; all counts stay below 2^53.
   A config is a plain object under Hugging Face's field names; q_lora_rank may be null. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const headWidth = (c) => c.qk_nope_head_dim + c.qk_rope_head_dim;
  const cacheWidth = (c) => c.kv_lora_rank + c.qk_rope_head_dim;
  const expertParameters = (c) => 3 * c.hidden_size * c.moe_intermediate_size;

  function attentionParameters(c) {
    const heads = c.num_attention_heads;
    const wide = heads * headWidth(c);
    const query = c.q_lora_rank === null ? c.hidden_size * wide : c.hidden_size * c.q_lora_rank + c.q_lora_rank + c.q_lora_rank * wide;
    const kv = c.hidden_size * cacheWidth(c) + c.kv_lora_rank + c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim);
    return query + kv + heads * c.v_head_dim * c.hidden_size;
  }

  /* {blocks: [{name, total, activated}], total, activated, withoutEmbedding, withoutBoth} */
  function countParameters(c) {
    const moe = c.num_hidden_layers - c.first_k_dense_replace;
    const expert = expertParameters(c);
    const embedding = c.vocab_size * c.hidden_size;
    const always = (name, total) => ({ name, total, activated: total });
    const head = c.tie_word_embeddings ? 0 : embedding;
    const blocks = [
      always("embedding", embedding),
      always("attention", c.num_hidden_layers * attentionParameters(c)),
      always("norms", (2 * c.num_hidden_layers + 1) * c.hidden_size),
      always("dense MLP", c.first_k_dense_replace * 3 * c.hidden_size * c.intermediate_size),
      { name: "routed experts", total: moe * c.n_routed_experts * expert, activated: moe * c.num_experts_per_tok * expert },
      always("shared experts", moe * c.n_shared_experts * expert),
      always("routers", moe * c.n_routed_experts * (c.hidden_size + 1)),
      always("head", head),
    ];
    const total = blocks.reduce((sum, block) => sum + block.total, 0);
    const activated = blocks.reduce((sum, block) => sum + block.activated, 0);
    return { blocks, total, activated, withoutEmbedding: activated - (head ? embedding : 0), withoutBoth: activated - embedding - head };
  }

  const flopsPerPair = (c, path) => (path === "expanded" ? 2 * (headWidth(c) + c.v_head_dim) : 2 * (cacheWidth(c) + c.kv_lora_rank));

  function decodeFlops(c, context, path) {
    const pairs = c.num_hidden_layers * c.num_attention_heads * context;
    return { weights: 2 * countParameters(c).withoutEmbedding, attention: pairs * flopsPerPair(c, path) };
  }

  function trainingFlops(c, context) {
    const perPosition = c.num_hidden_layers * c.num_attention_heads * flopsPerPair(c, "expanded");
    return { weights: 3 * (2 * countParameters(c).withoutEmbedding), attention: 3 * ((perPosition * (context + 1)) / 2) };
  }

  function cacheBytes(c, tokens, kind, kvHeads = 8) {
    const elements = {
      mla: cacheWidth(c),
      mha: c.num_attention_heads * (headWidth(c) + c.v_head_dim),
      gqa: 2 * kvHeads * c.v_head_dim,
      mqa: 2 * c.v_head_dim,
    }[kind];
    return elements * c.num_hidden_layers * tokens * 2;
  }

  /* [{weights, gradients, optimizer}] per pipeline stage: bf16 weights, fp32 gradients, 8 bytes of sharded optimizer state. */
  function memoryPerGpu(c, { pipeline, expert, data }) {
    const base = Math.floor(c.num_hidden_layers / pipeline);
    const extra = c.num_hidden_layers % pipeline;
    const stages = [];
    let first = 0;
    for (let stage = 0; stage < pipeline; stage++) {
      const layers = base + (stage < extra ? 1 : 0);
      const dense = Math.max(0, Math.min(first + layers, c.first_k_dense_replace) - first);
      first += layers;
      const moe = layers - dense;
      const routed = ((moe * c.n_routed_experts) / expert) * expertParameters(c);
      const shared = sharedOfStage(c, layers, dense, stage, pipeline);
      const held = shared + routed;
      const owned = shared / (expert * data) + routed / data;
      stages.push({ weights: held * 2, gradients: held * 4, optimizer: owned * 8 });
    }
    return stages;
  }

  function sharedOfStage(c, layers, dense, stage, pipeline) {
    const moe = layers - dense;
    let shared = layers * (attentionParameters(c) + 2 * c.hidden_size);
    shared += dense * 3 * c.hidden_size * c.intermediate_size;
    shared += moe * (c.n_shared_experts * expertParameters(c) + c.n_routed_experts * (c.hidden_size + 1));
    if (stage === 0) shared += c.vocab_size * c.hidden_size;
    if (stage === pipeline - 1) {
      shared += c.hidden_size;
      shared += c.tie_word_embeddings && pipeline === 1 ? 0 : c.vocab_size * c.hidden_size;
    }
    return shared;
  }

  KM.accounting = { attentionParameters, expertParameters, countParameters, decodeFlops, trainingFlops, cacheBytes, memoryPerGpu };
})();
