// A table that is searched, sorted and paged through; its rows are in a JSON block beside it:
// {"fields": [...], "numbers": [...], "words": [...], "rows": [[...]], "outcomes": {...}, ...} as rows.py makes it.
// A row has a number for each field: the place of its text in `words`, except for the fields in `numbers`.
// Text becomes text nodes only: what comes from Tableau can't become markup.
(() => {
  "use strict";
  const PAGE = 50;
  const PRINTED = 5000;
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const count = new Intl.NumberFormat("en");

  const LUID = /\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/gi;

  // A narrow screen lays rows out as cards, and would take these away from them.
  const ROLES = { tr: "row", td: "cell" };

  // What a column is sorted by where that is not the field of its name.
  const SORTED_BY = { content: "content_name", user: "username" };

  function start(section) {
    const data = JSON.parse(section.querySelector("script[type='application/json']").textContent);
    const { words, rows } = data;
    const at = Object.fromEntries(data.fields.map((field, index) => [field, index]));
    const numbers = new Set(data.numbers);
    const lowered = words.map((word) => word.toLowerCase());
    const outcomes = Object.keys(data.outcomes);
    const state = { terms: [], only: {}, column: null, descending: false, page: 0 };

    const find = (selector) => section.querySelector(selector);
    const body = find("tbody");
    const headers = [...section.querySelectorAll("th[data-column]")];
    const columns = headers.map((header) => header.dataset.column);
    const search = find("input[type=search]");
    const [status, narrowed, pager] = [find("[role=status]"), find("[data-narrowed]"), find("[data-pager]")];

    const value = (row, field) => {
      if (!(field in at)) return "";
      const found = row[at[field]];
      return numbers.has(field) ? found : words[found];
    };

    const unsearched = new Set([...data.numbers, ...data.unsearched]);
    const texts = data.fields.flatMap((field, index) => (unsearched.has(field) ? [] : [index]));

    // Each word is looked at once for a term, however many rows have it.
    function withTerm(found, term) {
      const hit = new Uint8Array(words.length);
      for (let word = 0; word < words.length; word++) hit[word] = lowered[word].includes(term) ? 1 : 0;
      return found.filter((row) => texts.some((index) => hit[row[index]]));
    }

    function matching() {
      let found = rows;
      for (const [field, wanted] of Object.entries(state.only)) {
        const code = numbers.has(field) ? wanted : words.indexOf(wanted);
        found = found.filter((row) => row[at[field]] === code);
      }
      return state.terms.reduce(withTerm, found);
    }

    const ranks = {};

    // The place of each word of a field among its words.
    function ranksOf(field) {
      if (ranks[field]) return ranks[field];
      const used = [...new Set(rows.map((row) => row[at[field]]))].filter((word) => words[word] !== "");
      if (field === "outcome") used.sort((a, b) => outcomes.indexOf(words[a]) - outcomes.indexOf(words[b]));
      else used.sort((a, b) => collator.compare(words[a], words[b]));
      const rank = new Int32Array(words.length).fill(-1);
      used.forEach((word, place) => {
        rank[word] = place;
      });
      return (ranks[field] = rank);
    }

    function inOrder(found) {
      if (!state.column) return found;
      const field = SORTED_BY[state.column] ?? state.column;
      const rank = numbers.has(field) ? null : ranksOf(field);
      const key = (row) => (rank ? rank[row[at[field]]] : row[at[field]] ?? -1);
      const sign = state.descending ? -1 : 1;
      // What says nothing comes last, whichever way.
      return [...found].sort((a, b) => {
        const [first, second] = [key(a), key(b)];
        if (first < 0 || second < 0) return second - first;
        return sign * (first - second);
      });
    }

    const element = (name, className, ...children) => {
      const made = document.createElement(name);
      if (className) made.className = className;
      if (name in ROLES) made.role = ROLES[name];
      made.append(...children);
      return made;
    };

    const link = (address, text) => {
      const url = URL.canParse(address) ? new URL(address) : null;
      if (url?.protocol !== "https:" && url?.protocol !== "http:") return element("bdi", "", text);
      const made = element("a", "", element("bdi", "", text));
      made.href = url.href;
      made.target = "_blank";
      made.rel = "noopener noreferrer";
      return made;
    };

    const lines = (first, ...second) => {
      const below = second.filter(Boolean).flatMap((text, index) => [index ? " · " : "", element("bdi", "", text)]);
      return [element("div", "first", first), element("div", "second", ...below)];
    };

    const cells = {
      outcome: (row) => {
        const outcome = value(row, "outcome");
        const [symbol, usual] = data.outcomes[outcome] ?? ["?", "idle"];
        const tone = usual === "plan" && value(row, "cause") ? "warn" : usual;
        const mark = element("span", "symbol", symbol);
        mark.ariaHidden = "true";
        const made = [element("span", `outcome ${tone}`, mark, outcome)];
        if (value(row, "canary")) made.push(" ", element("span", "tag", "canary"));
        return made;
      },
      content: (row) =>
        lines(
          link(value(row, "url_base") + value(row, "url_tail"), value(row, "content_name")),
          value(row, "project"), value(row, "content_type"), data.sites > 1 && value(row, "site"),
        ),
      user: (row) => lines(element("bdi", "", value(row, "username")), value(row, "snowflake_conn_id")),
      // What Tableau says comes after the address that was asked, which is long and tells a person nothing.
      reason: (row) => [element("bdi", "", value(row, "reason").replaceAll(LUID, "…"))],
      attempts: (row) => [value(row, "attempts") ? count.format(value(row, "attempts")) : ""],
      seconds: (row) => [value(row, "seconds") === null ? "" : value(row, "seconds").toFixed(1)],
    };

    function details(row, columnCount) {
      const list = element("dl", "details");
      for (const [field, title] of Object.entries(data.details)) {
        const text = field === "proof_means" ? data.means[value(row, "proof")] : value(row, field);
        if (!text) continue;
        const told = element("dd", "", element("bdi", "", text));
        told.dataset.field = field;
        list.append(element("div", field === "reason" ? "whole" : "", element("dt", "", title), told));
      }
      const cell = element("td", "", list);
      cell.colSpan = columnCount;
      return element("tr", "details-row", cell);
    }

    function disclosure(row, tr) {
      const button = element("button", "more", "⋯");
      button.type = "button";
      button.ariaExpanded = "false";
      button.ariaLabel = `Details of ${value(row, "content_name")}`;
      button.addEventListener("click", () => {
        const open = button.ariaExpanded === "true";
        if (open) tr.nextSibling.remove();
        else tr.after(details(row, columns.length + 1));
        button.ariaExpanded = String(!open);
      });
      return element("td", "more", button);
    }

    function shown(row) {
      const tr = element("tr", "");
      for (const column of columns) {
        const made = cells[column]?.(row) ?? [String(value(row, column) ?? "")];
        tr.append(element("td", column, ...made));
      }
      if (data.details) tr.append(disclosure(row, tr));
      return tr;
    }

    let order = rows;

    function show(from, to) {
      const fragment = document.createDocumentFragment();
      for (const row of order.slice(from, to)) fragment.append(shown(row));
      body.replaceChildren(fragment);
    }

    function turn(page) {
      const pages = Math.max(1, Math.ceil(order.length / PAGE));
      state.page = Math.min(Math.max(0, page), pages - 1);
      const from = state.page * PAGE;
      show(from, from + PAGE);
      pager.hidden = pages === 1;
      pager.querySelector("[data-place]").textContent =
        `${count.format(from + 1)}–${count.format(Math.min(from + PAGE, order.length))} of ${count.format(order.length)}`;
      pager.querySelector("[data-turn='-1']").disabled = state.page === 0;
      pager.querySelector("[data-turn='1']").disabled = state.page === pages - 1;
    }

    function refresh() {
      order = inOrder(matching());
      const all = order.length === rows.length;
      status.textContent = all
        ? `${count.format(rows.length)} ${data.noun}`
        : `${count.format(order.length)} of ${count.format(rows.length)} ${data.noun}`;
      for (const header of headers) {
        const sorted = header.dataset.column === state.column;
        header.ariaSort = sorted ? (state.descending ? "descending" : "ascending") : "none";
      }
      const others = Object.keys(state.only).some((field) => field !== "outcome");
      narrowed.hidden = !others;
      find("[data-nothing]").hidden = order.length > 0;
      for (const chip of section.querySelectorAll("[data-outcome]")) {
        chip.ariaPressed = String((state.only.outcome ?? "") === chip.dataset.outcome && !others);
      }
      turn(0);
    }

    search.addEventListener("input", () => {
      state.terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      refresh();
    });
    for (const header of headers) {
      header.querySelector("button").addEventListener("click", () => {
        const again = state.column === header.dataset.column;
        state.descending = again && !state.descending;
        state.column = header.dataset.column;
        refresh();
      });
    }
    const narrow = (only, told) => {
      state.only = only;
      narrowed.querySelector("[data-told]").textContent = told;
      refresh();
    };
    for (const chip of section.querySelectorAll("[data-outcome]")) {
      chip.addEventListener("click", () => narrow(chip.dataset.outcome ? { outcome: chip.dataset.outcome } : {}, ""));
    }
    narrowed.querySelector("button").addEventListener("click", () => {
      narrow({}, "");
      search.focus();
    });
    for (const button of pager.querySelectorAll("[data-turn]")) {
      button.addEventListener("click", () => {
        turn(state.page + Number(button.dataset.turn));
        section.querySelector("table").scrollIntoView({ block: "start" });
      });
    }
    // Elsewhere on the page: a link that shows the rows it speaks of.
    for (const anchor of document.querySelectorAll(`a[data-only][href='#${section.id}']`)) {
      anchor.addEventListener("click", () => {
        search.value = "";
        state.terms = [];
        narrow(JSON.parse(anchor.dataset.only), anchor.dataset.told ?? "");
      });
    }
    // Paper has no pages to turn.
    addEventListener("beforeprint", () => {
      show(0, PRINTED);
      find("[data-printed]").hidden = order.length <= PRINTED;
    });
    addEventListener("afterprint", () => turn(state.page));

    section.classList.add("live");
    refresh();
  }

  for (const section of document.querySelectorAll("[data-rows]")) start(section);
})();
