"use strict";
// Everything from the store reaches the page as text (textContent) or as a property, never as markup.
(() => {
  const NAMES = [["before", "Before"], ["after", "After"], ["change", "Change"], ["heat", "Where"]];
  const KEPT = "mami-deid review flags";
  const BLINK = 700; // milliseconds a picture stays: under three changes a second, for photosensitive readers
  const $ = (id) => document.getElementById(id);
  const { cards, orders } = JSON.parse($("data").textContent);
  orders.worst_first = cards.map((_, number) => number);
  orders.reference = [...orders.worst_first].sort((a, b) => (cards[a].ref < cards[b].ref ? -1 : 1));

  let found = [];      // positions in `cards` that pass the filters, in the order of the page
  let page = 0;
  let current = -1;    // position in `found`
  let flags = load();
  let blinking = null; // { timer, stop }
  let picture = 1;     // of the large view: index in NAMES

  function make(tag, attributes = {}, ...children) {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  }

  function number(value, digits = 2) {
    return value === null || value === undefined ? "not measured" : value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
  }

  // Flags: references of this and other projects, kept in this browser.
  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT) || "[]");
      return new Set(Array.isArray(kept) ? kept : []);
    } catch { return new Set(); }
  }

  function flag(position) {
    const ref = cards[found[position]].ref;
    const kept = load(); // another window may have changed them
    flags = new Set([...kept, ...flags]);
    if (flags.has(ref)) flags.delete(ref); else flags.add(ref);
    try {
      localStorage.setItem(KEPT, JSON.stringify([...flags]));
    } catch { $("notice").textContent = "This browser keeps no flags: export them before you close the page."; }
    showFlags();
  }

  function flagged() { return cards.filter((card) => flags.has(card.ref)); }

  function showFlags() {
    $("flag-count").textContent = flagged().length;
    $("export").disabled = !flagged().length;
    for (const card of document.querySelectorAll(".card")) {
      const on = flags.has(cards[card.dataset.number].ref);
      card.classList.toggle("flagged", on);
      const button = card.querySelector(".flag");
      button.setAttribute("aria-pressed", on);
      button.textContent = on ? "Flagged" : "Flag";
    }
    if ($("large").open) $("large-flag").setAttribute("aria-pressed", flags.has(cards[found[current]].ref));
  }

  function exportFlags() {
    const lines = ["ref", ...flagged().map((card) => card.ref)].join("\n") + "\n";
    const address = URL.createObjectURL(new Blob([lines], { type: "text/csv" }));
    make("a", { href: address, download: "flagged.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  // Filters. What was not measured passes a threshold: nobody knows that it is below.
  function cosines(card) {
    const wanted = $("critic").value;
    return card.critics.filter(([name, , , heldOut]) =>
      wanted === "*" || (wanted === "held-out" ? heldOut : wanted === "critic " + name)).map(([, cosine]) => cosine);
  }

  function passes(card) {
    const words = $("search").value.trim().toLowerCase();
    const status = $("status").value;
    const alike = Number($("alike").value), changed = Number($("changed").value);
    return (!words || card.ref.includes(words) || card.output.toLowerCase().includes(words))
      && ($("modality").value === "*" || $("modality").value === "=" + card.modality)
      && ($("model").value === "*" || $("model").value === "=" + card.model)
      && (!status || { released: !card.held, held: !!card.held, flagged: flags.has(card.ref), unflagged: !flags.has(card.ref) }[status])
      && ((alike <= -1 && $("critic").value === "*") || cosines(card).some((c) => c === null || c >= alike))
      && (changed <= 0 || card.findings.some(([, a, b]) => a === null || b === null || Math.abs(b - a) >= changed));
  }

  function update() {
    $("alike-shown").textContent = Number($("alike").value) <= -1 ? "any" : number(Number($("alike").value));
    $("changed-shown").textContent = Number($("changed").value) <= 0 ? "any" : number(Number($("changed").value));
    found = orders[$("sort").value].filter((position) => passes(cards[position]));
    page = 0;
    current = -1;
    render();
  }

  function perPage() { return Number($("per-page").value); }

  // Cards.
  function stack(numberOf, name, element = "div") {
    const index = NAMES.findIndex(([one]) => one === name);
    const images = $("pictures-" + numberOf).textContent.split(" ");
    const layers = name === "heat" ? [0, 3] : [index];
    const made = make(element, { className: "stack" });
    if (layers.some((layer) => !images[layer])) {
      made.append(make("span", { className: "lost", textContent: "This picture cannot be read. Scrub the unit again." }));
      return made;
    }
    for (const layer of layers) {
      made.append(make("img", { loading: "lazy", decoding: "async", alt: layer === index ? NAMES[index][1] : "", src: "data:image/png;base64," + images[layer] }));
    }
    return made;
  }

  function figures(position) {
    const made = make("div", { className: "pictures" });
    for (const [name, title] of NAMES) {
      const button = stack(found[position], name, "button");
      button.type = "button";
      button.title = "Enlarge";
      button.addEventListener("click", () => enlarge(position, NAMES.findIndex(([one]) => one === name)));
      made.append(make("figure", {}, button, make("figcaption", { textContent: title })));
    }
    return made;
  }

  function bar(parts) {
    const made = make("div", { className: "meter" });
    made.setAttribute("aria-hidden", "true");
    for (const [kind, left, width] of parts) {
      const part = make("span", { className: kind });
      part.style.left = `min(${100 * Math.min(1, Math.max(0, left))}%, calc(100% - 2px))`;
      if (width !== null) part.style.width = 100 * Math.min(1, Math.max(0, width)) + "%";
      made.append(part);
    }
    return made;
  }

  function table(caption, heads, rows) {
    const head = make("tr", {}, ...heads.map(([text, kind]) => make("th", { scope: "col", textContent: text, className: kind })));
    const lines = rows.map((cells) => make("tr", {}, ...cells));
    return make("table", {}, make("caption", { textContent: caption }), make("thead", {}, head), make("tbody", {}, ...lines));
  }

  function cell(text, kind = "") { return make("td", { textContent: text, className: kind }); }

  function critics(card) {
    // Held-out ones first: they are the ones to trust.
    const rows = [...card.critics].sort((a, b) => b[3] - a[3]).map(([name, cosine, reference, heldOut]) => {
      const title = make("th", { scope: "row", textContent: name + " " });
      if (heldOut) title.append(make("span", { className: "tag", textContent: "held out" }));
      const marks = reference === null ? [] : [["band", reference[1], reference[2] - Math.max(0, reference[1])], ["mark", reference[0], null]];
      const meter = bar(cosine === null ? marks : [["", 0, cosine], ...marks]);
      return [title, make("td", {}, meter), cell(number(cosine), cosine === null ? "number unknown" : "number"), cell(reference === null ? "not known" : `${number(reference[0])} (${number(reference[1])} to ${number(reference[2])})`, "number")];
    });
    return table("Still alike to its original", [["critic", ""], ["", ""], ["cosine", "number"], ["unrelated", "number"]], rows);
  }

  function findings(card) {
    const change = ([, before, after]) => (before === null || after === null ? Infinity : Math.abs(after - before));
    const rows = [...card.findings].sort((a, b) => change(b) - change(a)).map((finding) => {
      const [name, before, after] = finding;
      const known = before !== null && after !== null;
      const meter = bar(known ? [["", Math.min(before, after), change(finding)], ["mark", before, null], ["dot", after, null]] : []);
      const shown = known ? `${number(before)} \u2192 ${number(after)}` : "not measured";
      return [make("th", { scope: "row", textContent: name }), make("td", {}, meter), cell(shown, change(finding) >= 0.2 ? "number high" : "number")];
    });
    return table("Findings, before \u2192 after", [["finding", ""], ["", ""], ["0..1", "number"]], rows);
  }

  function figuresOfMerit(card) {
    const ratio = card.psnr === "equal" ? "pixels equal" : card.psnr === null ? "not measured" : number(card.psnr, 1) + " dB";
    return make("p", { className: "quality", textContent: `PSNR ${ratio} \u00b7 SSIM ${number(card.ssim, 3)}` });
  }

  function cardOf(position) {
    const card = cards[found[position]];
    const words = [card.modality, card.view, card.model, "strength " + number(card.strength)].filter(Boolean).join(" \u00b7 ");
    const flagButton = make("button", { type: "button", className: "flag", textContent: "Flag" });
    flagButton.addEventListener("click", () => flag(position));
    const blinkButton = make("button", { type: "button", className: "blink", textContent: "Blink" });
    blinkButton.setAttribute("aria-pressed", "false");
    blinkButton.addEventListener("click", () => blink(position));
    const header = make("header", {}, make("h2", { textContent: card.ref }), make("p", { textContent: words }));
    header.append(make("span", { className: card.held ? "tag held" : "tag", textContent: card.held ? "held back" : "released" }));
    header.append(make("div", { className: "buttons" }, blinkButton, flagButton));
    if (card.held) header.append(make("p", { className: "why", textContent: "Held back: " + card.held }));
    header.append(make("p", { className: "file", textContent: card.output }));
    const side = make("div", { className: "side" });
    if (card.critics.length) side.append(critics(card));
    else side.append(make("p", { className: "why", textContent: "No critic has looked at this image." }));
    if (card.findings.length) side.append(findings(card));
    side.append(figuresOfMerit(card));
    const made = make("article", { className: "card", tabIndex: -1 }, header, make("div", { className: "body" }, figures(position), side));
    made.dataset.number = found[position];
    made.dataset.position = position;
    made.setAttribute("aria-label", "Image " + card.ref);
    made.addEventListener("pointerdown", () => choose(position, false));
    return made;
  }

  function render() {
    stopBlinking();
    const first = page * perPage();
    const last = Math.min(first + perPage(), found.length);
    const shown = [];
    for (let position = first; position < last; position += 1) shown.push(cardOf(position));
    $("cards").replaceChildren(...(shown.length ? shown : [make("p", { className: "empty", textContent: "No image passes these filters." })]));
    $("count").textContent = found.length ? `${first + 1} to ${last} of ${found.length} images that pass the filters` : "";
    const pages = Math.ceil(found.length / perPage());
    $("pages").replaceChildren(...(pages < 2 ? [] : [...Array(pages).keys()].map((one) => {
      const button = make("button", { type: "button", textContent: one + 1 });
      if (one === page) button.setAttribute("aria-current", "page");
      button.addEventListener("click", () => { page = one; current = -1; render(); $("cards").scrollIntoView(); });
      return button;
    })));
    showFlags();
  }

  function element(position) { return document.querySelector(`.card[data-position="${position}"]`); }

  function choose(position, move = true) {
    if (position < 0 || position >= found.length) return;
    const wanted = Math.floor(position / perPage());
    if (wanted !== page) { page = wanted; render(); }
    if (position !== current) stopBlinking();
    current = position;
    for (const card of document.querySelectorAll(".card.current")) card.classList.remove("current");
    const card = element(position);
    card.classList.add("current");
    if (!move) return;
    card.scrollIntoView({ block: "nearest" });
    card.focus({ preventScroll: true });
  }

  function step(by) { choose(current < 0 ? page * perPage() : current + by); if ($("large").open) showLarge(); }

  // Blinking: the two images in one place, in the card or in the large view.
  function blink(position) {
    const large = $("large").open;
    const same = blinking && blinking.position === position && blinking.large === large;
    stopBlinking();
    if (same) return;
    choose(position, false);
    const button = large ? $("large-blink") : element(position).querySelector(".blink");
    const place = large ? $("large-picture") : element(position).querySelector(".pictures .stack");
    const caption = large ? null : place.nextSibling;
    let after = false;
    const turn = () => {
      after = !after;
      place.replaceChildren(...stack(found[position], after ? "after" : "before").childNodes);
      if (caption) caption.textContent = after ? "After" : "Before";
      else showTabs(after ? 1 : 0);
    };
    turn();
    button.setAttribute("aria-pressed", "true");
    const timer = setInterval(turn, BLINK);
    blinking = { position, large, stop: () => {
      clearInterval(timer);
      button.setAttribute("aria-pressed", "false");
      if (large) return;
      place.replaceChildren(...stack(found[position], "before").childNodes);
      caption.textContent = "Before";
    } };
  }

  function stopBlinking() {
    if (blinking) blinking.stop();
    blinking = null;
  }

  // The large view.
  function enlarge(position, which) {
    choose(position, false);
    stopBlinking();
    picture = which;
    if (!$("large").open) $("large").showModal();
    showLarge();
  }

  function makeTabs() {
    for (const [index, [, title]] of NAMES.entries()) {
      const tab = make("button", { type: "button", textContent: title });
      tab.addEventListener("click", () => { stopBlinking(); picture = index; showLarge(); });
      $("large-tabs").append(tab);
    }
  }

  function showTabs(which) {
    for (const [index, tab] of [...$("large-tabs").children].entries()) tab.setAttribute("aria-pressed", index === which);
  }

  function showLarge() {
    const card = cards[found[current]];
    $("large-name").textContent = `${card.ref} \u00b7 ${current + 1} of ${found.length}`;
    $("large-picture").replaceChildren(...stack(found[current], NAMES[picture][0]).childNodes);
    showTabs(picture);
    showFlags();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    const large = $("large").open;
    const keys = {
      ArrowRight: () => step(1),
      ArrowLeft: () => step(-1),
      f: () => { if (current >= 0) flag(current); },
      b: () => { if (current >= 0) blink(current); },
      "/": () => { if (!large) $("search").focus(); },
    };
    if (!large && current >= 0 && !event.target.closest("button, summary")) keys.Enter = () => enlarge(current, 1);
    if (large && event.key >= "1" && event.key <= "4") {
      keys[event.key] = () => { stopBlinking(); picture = Number(event.key) - 1; showLarge(); };
    }
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  function options(id, values, prefix) {
    for (const value of [...new Set(values)].sort()) $(id).append(make("option", { value: prefix + value, textContent: value || "(none)" }));
  }

  makeTabs();
  options("modality", cards.map((card) => card.modality), "=");
  options("model", cards.map((card) => card.model), "=");
  options("critic", cards.flatMap((card) => card.critics.map(([name]) => name)), "critic ");
  $("filters").addEventListener("input", update);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(update));
  $("export").addEventListener("click", exportFlags);
  $("large").addEventListener("close", () => { stopBlinking(); choose(current); });
  $("large-blink").addEventListener("click", () => blink(current));
  $("large-flag").addEventListener("click", () => flag(current));
  $("large-previous").addEventListener("click", () => step(-1));
  $("large-next").addEventListener("click", () => step(1));
  $("large-close").addEventListener("click", () => $("large").close());
  document.addEventListener("keydown", onKey);
  window.addEventListener("storage", () => { flags = load(); showFlags(); });
  window.addEventListener("beforeprint", () => { for (const image of document.images) image.loading = "eager"; });
  update();
})();
