// The theme is the one that Airflow keeps in localStorage ("light", "dark" or "system"); elsewhere, the system's.
(() => {
  "use strict";
  const root = document.documentElement;
  const order = ["system", "light", "dark"];

  // A file opened from disk may have no storage; then the choice lasts as long as the page.
  let here = "system";
  const chosen = () => {
    try {
      return localStorage.getItem("theme") ?? here;
    } catch {
      return here;
    }
  };

  const apply = () => {
    const theme = chosen();
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  apply();
  addEventListener("storage", (event) => {
    if (event.key === "theme" || event.key === null) apply();
  });

  // Only a page of its own offers the choice: inside Airflow, Airflow does.
  addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("[data-theme-switch]");
    if (!button || parent !== window) return;
    const say = () => {
      button.textContent = `Theme: ${order.includes(chosen()) ? chosen() : "system"}`;
    };
    button.hidden = false;
    say();
    button.addEventListener("click", () => {
      here = order[(order.indexOf(chosen()) + 1) % order.length];
      try {
        localStorage.setItem("theme", here);
      } catch {
        // It lasts as long as the page.
      }
      apply();
      say();
    });
  });
})();
