// Keeps a page up to date, and says when it is not. Without it the page is loaded again by itself.
"use strict";

(() => {
  const STALE_AFTER_MS = 6000, AGAIN_MS = 3000;
  const body = document.body;
  let heard = performance.now(), source = null, failed = false;

  // The fresh page into the shown one: what is the same stays, with focus, selection and what was opened.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || (old.dataset?.key ?? "") !== (fresh.dataset?.key ?? "")) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.dataset.keep !== undefined) return;
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open" && name !== "hidden") old.removeAttribute(name);
    for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const news = [...fresh.childNodes], olds = [...old.childNodes];
    news.forEach((one, at) => (at < olds.length ? morph(olds[at], one) : old.append(one)));
    olds.slice(news.length).forEach((one) => one.remove());
  }

  function take(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const main = fresh.querySelector("main");
    if (!main) return;
    const style = (of) => of.querySelector('link[rel="stylesheet"]')?.getAttribute("href");
    if (style(fresh) !== style(document)) { location.reload(); return; } // another release serves the page
    morph(document.querySelector("main"), main);
    const [foot, freshFoot] = [document.querySelector("footer"), fresh.querySelector("footer")];
    if (foot && freshFoot) morph(foot, freshFoot);
    document.title = fresh.title;
    filter();
    lives();
  }

  function lives() {
    heard = performance.now();
    if (failed) tell(false);
  }

  // A page that is not up to date must not look as if it were.
  function tell(isStale) {
    failed = isStale;
    body.classList.toggle("stale", isStale);
    const note = document.getElementById("stale");
    if (!note) return;
    note.hidden = !isStale;
    if (isStale) {
      note.querySelector(".since").textContent = document.querySelector("footer .t")?.textContent ?? "an earlier time"; // by the line's clock
      document.title = `NOT LIVE: ${document.title.replace(/^NOT LIVE: /, "")}`;
    }
  }

  function connect() {
    source = new EventSource(body.dataset.live);
    source.addEventListener("page", (event) => take(event.data));
    source.addEventListener("out", () => location.assign("/login"));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(instead, AGAIN_MS); // refused, not broken: it does not come again by itself
    });
  }

  // Where no stream is to be had, as where too many look, the page is asked for.
  async function instead() {
    try {
      const answer = await fetch(watched(location.href), { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect" || answer.status === 401) { location.assign("/login"); return; }
      if (answer.ok) take(await answer.text());
    } catch { /* the gateway is away; it is told when the page is old */ }
    connect();
  }

  function watched(href) {
    const address = new URL(href);
    address.searchParams.set("watching", "");
    address.hash = "";
    return address;
  }

  // Live values: rows that hold all words that were typed
  function filter() {
    const field = document.getElementById("filter");
    if (!field) return;
    field.closest("[hidden]")?.removeAttribute("hidden");
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of document.querySelectorAll("tr[data-words]")) {
      row.hidden = !words.every((word) => row.dataset.words.toLowerCase().includes(word));
      shown += !row.hidden;
    }
    const told = document.getElementById("filtered");
    if (told) told.textContent = words.length ? `${shown} shown` : "";
  }

  function trend(place) {
    const ink = getComputedStyle(body).getPropertyValue("--ink").trim(), line = getComputedStyle(body).getPropertyValue("--line").trim();
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, size: 70 };
    const hold = place.dataset.between === "hold";
    let plot = null;
    async function draw() {
      try {
        const answer = await fetch(watched(new URL(place.dataset.trend, location.href)), { redirect: "manual", cache: "no-store" });
        if (answer.type === "opaqueredirect" || answer.status === 401) { location.assign("/login"); return; }
        if (answer.ok) {
          const told = await answer.json(), data = [told.times, told.values];
          if (plot) plot.setData(data);
          else plot = new uPlot({
            width: place.clientWidth, height: 360, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), place.dataset.zone),
            axes: [{ ...axis, size: 50, space: 90, values: (_, ats) => ats.map((at) => uPlot.fmtDate("{HH}:{mm}:{ss}")(uPlot.tzDate(new Date(at * 1000), place.dataset.zone))) }, axis],
            series: [{ label: "Time", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }, { label: place.dataset.label, stroke: ink, width: 2, paths: hold ? uPlot.paths.stepped({ align: 1 }) : undefined, spanGaps: false }],
          }, data, place);
          document.getElementById("still-plot")?.setAttribute("hidden", "");
          lives();
        }
      } catch { /* as above */ }
      setTimeout(draw, 2000);
    }
    addEventListener("resize", () => plot?.setSize({ width: place.clientWidth, height: 360 }));
    draw();
  }

  document.addEventListener("input", (event) => { if (event.target.id === "filter") filter(); });
  filter();
  const place = document.getElementById("trend");
  if (place) trend(place);
  if (body.dataset.live) connect();
  if (body.dataset.live || place) setInterval(() => { if (!failed && performance.now() - heard > STALE_AFTER_MS) tell(true); }, 500);
})();
