"use strict";
// Hints beside what is pointed at, and one filter for all figures and tables. Without it the page lacks nothing else.
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
  const show = (event) => {
    const about = event.target.closest?.("[data-hint]");
    hint.hidden = !about;
    if (!about) return;
    const [first, ...rest] = about.dataset.hint.split("\n");
    hint.replaceChildren();
    make("b", hint, first);
    for (const line of rest) make("span", hint, line);
    const x = Math.min(event.pageX + 14, scrollX + document.documentElement.clientWidth - hint.offsetWidth - 8);
    const above = event.clientY > innerHeight / 2;
    hint.style.left = `${Math.max(scrollX + 8, x)}px`;
    hint.style.top = `${event.pageY + (above ? -14 - hint.offsetHeight : 14)}px`;
  };
  for (const event of ["pointermove", "pointerdown"]) document.addEventListener(event, show);

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
  }
})();
