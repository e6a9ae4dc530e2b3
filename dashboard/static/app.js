// What every page shares: keys, filters that apply themselves, the theme, forms that carry the CSRF token.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const writing = (element) => element?.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (form) form.requestSubmit();
});

// Empty fields would only make the address long.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "get") return;
  for (const field of event.target.elements) if (field.name && field.value === "") field.disabled = true;
});

document.addEventListener("htmx:config:request", (event) => {
  event.detail.ctx.request.headers["X-CSRF-Token"] = $("meta[name=csrf]").content;
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-toggle]")) toggleTheme();
  if (event.target.closest("[data-help]")) $("#keys").showModal();
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy);
  for (const open of $$("details.pop[open]")) if (!open.contains(event.target)) open.open = false;
});

function toggleTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const theme = dark ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=strict`;
  document.dispatchEvent(new Event("theme"));
}

let rowAt = -1;
function moveRow(step) {
  const rows = $$("[data-row]").filter((row) => row.offsetParent !== null);
  if (!rows.length) return;
  const focused = rows.findIndex((row) => row.classList.contains("chosen"));
  rowAt = Math.max(0, Math.min(rows.length - 1, (focused < 0 ? (step > 0 ? -1 : 0) : focused) + step));
  rows.forEach((row, at) => row.classList.toggle("chosen", at === rowAt));
  rows[rowAt].scrollIntoView({ block: "nearest" });
  rows[rowAt].dispatchEvent(new CustomEvent("chosen", { bubbles: true }));
}

const places = { o: "/", t: "/traces", c: "/cost", e: "/explore", p: "/prompts", v: "/sessions", s: "/scores", d: "/drift", l: "/alerts", r: "/review", q: "/sql", a: "/annotate", x: "/status" };
// The path of [dashboard] public_url: pages may be under one behind a proxy.
const prefix = document.documentElement.dataset.prefix ?? "";
// Where the rail leads: its links carry the range, project, environment and service of this page.
const placed = (path) => $$(".rail nav a").find((link) => new URL(link.href).pathname === prefix + path)?.href ?? prefix + path;
let going = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    for (const open of $$("details.pop[open]")) open.open = false;
    document.activeElement?.blur();
    return;
  }
  if (writing(event.target) || $("dialog[open]")) return;
  if (going) {
    going = false;
    const view = $$(".rail [data-view]")[Number(event.key) - 1];
    if (places[event.key]) location.assign(placed(places[event.key]));
    else if (view) location.assign(view.href);
    return;
  }
  const pressed = $(`[data-key="${CSS.escape(event.key)}"]:not([hidden])`);
  if (pressed) pressed.matches("input, textarea") ? pressed.focus() : pressed.click();
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
  else if (event.key === "g") going = true;
  else if (event.key === "?") $("#keys").showModal();
  else if (event.key === "Enter" && !event.target.closest("a, button, summary")) $(".chosen a[href]")?.click();
  else if (event.key === "/") $("input[type=search]")?.focus();
  else return;
  event.preventDefault();
});

// What scrolls must be reachable by key.
function reach() {
  for (const region of $$(".scroll")) {
    const scrolls = region.scrollWidth > region.clientWidth + 1 || region.scrollHeight > region.clientHeight + 1;
    if (scrolls) region.tabIndex = 0;
  }
}
reach();
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);
document.addEventListener("htmx:after:swap", reach);

// Times in the reader's own zone are one choice away; the choice stands in the address.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
for (const select of $$("[data-zones]")) {
  if (zone && zone !== "UTC" && ![...select.options].some((option) => option.value === zone)) select.append(new Option(`${zone} (here)`, zone));
}
document.addEventListener("change", (event) => {
  const go = event.target.closest("select[data-go]");
  if (go) location.assign(prefix + go.value);
  const columns = event.target.closest("[data-columns] input[type=checkbox]:not([name])");
  if (columns) {
    const field = columns.form.elements.columns, names = field.value.split(",").filter(Boolean);
    field.value = (columns.checked ? [...names, columns.value] : names.filter((name) => name !== columns.value)).join(",");
  }
});

// Completion of a filter: keys first, then the values of the key that is written.
let completing = 0;
document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-complete]");
  if (!field) return;
  clearTimeout(completing);
  completing = setTimeout(async () => {
    const asked = new URL(`${prefix}/explore/words`, location);
    asked.search = location.search;
    asked.searchParams.set("written", field.value);
    const answer = await fetch(asked);
    if (!answer.ok) return;
    const { words } = await answer.json();
    field.list.replaceChildren(...words.map((word) => Object.assign(document.createElement("option"), { value: word })));
  }, 120);
});

// Long texts unfold; a message is read as it is, or as Markdown, made of text nodes only.
document.addEventListener("click", (event) => {
  const unfold = event.target.closest("[data-unfold]");
  if (unfold) { unfold.parentElement.classList.add("open"); unfold.remove(); }
  const toggle = event.target.closest("[data-markdown-toggle]");
  if (!toggle) return;
  const on = toggle.getAttribute("aria-pressed") !== "true";
  toggle.setAttribute("aria-pressed", String(on));
  for (const text of $$("[data-markdown]", toggle.closest("section, #span, main"))) {
    text.dataset.raw ??= text.textContent;
    if (on) markdown(text, text.dataset.raw); else text.textContent = text.dataset.raw;
  }
});

function markdown(place, raw) {
  place.replaceChildren();
  let code = null;
  for (const line of raw.split("\n")) {
    if (/^\s*```/.test(line)) { code = code ? null : place.appendChild(document.createElement("code")); if (code) code.className = "fence"; continue; }
    if (code) { code.append(`${line}\n`); continue; }
    const heading = /^(#{1,6})\s+(.*)$/.exec(line), item = /^\s*(?:[-*]|\d+\.)\s+(.*)$/.exec(line);
    const row = place.appendChild(document.createElement("span"));
    row.className = heading ? "md-head" : item ? "md-item" : "md-line";
    for (const [piece, bold, mono] of (heading?.[2] ?? item?.[1] ?? line).matchAll(/\*\*([^*]+)\*\*|`([^`]+)`|[^*`]+|[*`]/g)) {
      if (!bold && !mono) { row.append(piece); continue; }
      row.appendChild(document.createElement(bold ? "b" : "code")).textContent = bold ?? mono;
    }
  }
}

// An area that is marked over the points of the list: its times and durations become filters of "what is different".
document.addEventListener("pointerdown", (event) => {
  const strip = event.target.closest("svg[data-brush]");
  if (!strip || event.target.closest("a") || event.button) return;
  event.preventDefault();
  const box = strip.getBoundingClientRect(), area = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const from = { x: event.clientX - box.left, y: event.clientY - box.top };
  let to = from;
  area.setAttribute("class", "brush");
  strip.append(area);
  const move = (moved) => {
    to = { x: Math.max(0, Math.min(box.width, moved.clientX - box.left)), y: Math.max(0, Math.min(box.height, moved.clientY - box.top)) };
    for (const [name, value] of [["x", Math.min(from.x, to.x)], ["y", Math.min(from.y, to.y)], ["width", Math.abs(to.x - from.x)], ["height", Math.abs(to.y - from.y)]]) area.setAttribute(name, value);
  };
  const end = () => {
    removeEventListener("pointermove", move);
    area.remove();
    if (Math.abs(to.x - from.x) < 6 || Math.abs(to.y - from.y) < 6) return;
    const first = Date.parse(strip.dataset.first), last = Date.parse(strip.dataset.last), low = Number(strip.dataset.low), high = Number(strip.dataset.high);
    const time = (x) => new Date(first + ((x / box.width) * 100 - 1) / 98 * (last - first)).toISOString();
    const long = (y) => (10 ** (low + (62 - y) / 54 * (high - low))).toPrecision(4);
    const address = new URL(strip.dataset.brush, location);
    address.searchParams.append("where", `at=${time(Math.min(from.x, to.x))}..${time(Math.max(from.x, to.x))}`);
    address.searchParams.append("where", `took_ms=${Number(long(Math.max(from.y, to.y)))}..${Number(long(Math.min(from.y, to.y)))}`);
    location.assign(address);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end, { once: true });
});
