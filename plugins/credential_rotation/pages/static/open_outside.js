// In Airflow, the page is in a frame that may neither open windows nor lead Airflow elsewhere. The document around it
// is Airflow's own, of the same origin, and may: links out of the frame are followed from there.
(() => {
  "use strict";
  if (parent === window) return;

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[target='_blank'], a[data-airflow]");
    if (!link || event.defaultPrevented || !/^https?:$/.test(link.protocol)) return;
    let outside;
    try {
      outside = parent.document;
    } catch {
      return; // Somebody else's frame.
    }
    event.preventDefault();
    const made = outside.createElement("a");
    made.href = link.href;
    if (link.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey) {
      made.target = "_blank";
      made.rel = "noopener noreferrer";
    }
    outside.body.append(made);
    made.click();
    made.remove();
  });
})();
