// Searches the sections of all pages (search.js) as somebody types. Nothing is sent anywhere.
"use strict";
const input = document.getElementById("search");
const found = document.getElementById("found");
const article = document.querySelector("article");
const MOST = 40;

function rank(section, words) {
  const [, page, title, text] = section.map((each) => each.toLowerCase());
  let points = 0;
  for (const word of words) {
    if (title.includes(word)) points += 20;
    else if (page.includes(word)) points += 5;
    else if (text.includes(word)) points += 1;
    else return 0;
  }
  return points;
}

function excerpt(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - 60);
  return (at ? "… " : "") + text.slice(at, at + 200);
}

function show(results, word) {
  found.replaceChildren();
  const said = document.createElement("p");
  said.textContent = results.length ? `${results.length} sections` : "nothing has all these words";
  found.append(said);
  for (const [address, page, title, text] of results.slice(0, MOST)) {
    const entry = document.createElement("p");
    const link = document.createElement("a");
    link.href = document.body.dataset.up + address;
    link.textContent = title === page ? page : `${page}: ${title}`;
    const words = document.createElement("span");
    words.textContent = excerpt(text, word);
    entry.append(link, words);
    found.append(entry);
  }
}

function search() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  found.hidden = !words.length;
  article.hidden = Boolean(words.length);
  if (!words.length) return;
  const ranked = SECTIONS.map((section) => [rank(section, words), section]).filter(([points]) => points);
  ranked.sort((one, other) => other[0] - one[0]);
  show(ranked.map(([, section]) => section), words[0]);
}

input.disabled = false;
input.addEventListener("input", search);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== input) {
    event.preventDefault();
    input.focus();
  }
});
found.addEventListener("click", () => {
  input.value = "";
  search();
});
