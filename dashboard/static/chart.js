// Draws each chart from the table beside it, so that the numbers and the picture are one: uPlot on [data-chart].
// The first column is the time; a heading with data-band="low|high" gives the band, data-bars draws bars below.
const charts = [];
const css = (name) => {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
};
const cell = (row, at) => {
  const raw = row.cells[at]?.dataset.v;
  return raw === undefined || raw === "" ? null : Number(raw);
};

function read(table) {
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...table.tBodies[0].rows];
  const time = rows.map((row) => Date.parse(row.cells[0].dataset.v) / 1000);
  const column = (wanted) => heads.map((head, at) => ({ head, at })).filter(({ head }) => wanted(head)).map(({ head, at }) =>
    ({ label: head.textContent.trim(), values: rows.map((row) => cell(row, at)), colour: head.dataset.colour }));
  return { time, lines: column((head) => "line" in head.dataset), low: column((head) => head.dataset.band === "low")[0],
    high: column((head) => head.dataset.band === "high")[0], bars: column((head) => "bars" in head.dataset) };
}

function marks(figure) {
  return [...figure.querySelectorAll("[data-mark]")].map((item) => ({ at: Date.parse(item.dataset.mark) / 1000, text: item.textContent.trim() }));
}

const written = (value) => value === null || value === undefined ? "" : Math.abs(value) >= 1e4 ? `${Number((value / 1e3).toPrecision(3))} k` : String(Number(value.toPrecision(3)));
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const clock = () => ({ label: "", value: (u, at) => at ? moment.format(at * 1e3) : "" });

function axes(small, unit) {
  const quiet = { stroke: css("soft"), grid: { stroke: css("line"), width: 1 }, ticks: { show: false }, font: "11px Inter" };
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  const time = (u, splits) => splits.map((at) => (splits.at(-1) - splits[0] > 1.5 * 86400 || at % 86400 === 0 ? day : hour).format(at * 1e3));
  return [{ ...quiet, show: !small, grid: { show: false }, values: time, size: 28 }, { ...quiet, size: 44, label: small ? "n" : unit, labelSize: 14, labelGap: 0, labelFont: "11px Inter", values: (u, splits) => splits.map(written) }];
}

function limits(figure) {
  return [...figure.querySelectorAll("[data-limit]")].map((item) => Number(item.dataset.limit));
}

// Changes as upright lines, limits of alert rules as level ones.
function lines(list, levels) {
  return { hooks: { draw: [(u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.setLineDash([2, 3]);
    ctx.strokeStyle = css("bad");
    for (const level of levels) {
      const y = u.valToPos(level, "y", true);
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.strokeStyle = css("warn");
    ctx.setLineDash([4, 4]);
    for (const mark of list) {
      const x = u.valToPos(mark.at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }] } };
}

// Shares and scores: the axis fits what is drawn, so that a fall is seen; y=full in the address gives 0 to 1.
function fitted(known, found, levels) {
  if (!known.length || !known.every((value) => value >= 0 && value <= 1)) return null;
  if (new URL(location).searchParams.get("y") === "full") return [0, 1.03];
  const all = [...known, ...levels.filter((value) => value >= 0 && value <= 1)], low = Math.min(...all), high = Math.max(...all);
  const room = Math.max((high - low) * 0.25, 0.01);
  return [low < 0.25 ? 0 : Math.max(0, low - room), Math.min(1.03, high + room)];
}

function line(figure, place, found, sync) {
  const palette = ["accent", "retrieval", "tool", "agent", "good", "bad"].map(css);
  const series = [clock()], data = [found.time], bands = [];
  if (found.low && found.high) {
    const interval = (u, value, at, index) => index === null || value === null ? "" : `[${written(u.data[2][index])}, ${written(value)}]`;
    series.push({ label: "95 % interval", value: interval, stroke: "transparent", points: { show: false } }, { label: "low", class: "quiet-series", stroke: "transparent", points: { show: false } });
    data.push(found.high.values, found.low.values);
    bands.push({ series: [1, 2], fill: css("accent-ground") });
  }
  found.lines.forEach((one, at) => {
    series.push({ label: one.label, value: (u, value) => written(value), stroke: one.colour ? css(one.colour) : palette[at % palette.length], width: 2, dash: at < palette.length ? undefined : [6, 4], spanGaps: false, points: { size: 5 } });
    data.push(one.values);
  });
  const known = found.lines.flatMap((one) => one.values).filter((value) => value !== null);
  const scale = fitted(known, found, limits(figure));
  draw(place, figure.querySelector(".tall") ? 260 : 210, series, data, { scales: scale ? { y: { range: scale } } : {}, bands, plugins: [lines(marks(figure), limits(figure))], sync, unit: figure.dataset.unit });
}

function bars(figure, place, found, sync, small) {
  const series = [clock()], data = [found.time];
  found.bars.forEach((one, at) => {
    series.push({ label: one.label, value: (u, value) => written(value), fill: css(one.colour || (at ? "warn" : "plain")), width: 0, paths: uPlot.paths.bars({ size: [0.8, 40] }), points: { show: false } });
    data.push(one.values);
  });
  draw(place, small ? 84 : 210, series, data, { sync, small, unit: figure.dataset.unit, scales: { y: { range: (u, low, high) => [0, (high || 1) * 1.05] } } });
}

// What is dragged over becomes the page's range; the address keeps everything else.
function choose(u) {
  if (u.select.width < 6) return;
  const at = (x) => new Date(u.posToVal(x, "x") * 1e3).toISOString().replace(/\.\d+Z$/, "Z");
  const address = new URL(location);
  for (const name of ["since", "skip"]) address.searchParams.delete(name);
  address.searchParams.set("from", at(u.select.left));
  address.searchParams.set("to", at(u.select.left + u.select.width));
  location.assign(address);
}

function draw(place, height, series, data, more) {
  const options = { width: place.clientWidth, height, padding: [8, 26, 6, 0], series, bands: more.bands, plugins: more.plugins, axes: axes(more.small, more.unit),
    scales: { x: { time: true }, ...more.scales }, cursor: { sync: { key: more.sync }, drag: { x: true, y: false, setScale: false } }, hooks: { setSelect: [choose] }, legend: { live: true, markers: { fill: (u, at) => more.bands?.length && at === 1 ? css("accent-ground") : u.series[at].fill?.(u, at) ?? u.series[at].stroke?.(u, at) } }, tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1e3), "Etc/UTC") };
  charts.push(new uPlot(options, data, place));
}

function all() {
  while (charts.length) charts.pop().destroy();
  document.querySelectorAll("[data-chart]").forEach((figure, at) => {
    const found = read(figure.querySelector("table"));
    const [top, below] = figure.querySelectorAll(".plot");
    if (found.time.length < 1) return;
    if (found.lines.length) line(figure, top, found, figure.dataset.sync ?? `c${at}`);
    if (found.bars.length) bars(figure, found.lines.length ? below : top, found, figure.dataset.sync ?? `c${at}`, found.lines.length > 0);
    figure.dataset.drawn = "true";
  });
}
all();
document.addEventListener("theme", all);
document.addEventListener("htmx:after:swap", () => { if (document.querySelector("[data-chart]:not([data-drawn])")) all(); });
let waiting = 0;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(all, 150); });
