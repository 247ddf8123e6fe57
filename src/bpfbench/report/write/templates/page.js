"use strict";
// Makes figures interactive on demand: Plotly lies in the page compressed, and is unpacked when first asked for.
(() => {
  // What is folded is printed all the same, and folded again afterwards.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
  });

  if (!("DecompressionStream" in window)) return;

  let library;
  const load = () => (library ??= unpack());

  async function unpack() {
    const packed = atob(document.getElementById("plotly").textContent.trim());
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    return window.Plotly;
  }

  const button = (text, parent) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-pressed", "false");
    parent.append(made);
    return made;
  };

  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const picture = figure.querySelector("img, .absent");
    const tools = document.createElement("div");
    tools.className = "tools";
    figure.append(tools);
    const explore = button("Explore", tools);
    const log = button("Logarithmic scale", tools);
    log.hidden = true;
    let plot, ranges;

    explore.addEventListener("click", async () => {
      const on = explore.getAttribute("aria-pressed") !== "true";
      explore.disabled = true;
      if (on && !plot) {
        const Plotly = await load();
        const { data, layout } = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
        ranges = Object.fromEntries(Object.entries(layout).map(([name, axis]) => [name, axis.range?.slice()]));
        plot = document.createElement("div");
        plot.setAttribute("role", "group");
        plot.setAttribute("aria-label", `${figure.querySelector("figcaption b").textContent} Interactive.`);
        picture.after(plot);
        figure.classList.add("wide");
        await Plotly.newPlot(plot, data, layout, { responsive: true, displayModeBar: false });
      }
      figure.classList.toggle("wide", on);
      picture.hidden = on;
      plot.hidden = !on;
      log.hidden = !on;
      explore.textContent = on ? "Back to the picture" : "Explore";
      explore.setAttribute("aria-pressed", String(on));
      explore.disabled = false;
      if (on) window.Plotly.Plots.resize(plot);
    });

    log.addEventListener("click", () => {
      const on = log.getAttribute("aria-pressed") !== "true";
      const axes = Object.keys(plot.layout).filter((key) => /^yaxis\d*$/.test(key));
      const change = Object.fromEntries(axes.flatMap((axis) => [
        [`${axis}.type`, on ? "log" : "linear"],
        on || !ranges[axis] ? [`${axis}.autorange`, true] : [`${axis}.range`, ranges[axis]],
      ]));
      window.Plotly.relayout(plot, change);
      log.setAttribute("aria-pressed", String(on));
    });
  }
})();
