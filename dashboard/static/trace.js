// The waterfall: folding, choosing a span by click or by j and k, the address follows the chosen span.
const list = document.querySelector("#waterfall");
const rows = () => [...list.children];
const depth = (row) => Number(row.dataset.depth);

function below(row) {
  const all = rows(), from = all.indexOf(row) + 1;
  const end = all.findIndex((other, at) => at >= from && depth(other) <= depth(row));
  return all.slice(from, end < 0 ? all.length : end);
}

function fold(row, open) {
  const toggle = row.querySelector("button.toggle");
  if (!toggle) return;
  toggle.setAttribute("aria-expanded", String(open));
  let closedAt = Infinity;
  for (const other of below(row)) {
    if (depth(other) <= closedAt) closedAt = Infinity;
    other.hidden = !open || depth(other) > closedAt;
    if (open && closedAt === Infinity && other.querySelector('button.toggle[aria-expanded="false"]')) closedAt = depth(other);
  }
}

function choose(row) {
  for (const other of rows()) other.classList.toggle("chosen", other === row);
  const address = new URL(location);
  address.searchParams.set("span", new URL(row.querySelector("a").href).searchParams.get("span"));
  history.replaceState(null, "", address);
}

list.addEventListener("click", (event) => {
  const toggle = event.target.closest("button.toggle");
  const row = event.target.closest("li");
  if (toggle) fold(row, toggle.getAttribute("aria-expanded") === "false");
  else if (event.target.closest("a")) choose(row);
});
list.addEventListener("chosen", (event) => event.target.querySelector("a")?.click());
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select")) return;
  const row = list.querySelector(".chosen");
  if (row && event.key === "ArrowLeft") fold(row, false);
  else if (row && event.key === "ArrowRight") fold(row, true);
});
// Only the list scrolls to the chosen span: the facts above stay in view.
const first = list.querySelector(".chosen"), pane = list.closest(".waterfall");
if (first && pane.scrollHeight > pane.clientHeight) pane.scrollTop = Math.max(0, first.offsetTop - pane.clientHeight / 2);

// A span that is in the list is chosen there; one that is folded away is opened by its address.
function jump(id) {
  const row = list.querySelector(`[data-span="${CSS.escape(id)}"]`);
  if (!row) return location.assign(`${location.pathname}?span=${id}`);
  for (let above = row; above?.hidden;) {
    above = rows().slice(0, rows().indexOf(above)).findLast((other) => depth(other) < depth(above));
    if (above) fold(above, true);
  }
  row.querySelector("a").click();
  row.scrollIntoView({ block: "center" });
}

const problems = list.dataset.problems.split(" ").filter(Boolean);
function nextProblem(step) {
  if (!problems.length) return;
  const now = new URL(location).searchParams.get("span") ?? list.querySelector(".chosen")?.dataset.span;
  const at = problems.indexOf(now);
  jump(problems[at < 0 ? (step > 0 ? 0 : problems.length - 1) : (at + step + problems.length) % problems.length]);
}

// Zoom: each lane shows the part of the trace that the chosen span takes.
let zoomed = false;
function zoom() {
  const bar = list.querySelector(".chosen .lane rect");
  zoomed = !zoomed && Boolean(bar);
  const width = zoomed ? Math.max(Number(bar.getAttribute("width")) * 1.1, 4) : 1000;
  const from = zoomed ? Math.max(0, Number(bar.getAttribute("x")) - width * 0.05) : 0;
  for (const lane of list.querySelectorAll(".lane")) lane.setAttribute("viewBox", `${from} 0 ${width} 12`);
  document.querySelector("[data-zoom]").setAttribute("aria-pressed", String(zoomed));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-jump]");
  if (link) { event.preventDefault(); jump(link.dataset.jump); }
  if (event.target.closest("[data-next-problem]")) nextProblem(1);
  if (event.target.closest("[data-zoom]")) zoom();
  const folding = event.target.closest("[data-fold-all]");
  if (folding) {
    const open = folding.getAttribute("aria-pressed") === "true";
    for (const row of rows()) if (depth(row) > 0) row.hidden = !open;
    for (const toggle of list.querySelectorAll("button.toggle")) toggle.setAttribute("aria-expanded", String(open));
    folding.setAttribute("aria-pressed", String(!open));
    folding.textContent = open ? "Fold" : "Unfold";
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "E" && !event.target.closest("input, textarea, select")) nextProblem(-1);
});

// Coming from a list, newer and older are its neighbours, with its search and facets.
const kept = JSON.parse(sessionStorage.getItem("traces") || "null");
const at = kept ? kept.ids.indexOf(location.pathname.split("/").pop()) : -1;
if (at >= 0) {
  for (const [key, id] of [["n", kept.ids[at - 1]], ["o", kept.ids[at + 1]]]) {
    const link = document.querySelector(`a[data-key="${key}"]`);
    link.hidden = !id;
    if (id) link.href = `${document.documentElement.dataset.prefix ?? ""}/traces/${id}${location.search.replace(/([?&])span=[^&]*&?/, "$1")}`;
  }
  const back = document.querySelector("[data-list]");
  back.href = kept.address;
  back.textContent = `${at + 1} of ${kept.ids.length} in the list`;
}
