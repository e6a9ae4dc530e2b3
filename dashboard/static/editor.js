// The SQL editor: a textarea with colours drawn behind it and completion of tables, columns and functions.
const area = document.querySelector("#query");
const paint = document.querySelector("#paint");
const list = document.querySelector("#completions");
const words = JSON.parse(document.querySelector("#words").textContent);
const kinds = Object.fromEntries(words.map(([word, kind]) => [word.toLowerCase(), kind]));
const keywords = new Set(("select from where group by order limit having with as and or not in is null between like ilike join left inner on using union all distinct "
  + "case when then else end interval asc desc array final prewhere sample offset settings explain over partition rows format").split(" "));
const token = /(--[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^'\\]|\\.|'')*'?)|(\{\w+:[^}]*\})|(\b\d+(?:\.\d+)?\b)|([A-Za-z_]\w*)|([\s\S])/g;

function colour() {
  paint.replaceChildren();
  for (const [text, comment, string, parameter, number, word] of area.value.matchAll(token)) {
    const kind = comment ? "comment" : string ? "string" : parameter ? "parameter" : number ? "number"
      : word && keywords.has(word.toLowerCase()) ? "keyword" : word ? kinds[word.toLowerCase()] : "";
    if (!kind) { paint.append(text); continue; }
    const piece = document.createElement("span");
    piece.className = `t-${kind}`;
    piece.textContent = text;
    paint.append(piece);
  }
  paint.append("\n");
  area.rows = Math.min(24, Math.max(5, area.value.split("\n").length + 1));
}

const typed = () => /[A-Za-z_][\w.]*$/.exec(area.value.slice(0, area.selectionStart))?.[0] ?? "";

function suggest() {
  const start = typed().split(".").pop().toLowerCase();
  const found = start.length < 2 ? [] : words.filter(([word]) => word.toLowerCase().startsWith(start) && word.toLowerCase() !== start).slice(0, 9);
  list.replaceChildren(...found.map(([word, kind, note], at) => {
    const item = document.createElement("li");
    item.id = `completion-${at}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(at === 0));
    item.dataset.word = word;
    item.append(word, Object.assign(document.createElement("small"), { textContent: note || kind }));
    return item;
  }));
  list.hidden = !found.length;
  area.setAttribute("aria-expanded", String(!list.hidden));
  if (found.length) { area.setAttribute("aria-activedescendant", "completion-0"); place(); }
  else area.removeAttribute("aria-activedescendant");
}

function place() {
  const before = area.value.slice(0, area.selectionStart).split("\n");
  const style = getComputedStyle(area), line = parseFloat(style.lineHeight);
  list.style.left = `calc(${before.at(-1).length - typed().split(".").pop().length}ch + 14px - ${area.scrollLeft}px)`;
  list.style.top = `${before.length * line + 12 - area.scrollTop}px`;
}

function take(word) {
  const start = typed().split(".").pop();
  area.setRangeText(word, area.selectionStart - start.length, area.selectionStart, "end");
  list.hidden = true;
  colour();
}

function step(by) {
  const items = [...list.children], at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  const to = (at + by + items.length) % items.length;
  items.forEach((item, index) => item.setAttribute("aria-selected", String(index === to)));
  area.setAttribute("aria-activedescendant", `completion-${to}`);
}

area.addEventListener("input", () => { colour(); suggest(); });
area.addEventListener("scroll", () => { paint.scrollLeft = area.scrollLeft; paint.scrollTop = area.scrollTop; });
area.addEventListener("blur", () => setTimeout(() => { list.hidden = true; }, 150));
list.addEventListener("mousedown", (event) => { const item = event.target.closest("li"); if (item) { event.preventDefault(); take(item.dataset.word); } });
area.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); area.form.requestSubmit(); return; }
  if (list.hidden) return;
  if (event.key === "ArrowDown") step(1);
  else if (event.key === "ArrowUp") step(-1);
  else if (event.key === "Tab" || event.key === "Enter") take(list.querySelector('[aria-selected="true"]').dataset.word);
  else if (event.key === "Escape") { list.hidden = true; event.stopPropagation(); }
  else return;
  event.preventDefault();
});
colour();
