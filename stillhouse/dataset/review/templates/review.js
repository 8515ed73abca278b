
"use strict";
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const PREFIX = "stillhouse-review:", KEY = PREFIX + DATA.key;
  const COLUMNS = ["reviewer", "pair_id", "verdict", "correction", "comment"];
  const VERDICTS = ["accept", "reject", "correct"];
  // What a spreadsheet would take for a formula; see GUARDED in filled_in.py.
  const GUARDED = /^[\s']*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
  const $ = (id) => document.getElementById(id);
  const items = new Map(DATA.items.map((item) => [item.id, item]));
  // Each reviewer's decisions apart, so that two who share a browser judge on their own.
  let state = { reviewer: "", by: {} };
  let filters = {}, shown = [], at = 0, editing = false;

  // --- what is kept in this browser ---

  function stored(key) {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  }

  function keep() {
    try { localStorage.setItem(KEY, JSON.stringify(state)); } catch {
      say("This browser keeps nothing for this page: save the CSV before you close it.");
    }
  }

  // What the present reviewer decided, by pair.
  const decided = () => (state.by["r:" + state.reviewer] ??= {});

  function restore() {
    const own = stored(KEY);
    if (own && own.by) { adopt(own); return; }
    // Another sample of before: a pair that is in both has the same id, and was read already.
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const key = localStorage.key(i);
        const other = key.startsWith(PREFIX) ? stored(key) : null;
        if (other && other.by) adopt(other);
      }
    } catch { /* told when something is to be kept */ }
  }

  function adopt(other) {
    state.reviewer = state.reviewer || String(other.reviewer || "");
    for (const [reviewer, theirs] of Object.entries(other.by)) {
      for (const [id, found] of Object.entries(theirs)) {
        if (!items.has(id) || !found || !VERDICTS.includes(found.verdict)) continue;
        (state.by[reviewer] ??= {})[id] = found;
      }
    }
  }

  // Who had no name yet takes along what was decided; anybody else begins with their own.
  function become(name) {
    const before = state.reviewer, left = decided();
    if (name === before) return;
    state.reviewer = name;
    $("reviewer").value = name;
    if (!before) { Object.assign(decided(), left); delete state.by["r:"]; }
    else if (Object.keys(left).length) say(`What ${before} decided is kept under that name.`);
    keep();
    refresh();
  }

  // --- answers, and what may stand in their place ---

  const taskOf = (item) => DATA.tasks[item.task];

  // The message that says what is wrong with a correction; "" when it may stand.
  function wrong(item, text) {
    const task = taskOf(item);
    if (!text.trim()) return "Write the right answer, or reject the pair.";
    if (task.classes) return task.classes.includes(text) ? "" : "Choose one of the classes.";
    return task.fields ? wrongObject(task.fields, text) : "";
  }

  function wrongObject(fields, text) {
    let found;
    try { found = JSON.parse(text); } catch (error) { return "This is no JSON: " + error.message; }
    if (found === null || typeof found !== "object" || Array.isArray(found)) return "Write one JSON object: {...}.";
    for (const name of Object.keys(found)) {
      if (!Object.hasOwn(fields, name)) return `"${name}" is no field; there are ${Object.keys(fields).join(", ")}.`;
    }
    for (const [name, field] of Object.entries(fields)) {
      const given = Object.hasOwn(found, name) ? found[name] : null;
      const values = (Array.isArray(given) ? given : [given]).filter((v) => v !== null && !(typeof v === "string" && !v.trim()));
      if (!values.length && !field.optional) return `"${name}" is missing.`;
      if (values.length > 1 && !field.list) return `"${name}" takes one value.`;
      for (const value of values) {
        if (field.values ? !field.values.includes(value) : !ofType(field.type, value)) {
          return field.values ? `"${name}" takes one of ${field.values.join(", ")}.` : `"${name}" takes a value of type ${field.type}.`;
        }
      }
    }
    return "";
  }

  function ofType(type, value) {
    if (type === "string") return typeof value === "string" || typeof value === "number";
    if (type === "integer") return Number.isSafeInteger(value);
    if (type === "number") return typeof value === "number" && Number.isFinite(value);
    return typeof value === "boolean";
  }

  // --- showing ---

  // What turns the writing direction or hides is shown as a space; a class keeps its own value.
  const visible = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) => ("\n\t\u200c\u200d".includes(c) ? c : " "));

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function say(message) {
    $("note").textContent = message;
    $("note").hidden = !message;
  }

  function strataOf(item) {
    return { task: item.task, ...item.stratum };
  }

  function buildFilters() {
    const names = ["task", ...new Set(DATA.items.flatMap((item) => Object.keys(item.stratum)))];
    for (const name of names) {
      const values = [...new Set(DATA.items.map((item) => strataOf(item)[name] ?? ""))].sort();
      if (values.length > 1) addFilter(name, values.map((v) => [v, v || "(none)"]));
    }
    addFilter("state", [["open", "undecided"], ...VERDICTS.map((v) => [v, v])]);
  }

  function addFilter(name, values) {
    const select = element("select", { id: "filter-" + name });
    select.append(element("option", { value: "*", textContent: "all" }));
    values.forEach(([value, words], i) => select.append(element("option", { value: String(i), textContent: visible(words) })));
    select.addEventListener("change", () => {
      if (select.value === "*") delete filters[name]; else filters[name] = values[Number(select.value)][0];
      at = 0;
      refresh();
    });
    $("filters").append(element("label", {}, name + " ", select));
  }

  function passes(item) {
    return Object.entries(filters).every(([name, value]) =>
      name === "state"
        ? (decided()[item.id]?.verdict ?? "open") === value
        : (strataOf(item)[name] ?? "") === value);
  }

  function refresh() {
    const current = shown[at];
    shown = DATA.items.filter((item) => passes(item) || (item === current && filters.state));
    at = Math.max(0, current && shown.includes(current) ? shown.indexOf(current) : Math.min(at, shown.length - 1));
    show();
  }

  function show() {
    const item = shown[at];
    const done = Object.keys(decided()).length;
    const count = (v) => Object.values(decided()).filter((d) => d.verdict === v).length;
    $("progress").max = DATA.items.length || 1;
    $("progress").value = done;
    $("progress-words").textContent = `${done} of ${DATA.items.length} decided: ${count("accept")} accepted, ${count("reject")} rejected, ${count("correct")} corrected`;
    $("card").hidden = !item;
    $("nothing").hidden = Boolean(item);
    closeEditor();
    if (!item) return;
    const found = decided()[item.id] || {};
    $("strata").replaceChildren(...Object.entries(strataOf(item)).filter(([, v]) => v)
      .map(([name, value]) => element("span", { className: "chip", dir: "auto", textContent: visible(`${name}: ${value}`) })));
    $("place").textContent = `${at + 1} of ${shown.length}`;
    $("instruction").textContent = visible(taskOf(item).instruction);
    $("text").textContent = item.input;
    $("answer").textContent = visible(item.answer);
    $("correction").hidden = found.verdict !== "correct";
    $("shown-correction").textContent = visible(found.correction || "");
    for (const verdict of VERDICTS) $(verdict).setAttribute("aria-pressed", String(found.verdict === verdict));
    $("comment").value = found.comment ?? drafts[item.id] ?? "";
  }

  const drafts = {}; // comments on pairs that nothing was decided of yet

  function decide(verdict, correction = "") {
    const item = shown[at];
    if (!item) return;
    decided()[item.id] = { verdict, correction, comment: $("comment").value };
    keep();
    refresh();
    if (shown.indexOf(item) === at) step(1);
  }

  function step(by) {
    if (!shown.length) return;
    at = Math.min(Math.max(at + by, 0), shown.length - 1);
    show();
    window.scrollTo(0, 0);
  }

  function nextOpen() {
    const order = [...shown.slice(at + 1), ...shown.slice(0, at + 1)];
    const open = order.find((item) => !decided()[item.id]);
    if (open) { at = shown.indexOf(open); show(); } else say("Every pair shown here is decided.");
  }

  function undo() {
    const item = shown[at];
    if (!item) return;
    if (decided()[item.id]) drafts[item.id] = decided()[item.id].comment;
    delete decided()[item.id];
    keep();
    refresh();
  }

  // --- correcting ---

  function openEditor() {
    const item = shown[at];
    if (!item) return;
    const task = taskOf(item), before = decided()[item.id]?.correction || item.answer;
    let field;
    if (task.classes) {
      field = element("select", { id: "edited", size: Math.min(12, Math.max(2, task.classes.length)) });
      field.append(...task.classes.map((name) => element("option", { value: name, textContent: visible(name) })));
      field.value = before;
    } else {
      field = element("textarea", { id: "edited", value: before, className: task.fields ? "" : "prose", spellcheck: !task.fields });
    }
    $("editor-title").textContent = task.fields ? "The right answer, as JSON" : task.classes ? "The right class" : "The right answer";
    $("field").replaceChildren(field);
    $("wrong").textContent = "";
    field.addEventListener("input", () => { $("wrong").textContent = task.fields ? wrong(item, field.value) : ""; });
    $("editor").hidden = false;
    editing = true;
    field.focus();
  }

  function closeEditor() {
    $("editor").hidden = true;
    $("field").replaceChildren();
    editing = false;
  }

  function takeCorrection() {
    const item = shown[at], text = $("edited").value;
    const message = wrong(item, text);
    $("wrong").textContent = message;
    if (message) return;
    document.activeElement.blur();
    if (text === item.answer) decide("accept"); else decide("correct", text);
  }

  // --- the CSV ---

  const cell = (text) => '"' + (GUARDED.test(text) ? "'" + text : text).replaceAll('"', '""') + '"';
  const unguarded = (text) => (text.startsWith("'") && GUARDED.test(text.slice(1)) ? text.slice(1) : text);

  function csv() {
    const rows = DATA.items.filter((item) => decided()[item.id]).map((item) => {
      const found = decided()[item.id];
      return [state.reviewer, item.id, found.verdict, found.correction || "", found.comment || ""];
    });
    return "\ufeff" + [COLUMNS, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
  }

  function save() {
    become($("reviewer").value.trim());
    if (!state.reviewer) { say("Say who reviews: a name or initials."); $("reviewer").focus(); return; }
    if (!Object.keys(decided()).length) { say("Nothing is decided yet."); return; }
    keep();
    const url = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    const name = state.reviewer.toLowerCase().replace(/[^a-z0-9]+/g, "-") || "reviewer";
    const link = element("a", { href: url, download: `review-${name}-${DATA.key.slice(0, 8)}.csv` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    say(`Saved as ${link.download}: put it into ${DATA.folder}`);
  }

  // RFC 4180, with any of the separators that spreadsheets save with.
  function parse(text) {
    text = text.replace(/^\ufeff/, "");
    const first = text.split(/\r?\n/, 1)[0];
    const separator = [",", ";", "\t"].find((s) => first.split(s).length > 2) || ",";
    const rows = [[]];
    let value = "", quoted = false;
    for (let i = 0; i < text.length; i++) {
      const c = text[i];
      if (quoted) {
        if (c !== '"') value += c;
        else if (text[i + 1] === '"') { value += '"'; i++; } else quoted = false;
      } else if (c === '"' && !value) quoted = true;
      else if (c === separator) { rows.at(-1).push(value); value = ""; }
      else if (c === "\n") { rows.at(-1).push(value.replace(/\r$/, "")); value = ""; rows.push([]); }
      else value += c;
    }
    if (value || rows.at(-1).length) rows.at(-1).push(value);
    return rows.filter((row) => row.length > 1);
  }

  function load(text) {
    const [header, ...rows] = parse(text);
    const names = (header || []).map((name) => name.trim().toLowerCase());
    const missing = COLUMNS.slice(0, 3).filter((name) => !names.includes(name));
    if (missing.length) { say(`This is no saved review: it has no column ${missing.join(", ")}.`); return; }
    const cellOf = (row, name) => unguarded(row[names.indexOf(name)] || "");
    const reviewer = rows.map((row) => cellOf(row, "reviewer").trim()).find(Boolean) || "";
    if (reviewer) become(reviewer);
    let taken = 0, left = 0;
    for (const row of rows) {
      const get = (name) => cellOf(row, name);
      const item = items.get(get("pair_id").trim()), verdict = get("verdict").trim().toLowerCase();
      const correction = verdict === "correct" ? get("correction") : "";
      const theirs = get("reviewer").trim() === reviewer;
      if (!item || !theirs || !VERDICTS.includes(verdict) || (verdict === "correct" && wrong(item, correction))) { left++; continue; }
      decided()[item.id] = { verdict, correction, comment: get("comment") };
      taken++;
    }
    keep();
    refresh();
    say(`${taken} decisions read` + (left ? `; ${left} rows left out: of another reviewer, of no pair of this sample, or no verdict that may stand.` : "."));
  }

  // --- keys and buttons ---

  const KEYS = {
    a: () => decide("accept"), r: () => decide("reject"), c: openEditor, u: undo, s: save,
    j: () => step(1), ArrowRight: () => step(1), k: () => step(-1), ArrowLeft: () => step(-1),
    n: nextOpen, m: () => $("comment").focus(),
  };

  document.addEventListener("keydown", (event) => {
    if (editing && event.key === "Escape") { event.preventDefault(); closeEditor(); return; }
    if (editing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); takeCorrection(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(input|textarea|select)$/i.test(event.target.tagName || "")) {
      if (event.key === "Escape" || (event.key === "Enter" && event.target.id === "comment")) event.target.blur();
      return;
    }
    if (Object.hasOwn(KEYS, event.key)) { event.preventDefault(); say(""); KEYS[event.key](); }
  });
  for (const [id, key] of [["accept", "a"], ["reject", "r"], ["correct", "c"], ["undo", "u"], ["save", "s"], ["next", "j"], ["previous", "k"], ["next-open", "n"]]) {
    $(id).addEventListener("click", () => { say(""); KEYS[key](); });
  }
  $("editor").addEventListener("submit", (event) => { event.preventDefault(); takeCorrection(); });
  $("cancel").addEventListener("click", closeEditor);
  $("reviewer").addEventListener("change", () => become($("reviewer").value.trim()));
  $("comment").addEventListener("input", () => {
    const item = shown[at], found = item && decided()[item.id];
    if (found) { found.comment = $("comment").value; keep(); } else if (item) drafts[item.id] = $("comment").value;
  });
  $("open").addEventListener("change", async () => {
    const [file] = $("open").files;
    if (file) load(await file.text());
    $("open").value = "";
  });

  restore();
  $("reviewer").value = state.reviewer;
  buildFilters();
  refresh();
})();
