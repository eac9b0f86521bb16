/* The map of tools: near means alike in words. A domain, a tool and a zoom are chosen; a mark can be pointed at or tapped. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const ALL = "all";
  const TALLEST = 460;
  const EDGE = 20; // pixels around the map
  const REACH = 24; // pixels from a mark within which a finger means it
  const DOT = (r) => `M${-r} 0A${r} ${r} 0 1 0 ${r} 0A${r} ${r} 0 1 0 ${-r} 0Z`;
  const spaced = (name) => name.replaceAll("_", " ");
  const domains = ({ tools }) => [...new Set(tools.map(({ domain }) => domain))];

  const listed = ({ data, state }) => data.tools.filter(({ domain }) => state.domain === ALL || domain === state.domain);
  const chosen = (stage) => listed(stage)[Math.min(listed(stage).length - 1, stage.state.tool)];

  /* The nearest other tool on the map, once for each tool. */
  function neighbours({ data }) {
    if (!data.near) {
      data.near = new Map(data.tools.map((tool) => {
        const away = (other) => (other === tool ? Infinity : (other.x - tool.x) ** 2 + (other.y - tool.y) ** 2);
        return [tool, data.tools.reduce((best, other) => (away(other) < away(best) ? other : best), tool)];
      }));
    }
    return data.near;
  }

  /* From the map, -1 to 1, to pixels: the whole at zoom 1, else around the chosen tool. */
  function placing(stage) {
    const { width, state, data } = stage;
    const [far, high] = ["x", "y"].map((axis) => Math.max(...data.tools.map((tool) => Math.abs(tool[axis]))));
    const whole = Math.min((width / 2 - EDGE) / far, (TALLEST / 2 - EDGE) / high);
    const height = 2 * (whole * high + EDGE);
    const scale = whole * state.zoom;
    const { x, y } = state.zoom === 1 ? { x: 0, y: 0 } : chosen(stage);
    return { height, at: (tool) => [width / 2 + (tool.x - x) * scale, height / 2 - (tool.y - y) * scale] };
  }

  const inside = (stage, height, [x, y]) => x >= 7 && x <= stage.width - 7 && y >= 7 && y <= height - 7;

  function pointed(stage, event) {
    const box = stage.picture.getBoundingClientRect();
    const { height, at } = placing(stage);
    const away = (tool) => { const [x, y] = at(tool); return Math.hypot(x - (event.clientX - box.left), y - (event.clientY - box.top)); };
    const seen = stage.data.tools.filter((tool) => inside(stage, height, at(tool)));
    const best = seen.reduce((a, b) => (!a || away(b) < away(a) ? b : a), null);
    return best && away(best) <= REACH ? best : null;
  }

  function hands(stage) {
    if (stage.handed) return;
    stage.handed = true;
    const { picture } = stage;
    picture.classList.add("km-tool-plane");
    const show = (tool) => { if (stage.hovered !== tool) { stage.hovered = tool; stage.update(); } };
    picture.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") show(pointed(stage, event)); });
    picture.addEventListener("pointerleave", () => show(null));
    picture.addEventListener("click", (event) => {
      const tool = pointed(stage, event);
      if (!tool) return;
      stage.hovered = null;
      const own = stage.data.tools.filter(({ domain }) => domain === tool.domain);
      stage.schema.tool.max = own.length - 1;
      stage.set({ domain: tool.domain, tool: own.indexOf(tool) });
    });
  }

  function told(stage, tool) {
    if (!stage.told) stage.picture.after((stage.told = KM.element("div", { class: "km-tool-told" })));
    const near = neighbours(stage).get(tool);
    const origin = tool.source === "served" ? `served over MCP by the world ${tool.domain}` : `evolved: ${tool.category}, ${tool.domain}`;
    stage.told.replaceChildren(
      KM.element("p", {}, KM.element("code", {}, `${tool.name}(${tool.arguments.join(", ")})`)),
      KM.element("p", {}, tool.description),
      KM.element("p", {}, `${origin}; ${tool.reads ? "reads" : "changes something"}. Nearest: ${spaced(near.name)} (${near.domain}).`));
  }

  /* A mark as a part of a path: hundreds of them are three shapes. */
  const placed = (tool, x, y, r) => (tool.source === "served"
    ? `M${(x - r).toFixed(1)} ${(y - r).toFixed(1)}v${2 * r}h${2 * r}v${-2 * r}Z`
    : `M${(x - r).toFixed(1)} ${y.toFixed(1)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`);

  function plane(stage, tool) {
    const { marks, width, data, state } = stage;
    const { height, at } = placing(stage);
    const category = state.domain === ALL ? null : chosen(stage).category;
    marks.size(width, height + 4);
    const seen = data.tools.map((one) => [one, at(one)]).filter(([, place]) => inside(stage, height, place));
    const mine = ([one]) => one.domain === state.domain;
    const kin = ([one]) => !mine([one]) && one.category === category;
    const path = (which, r) => seen.filter(which).map(([one, [x, y]]) => placed(one, x, y, r)).join("");
    marks.shape("rest", 0, 0, path((one) => !mine(one) && !kin(one), 4), "km-tool-rest");
    marks.shape("kin", 0, 0, path(kin, 4.5), "km-tool-kin");
    marks.shape("mine", 0, 0, path(mine, 6), "km-tool-on");
    const [x, y] = at(tool);
    marks.shape("now", x, y, DOT(11), "km-tool-now");
    marks.text("name", x, y > 30 ? y - 17 : y + 27, spaced(tool.name), { anchor: "middle", within: width, className: "km-halo km-strong" });
    return seen.length;
  }

  function title(stage, like, chance) {
    const { data, state } = stage;
    const own = listed(stage);
    if (state.domain === ALL) return `${number(data.tools.length)} tools, placed by their words: the nearest one is of the same domain for ${percent(like / own.length, 0)} of them; chance would give ${percent(chance, 0)}.`;
    return `${spaced(state.domain)}: ${number(own.length)} ${own.length === 1 ? "tool" : "tools"}; the nearest one on the map is of the same domain for ${number(like)}.`;
  }

  /* Share of pairs of different tools that are of one domain. */
  function chanceOf({ tools }) {
    const sizes = domains({ tools }).map((name) => tools.filter(({ domain }) => domain === name).length);
    return sizes.reduce((sum, size) => sum + size * (size - 1), 0) / (tools.length * (tools.length - 1));
  }

  KM.component("tool-map", {
    state: (data) => ({
      domain: { value: ALL, options: [ALL, ...domains(data)] },
      tool: { value: 0, min: 0, max: data.tools.length - 1, step: 1 },
      zoom: { value: 1, options: data.zooms },
    }),

    reset(stage) { stage.hovered = null; },

    controls(stage) {
      const { data } = stage;
      stage.schema.tool.max = listed(stage).length - 1;
      stage.state.tool = Math.min(stage.state.tool, stage.schema.tool.max);
      const category = (name) => data.tools.find(({ domain }) => domain === name).category;
      return [
        { kind: "select", name: "domain", label: "domain", names: Object.fromEntries([[ALL, "all domains"], ...domains(data).map((name) => [name, `${spaced(name)} (${category(name)})`])]) },
        { kind: "slider", name: "tool", label: "tool", show: () => spaced(chosen(stage).name) },
        { kind: "slider", name: "zoom", label: "zoom around it", show: (zoom) => (zoom === 1 ? "the whole map" : `${zoom} times`) },
      ];
    },

    draw(stage) {
      const { data, state } = stage;
      hands(stage);
      const tool = stage.hovered || chosen(stage);
      const seen = plane(stage, tool);
      told(stage, tool);
      const near = neighbours(stage);
      const like = listed(stage).filter((one) => near.get(one).domain === one.domain).length;
      const { made, valid, unique } = data.counts;
      return {
        title: title(stage, like, chanceOf(data)),
        values: { listed: listed(stage).length, seen, like, name: tool.name, zoom: state.zoom },
        note: `Measured here: words only, not what a tool does. Squares are served by the five worlds, dots were evolved: ${number(made)} made, ${number(valid)} valid, ${number(unique)} kept. Large: the domain; hollow: the others of its category.`,
        table: { columns: ["tool", "domain", "category", "nearest"], rows: listed(stage).map((one) => [one.name, one.domain, one.category, near.get(one).name]) },
        code: "from kimi_mini.tools.evolve import evolve\nfrom kimi_mini.tools.map import features, principal, told, tsne\n\ntools, counts = evolve(seed=0)\nwords_ND = features([told(one.tool) for one in tools])\nplace_N2 = tsne(principal(words_ND, 30))",
      };
    },
  });
})();
