/* Drawing: SVG marks that keep their identity between states, so that the same mark moves instead of being replaced. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const SVG = "http://www.w3.org/2000/svg";

  /* One SVG of `stage.width` x height; call size() first, then rect/text/shape with a key per mark. */
  KM.Marks = class {
    constructor(picture) {
      this.picture = picture;
      this.nodes = new Map();
    }

    begin() {
      this.seen = new Set();
      this.last = null;
    }

    end() {
      for (const [key, node] of this.nodes) {
        if (this.seen.has(key)) continue;
        node.remove();
        this.nodes.delete(key);
      }
    }

    size(width, height) {
      if (!this.svg) this.svg = this.picture.appendChild(document.createElementNS(SVG, "svg"));
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.svg.setAttribute("height", height);
      this.svg.setAttribute("aria-hidden", "true");
    }

    node(key, tag, className) {
      this.seen.add(key);
      let node = this.nodes.get(key);
      const fresh = !node; // a new mark appears where it belongs instead of flying in
      if (fresh) {
        node = document.createElementNS(SVG, tag);
        this.nodes.set(key, node);
      }
      // Later marks lie on top. A node that is in place stays untouched: moving it would cut its transition short.
      const place = this.last ? this.last.nextSibling : this.svg.firstChild;
      if (place !== node) this.svg.insertBefore(node, place);
      this.last = node;
      node.setAttribute("class", `km-mark ${fresh ? "km-new" : ""} ${className || ""}`);
      return node;
    }

    rect(key, x, y, width, height, className) {
      const style = this.node(key, "rect", className).style;
      Object.assign(style, { x: `${x}px`, y: `${y}px`, width: `${Math.max(0, width)}px`, height: `${Math.max(0, height)}px` });
    }

    /* anchor: start | middle | end. A text keeps inside [0, within] when that is given. */
    text(key, x, y, content, { className = "", anchor = "start", within } = {}) {
      const node = this.node(key, "text", className);
      if (node.textContent !== content) node.textContent = content;
      node.setAttribute("text-anchor", anchor);
      let at = x;
      if (within !== undefined) {
        const before = { start: 0, middle: 0.5, end: 1 }[anchor] * this.long(key);
        at = Math.max(0, Math.min(within - this.long(key), x - before)) + before;
      }
      node.style.transform = `translate(${at}px, ${y}px)`;
    }

    /* Width of a text that was drawn. */
    long(key) { return this.nodes.get(key).getComputedTextLength(); }

    shape(key, x, y, path, className) {
      const node = this.node(key, "path", className);
      node.setAttribute("d", path);
      node.style.transform = `translate(${x}px, ${y}px)`;
    }

    /* Evidence is shape: hollow diamond = report. */
    report(key, x, y) { this.shape(key, x, y, "M0-7L7 0L0 7L-7 0Z", "km-report"); }

    /* The reader's guess: a small flag standing on the axis. */
    flag(key, x, y, height) { this.shape(key, x, y, `M-1 0V${-height}H15L11 ${6 - height}L15 ${12 - height}H1V0Z`, "km-flag"); }

    /* Horizontal axis: ticks [{at, label}], the unit only on the last one. */
    axis(key, x, y, width, ticks) {
      this.rect(`${key}-line`, x, y, width, 1, "km-axis");
      ticks.forEach(({ at, label }, index) => {
        const anchor = index === 0 ? "start" : index === ticks.length - 1 ? "end" : "middle";
        this.rect(`${key}-tick${index}`, x + at * width - 0.5, y, 1, 6, "km-axis");
        this.text(`${key}-label${index}`, x + at * width, y + 21, label, { anchor, className: "km-quiet" });
      });
    }
  };

  /* An SVG path through the points (x(index), y(value)) of a series. */
  KM.path = (values, x, y) => Array.from(values, (value, index) => `${index ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`).join("");

  /* Round tick values from 0: the last one at most `max`, or with `cover` the first one beyond it. */
  KM.ticks = function (max, { count = 4, cover = false } = {}) {
    const rough = max / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
    const steps = cover ? Math.ceil(max / step) : Math.floor(max / step);
    return Array.from({ length: steps + 1 }, (_, index) => index * step);
  };
})();
