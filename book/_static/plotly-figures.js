/* Draws every plotly figure of the page in the theme's colours, and follows the reader's switch between light and dark.
   Its finding, and the slider that moves it, are ordinary elements around it: they wrap, and they answer to keys. */
(function () {
  "use strict";

  function themeOf(layout) {
    var style = getComputedStyle(document.documentElement);
    var ink = style.getPropertyValue("--pst-color-text-base").trim();
    var line = style.getPropertyValue("--pst-color-border").trim();
    var change = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", "font.color": ink };
    Object.keys(layout).filter(function (key) { return /^[xy]axis\d*$/.test(key); }).forEach(function (axis) {
      ["gridcolor", "zerolinecolor", "linecolor"].forEach(function (part) { change[axis + "." + part] = line; });
    });
    return change;
  }

  /* A range input over the recorded settings; each step shows the frame of that number. */
  function slider(spec, show) {
    var make = KM.element;
    var input = make("input", { type: "range", min: 0, max: spec.labels.length - 1, step: 1, value: spec.start, "data-control": "frame" });
    var output = make("output", {});
    function follow() {
      output.textContent = spec.labels[input.value];
      input.setAttribute("aria-valuetext", output.textContent);
      show(Number(input.value));
    }
    input.addEventListener("input", follow);
    output.textContent = spec.labels[spec.start];
    input.setAttribute("aria-valuetext", output.textContent);
    var label = make("label", { class: "km-label" }, make("span", {}, spec.label), output, input);
    return make("div", { class: "km-controls" }, make("div", { class: "km-control km-wide" }, label));
  }

  function draw(element) {
    var figure = JSON.parse(element.querySelector("script").textContent);
    var target = element.querySelector(".km-picture");
    var defaults = { xaxis: {}, yaxis: {}, margin: { l: 56, r: 16, t: 48, b: 48 } };  // plotly's margins fill half a phone
    var layout = Object.assign(defaults, figure.layout, { autosize: true });
    delete layout.width;
    var words = layout.meta || {};
    if (words.title) {
      var title = KM.element("p", { class: "km-title" }, words.title);
      element.insertBefore(title, target);
    }
    function show(place) {
      title.textContent = words.titles[place];
      Plotly.animate(target, [String(place)], { mode: "immediate", frame: { duration: 0, redraw: true }, transition: { duration: 0 } });
    }
    if (words.slider) element.insertBefore(slider(words.slider, show), target);
    function follow() { return Plotly.relayout(target, themeOf(layout)); }
    Plotly.newPlot(target, figure.data, layout, figure.config)
      .then(function () { return figure.frames && Plotly.addFrames(target, figure.frames); })
      .then(follow);
    new MutationObserver(follow).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  document.addEventListener("DOMContentLoaded", function () { document.querySelectorAll(".km-plotly").forEach(draw); });
})();
