// In the report of a run: each connection that a run had among its targets leads to its history. The table is made by
// table.js, which shows the details of a row in a row of their own.
(() => {
  "use strict";
  // The key of a site by the id of its Airflow connection; asked for when the first row is opened.
  let sites = null;
  const siteKeys = () =>
    (sites ??= fetch("api/fleet", { credentials: "same-origin" })
      .then((answer) => (answer.ok ? answer.json() : { sites: [] }))
      .then((fleet) => new Map(fleet.sites.map((site) => [site.tableau_conn_id, site.site_key])))
      .catch(() => new Map()));

  async function lead(details) {
    const fields = {};
    for (const pair of details.querySelectorAll("[data-field]")) fields[pair.dataset.field] = pair.textContent;
    const site = (await siteKeys()).get(fields.tableau_conn_id);
    if (!site || !fields.content_id || !fields.connection_id) return;
    const query = new URLSearchParams({ site, content_id: fields.content_id, connection_id: fields.connection_id });
    const link = document.createElement("a");
    link.href = `connection?${query}`;
    link.textContent = "what runs did about it";
    const pair = document.createElement("div");
    pair.append(document.createElement("dt"), document.createElement("dd"));
    pair.firstChild.textContent = "History";
    pair.lastChild.append(link);
    details.append(pair);
  }

  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const added of change.addedNodes) {
        const details = added.querySelector?.(".details");
        // Of what is no target, nothing is kept.
        const isTarget = !added.previousElementSibling?.querySelector("td.outcome")?.textContent.includes("excluded");
        if (details && isTarget) lead(details);
      }
    }
  }).observe(document.querySelector("[data-rows] tbody") ?? document.createElement("div"), { childList: true });
})();
