"use strict";
// Hints beside what is pointed at, by mouse, finger or key, and one filter for all figures and tables. Without it the
// page lacks nothing else.
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

  const make = (name, parent, text = "", attributes = {}) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.textContent = text;
    parent.append(made);
    return made;
  };

  const hint = make("div", document.body, "", { className: "hint", hidden: true });
  hint.setAttribute("role", "status");
  for (const title of document.querySelectorAll("figure svg title")) {
    title.parentNode.dataset.hint = title.textContent;
    title.remove();
  }
  const say = (about, clientX, clientY) => {
    hint.hidden = !about;
    if (!about) return;
    const [first, ...rest] = about.dataset.hint.split("\n");
    hint.replaceChildren();
    make("b", hint, first);
    for (const line of rest) make("span", hint, line);
    const x = Math.min(clientX + 14, document.documentElement.clientWidth - hint.offsetWidth - 8);
    const above = clientY > innerHeight / 2;
    hint.style.left = `${scrollX + Math.max(8, x)}px`;
    hint.style.top = `${scrollY + clientY + (above ? -14 - hint.offsetHeight : 14)}px`;
  };
  for (const event of ["pointermove", "pointerdown"]) {
    document.addEventListener(event, (own) => say(own.target.closest?.("[data-hint]"), own.clientX, own.clientY));
  }

  // A panel is one stop of the keyboard; the arrows go from mark to mark in it.
  const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
  for (const panel of document.querySelectorAll("figure svg[role=img]")) {
    if (!panel.querySelector("[data-hint]")) continue;
    let at = -1;
    const go = (step) => {
      const marks = [...panel.querySelectorAll("[data-hint]")].filter((own) => !own.closest(".left-out"));
      if (!marks.length) return;
      at = (Math.max(at, step < 0 ? 0 : -1) + step + marks.length) % marks.length;
      const box = (marks[at].querySelector(".mark") ?? marks[at]).getBoundingClientRect();
      say(marks[at], box.right, box.bottom);
    };
    panel.tabIndex = 0;
    panel.setAttribute("aria-label", `${panel.getAttribute("aria-label")}; arrow keys go through its marks`);
    panel.addEventListener("focus", () => panel.matches(":focus-visible") && go(at < 0 ? 1 : 0));
    panel.addEventListener("blur", () => say(null));
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") say(null);
      if (!(event.key in STEPS)) return;
      event.preventDefault();
      go(STEPS[event.key]);
    });
  }

  const evidence = document.getElementById("evidence");
  if (!evidence) return;
  const chapters = [...evidence.querySelectorAll('[id^="workload-"]')].filter((own) => own.matches(".chapter"));
  const heading = (chapter) => chapter.querySelector("h3, h4, summary").textContent;
  const values = (key) => [...new Set([...evidence.querySelectorAll(`[data-${key}]`)].map((own) => own.dataset[key]))];
  const choices = {
    workload: [...new Set(chapters.map(heading))],
    tool: values("tool"),
    setup: values("setup"),
  };
  if (Object.values(choices).every((own) => own.length < 2)) return;

  const left = { workload: new Set(), tool: new Set(), setup: new Set() };
  const filter = make("form", evidence, "", { className: "filter" });
  filter.setAttribute("aria-label", "Show in all figures and tables");
  evidence.querySelector("h2").after(filter);
  for (const [kind, own] of Object.entries(choices)) {
    if (own.length < 2) continue;
    const group = make("fieldset", filter);
    make("legend", group, kind);
    for (const value of own) {
      const label = make("label", group);
      const box = make("input", label, "", { type: "checkbox", checked: true });
      label.append(value);
      box.addEventListener("change", () => {
        left[kind][box.checked ? "delete" : "add"](value);
        apply();
      });
    }
  }

  function apply() {
    for (const chapter of chapters) chapter.hidden = left.workload.has(heading(chapter));
    for (const own of evidence.querySelectorAll("[data-tool]")) own.hidden = left.tool.has(own.dataset.tool);
    for (const own of evidence.querySelectorAll("[data-setup]")) {
      own.classList.toggle("left-out", left.setup.has(own.dataset.setup));
    }
    for (const row of document.querySelectorAll("tbody tr")) {
      row.hidden = left.setup.has(row.cells[0].firstChild?.textContent.trim());
    }
    for (const panel of evidence.querySelectorAll("svg[data-lane]")) close(panel, Number(panel.dataset.lane));
  }

  // Who is left out leaves no gap: lanes move up, and what is behind and below them follows.
  function close(panel, lane) {
    const lanes = [...panel.querySelectorAll(".lane")];
    const shown = lanes.filter((own) => !own.classList.contains("left-out"));
    const less = (lanes.length - shown.length) * lane;
    const [, , width, height] = (panel.dataset.size ??= panel.getAttribute("viewBox")).split(" ").map(Number);
    const bottom = height - 20;
    shown.forEach((own, at) => own.setAttribute("transform", `translate(0 ${(at - lanes.indexOf(own)) * lane})`));
    panel.querySelector(".below").setAttribute("transform", `translate(0 ${-less})`);
    panel.querySelector(".behind").setAttribute("transform", `scale(1 ${(bottom - less) / bottom})`);
    panel.setAttribute("viewBox", `0 0 ${width} ${height - less}`);
  }
})();
