// "2 days ago" for each <time data-relative datetime="...">; the absolute time stays in its title. Other scripts word
// theirs with `relativeTime`. The words and units are those of times.py.
(() => {
  "use strict";
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];

  const relative = (at) => {
    const seconds = (at - Date.now()) / 1000;
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
    return words.format(Math.round(seconds / size), unit);
  };

  globalThis.relativeTime = relative;

  const say = () => {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const at = Date.parse(time.dateTime);
      if (Number.isNaN(at)) continue;
      time.title ||= time.textContent;
      time.textContent = relative(at);
    }
  };
  say();
  setInterval(say, 60000);

  // Paper does not grow older by itself.
  addEventListener("beforeprint", () => {
    for (const time of document.querySelectorAll("time[data-relative]")) time.textContent = time.title;
  });
  addEventListener("afterprint", say);
})();
