"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // Light or dark: the system's preference, until the button is used.
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
  let theme = systemIsDark.matches ? "dark" : "light";

  // Figures are stored once; a colour `@name` is looked up in the palette.
  function painted(value, isColor = false) {
    if (typeof value === "string") {
      return isColor && value[0] === "@" ? report.palettes[theme][value.slice(1)] : value;
    }
    if (Array.isArray(value)) return value.map((entry) => painted(entry, isColor));
    if (value === null || typeof value !== "object") return value;
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, entry]) => [key, painted(entry, /color$/.test(key))]));
  }

  const hidden = new Set(); // outcomes
  const dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;

  function traces(figure) {
    return figure.data.map((trace) => {
      const trials = (trace.customdata ?? []).map((number) => report.hover[number] ?? "");
      const hovertext = trace.hovertext?.map((text, i) => text || trials[i]) ?? trials;
      const hover = hovertext.length ? { hovertext } : {};
      return { ...painted(trace), ...hover, visible: !hidden.has(trace.legendgroup) };
    });
  }

  function show(element) {
    const figure = report.plots[element.dataset.plot];
    const layout = { ...painted(figure.layout), dragmode };
    return Plotly.react(element, traces(figure), layout, {
      responsive: true,
      displayModeBar: false,
    });
  }

  // What is in view is drawn at once, the rest while the browser is idle.
  const waiting = new Set(document.querySelectorAll(".canvas"));
  const drawn = new Set();

  function draw(element) {
    if (!waiting.delete(element)) return;
    inView.unobserve(element);
    drawn.add(element);
    show(element).then(() => element.on("plotly_click", (event) => goTo(event.points[0].customdata)));
  }

  const inView = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "300px" },
  );
  waiting.forEach((element) => inView.observe(element));
  const whenIdle = window.requestIdleCallback ?? ((run) => setTimeout(run, 20));

  function drawRest() {
    const [next] = waiting;
    if (next === undefined) {
      root.dataset.drawn = "all";
      return;
    }
    draw(next);
    whenIdle(drawRest, { timeout: 300 });
  }
  whenIdle(drawRest, { timeout: 300 });

  function nameTheme() {
    byId("theme").querySelector("span").textContent = theme === "dark" ? "Light" : "Dark";
  }
  nameTheme();

  function apply(chosen) {
    theme = chosen;
    root.style.colorScheme = theme;
    nameTheme();
    drawn.forEach(show);
  }
  byId("theme").addEventListener("click", () => apply(theme === "dark" ? "light" : "dark"));
  systemIsDark.addEventListener("change", (event) => apply(event.matches ? "dark" : "light"));

  for (const button of document.querySelectorAll(".mark")) {
    button.addEventListener("click", () => {
      const outcome = button.dataset.outcome;
      const isShown = hidden.delete(outcome);
      if (!isShown) hidden.add(outcome);
      button.setAttribute("aria-pressed", String(isShown));
      drawn.forEach(show);
    });
  }

  for (const button of document.querySelectorAll(".save")) {
    button.addEventListener("click", () => {
      const element = button.closest("figure").querySelector(".canvas");
      draw(element);
      const filename = element.dataset.plot.replace(/[^\w.-]+/g, "-");
      const { offsetWidth: width, offsetHeight: height } = element;
      Plotly.downloadImage(element, { format: "svg", filename, width, height });
    });
  }

  for (const button of document.querySelectorAll(".copy")) {
    const code = button.parentElement.querySelector("code");
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(code); // without a clipboard, the user presses one key
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Selected";
      }
    });
  }

  // The table of trials.
  const body = document.querySelector("#trials tbody");
  if (body === null) return;
  const rows = [...body.rows];
  const headings = [...document.querySelectorAll("#trials th")];

  function read(row, column) {
    const cell = row.cells[column];
    const text = cell.textContent.trim();
    return { text, number: "key" in cell.dataset ? Number(cell.dataset.key) : null };
  }

  function compare(one, other) {
    if (one.number !== null && other.number !== null) return one.number - other.number;
    return one.text.localeCompare(other.text, undefined, { numeric: true });
  }

  function sort(column, sign) {
    const entries = rows.map((row) => ({ row, cell: read(row, column) }));
    entries.sort(({ cell: one }, { cell: other }) => {
      const gaps = (one.text === "") - (other.text === ""); // what is missing comes last
      return gaps || sign * compare(one, other);
    });
    body.append(...entries.map(({ row }) => row));
  }

  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(column, ascending ? 1 : -1);
    });
  });

  const operators = {
    "=": (order) => order === 0,
    "!=": (order) => order !== 0,
    "<": (order) => order < 0,
    ">": (order) => order > 0,
    "<=": (order) => order <= 0,
    ">=": (order) => order >= 0,
  };

  // `lr` means the lr of every optimizer unless a column has exactly that name.
  function columnsNamed(name) {
    const names = headings.map((heading) => heading.dataset.name.toLowerCase());
    if (names.includes(name)) return [names.indexOf(name)];
    return [...names.keys()].filter((column) => names[column].endsWith(`.${name}`));
  }

  // Return one word of the filter as a test of a row.
  function test(word) {
    const [, name, operator, value] = /^(.+?)(<=|>=|!=|=|<|>)(.+)$/.exec(word) ?? [];
    const columns = columnsNamed(name);
    if (!columns.length) return (row) => [...row.cells].some((cell) => cell.textContent.toLowerCase().includes(word));
    const wanted = Number(value);
    return (row) => columns.some((column) => {
      const cell = read(row, column);
      if (cell.text === "") return false;
      const isNumber = cell.number !== null && !Number.isNaN(wanted);
      if (isNumber) return operators[operator](cell.number - wanted);
      return operators[operator](cell.text.toLowerCase().localeCompare(value));
    });
  }

  function filter() {
    const tests = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean).map(test);
    const shown = rows.filter((row) => {
      row.hidden = !tests.every((passes) => passes(row));
      return !row.hidden;
    });
    byId("shown").textContent = `${shown.length} of ${rows.length} trials`;
  }
  byId("filter").addEventListener("input", filter);

  // Go from a link or a point of a plot to its row, even if the filter hides it.
  for (const link of document.querySelectorAll('a[href^="#trial-"]')) {
    link.addEventListener("click", () => goTo(link.hash.slice("#trial-".length)));
  }
  function goTo(number) {
    const row = byId(`trial-${number}`);
    if (row === null) return;
    row.hidden = false;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
  }
})();
