// The living parts of the fleet page: runs under way, what comes next, and the buttons that trigger a run.
import { dag, isUnderWay, latestRuns, trigger } from "./airflow.js";

const OFTEN = 3000;
const SELDOM = 60000;

const NOTICED = 15000;

const find = (selector) => document.querySelector(selector);

// The ids and names of the DAGs, and how each state looks.
const { rotation: ROTATION, renewal: RENEWAL, names: NAMES, looks: LOOKS } = JSON.parse(
  find("[data-fleet]").dataset.known,
);

let noticed = 0;

function announce(text) {
  const place = find("[data-announced]");
  place.textContent = text;
  clearTimeout(noticed);
  noticed = setTimeout(() => {
    place.textContent = "";
  }, NOTICED);
}

const element = (name, className, ...children) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
};

// --- times

function time(iso) {
  // Out of times.js, which keeps it fresh.
  const made = element("time", "", relativeTime(Date.parse(iso)));
  made.dateTime = iso;
  made.title = new Date(iso).toUTCString();
  made.dataset.relative = "";
  return made;
}

// --- what comes next

function next(details, renewal) {
  if (details.is_paused) return ["paused: runs wait until somebody unpauses the DAG"];
  if (details.next_dagrun_run_after) {
    const when = time(details.next_dagrun_run_after);
    return details.dag_id === ROTATION ? [when, ", or once a token is renewed"] : [when];
  }
  if (details.dag_id !== ROTATION) return ["none by itself"];
  if (!renewal || renewal.is_paused || !renewal.next_dagrun_run_after) return ["once a token is renewed"];
  return ["once a token is renewed (looked at ", time(renewal.next_dagrun_run_after), ")"];
}

function showNext(rotation, renewal) {
  for (const [dagId, details] of [[ROTATION, rotation], [RENEWAL, renewal]]) {
    for (const place of document.querySelectorAll(`[data-next="${dagId}"]`)) {
      place.replaceChildren(...(details ? next(details, renewal) : ["not known"]));
    }
  }
}

// --- runs under way, and those that ended without a report

const reportOf = (run) =>
  `run?dag_id=${encodeURIComponent(run.dag_id)}&run_id=${encodeURIComponent(run.dag_run_id)}`;

function row(run) {
  const { symbol, words, tone } = LOOKS[run.state] ?? { symbol: "?", words: run.state, tone: "idle" };
  const when = element("a", "", time(run.start_date ?? run.run_after));
  when.href = reportOf(run);
  const head = element("th", "", when, element("div", "second", element("bdi", "", run.dag_run_id)));
  head.scope = "row";
  head.role = "rowheader";
  const mark = element("span", "symbol", symbol);
  mark.ariaHidden = "true";
  const what = element("td", "", NAMES[run.dag_id]);
  if (run.conf?.dry_run === true) what.append(" ", element("span", "tag", "dry run"));
  const said = isUnderWay(run.state) ? `under way${by(run)}` : "It has left no report: Airflow's logs say why.";
  const made = element(
    "tr", "", head, what, element("td", "", element("span", `outcome ${tone}`, mark, words)),
    element("td", "first", said), element("td", "amount"),
  );
  made.role = "row";
  for (const cell of made.querySelectorAll("td")) cell.role = "cell";
  made.dataset.dag = run.dag_id;
  made.dataset.run = run.dag_run_id;
  return made;
}

const by = (run) => (run.triggering_user_name ? `, triggered by ${run.triggering_user_name}` : "");

const keyOf = (dagId, runId) => JSON.stringify([dagId, runId]);

function showRuns(runs) {
  const live = find("[data-live]");
  const told = new Set(
    [...document.querySelectorAll("tr[data-run]")]
      .filter((each) => !live.contains(each))
      .map((each) => keyOf(each.dataset.dag, each.dataset.run)),
  );
  // A run that a person cleared tasks of has a report, and is under way all the same.
  const shown = runs.filter(
    (run) => isUnderWay(run.state) || (run.state === "failed" && !told.has(keyOf(run.dag_id, run.dag_run_id))),
  );
  shown.sort((a, b) => (b.start_date ?? b.run_after).localeCompare(a.start_date ?? a.run_after));
  const states = (list) => list.map((each) => each.textContent).join("\n");
  const made = shown.map(row);
  if (states(made) !== states([...live.children])) live.replaceChildren(...made);
  if (made.length) find("[data-runs]").hidden = false;
}

// The page again, when a run has ended: it has left a report by then.
async function refresh() {
  const answer = await fetch("./", { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = find("#further-runs")?.hidden === false;
  find("[data-fleet]").replaceWith(page.querySelector("[data-fleet]"));
  if (open) show("further-runs");
}

let underWay = new Set();
let timer = 0;

async function look() {
  clearTimeout(timer);
  const known = await Promise.all(
    [ROTATION, RENEWAL].map((dagId) => Promise.all([dag(dagId), latestRuns(dagId)]).catch(() => null)),
  );
  const runs = known.flatMap((each) => each?.[1] ?? []);
  const active = new Set(
    runs.filter((run) => isUnderWay(run.state)).map((run) => keyOf(run.dag_id, run.dag_run_id)),
  );
  const ended = [...underWay].filter((key) => !active.has(key));
  underWay = active;
  if (ended.length) {
    await refresh();
    announce(ended.length === 1 ? "A run has ended." : `${ended.length} runs have ended.`);
  }
  showNext(known[0]?.[0], known[1]?.[0]);
  showRuns(runs);
  if (!document.hidden) timer = setTimeout(look, active.size ? OFTEN : SELDOM);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});

// --- triggering a run

const dialog = find("[data-dialog]");
const inDialog = (selector) => dialog.querySelector(selector);
const [dryRun, problem, go] = [inDialog("[data-dry-run]"), inDialog("[data-problem]"), inDialog("[data-go]")];
let conf = {};

function about() {
  const whom = dialog.dataset.whom ? `For ${dialog.dataset.whom}` : "For all users and sites that are set up";
  if (dryRun.checked) return `${whom}: looks at everything, and reports what would be done.`;
  return conf.force
    ? `${whom}: updates every connection once more, those that embed the current token, too.`
    : `${whom}: updates what does not embed the current token, one connection first, and leaves the rest alone.`;
}

function offer(button) {
  conf = JSON.parse(button.dataset.conf);
  dialog.dataset.whom = button.dataset.whom;
  inDialog("h2").textContent = button.dataset.title;
  dryRun.checked = "dryRun" in button.dataset;
  inDialog("[data-about]").textContent = about();
  problem.hidden = true;
  dialog.showModal();
}

async function send() {
  go.disabled = true;
  problem.hidden = true;
  try {
    const run = await trigger(ROTATION, dryRun.checked ? { ...conf, dry_run: true } : conf);
    dialog.close();
    const details = await dag(ROTATION).catch(() => null);
    announce(
      details?.is_paused
        ? `Run ${run.dag_run_id} is queued. The DAG is paused: it starts when somebody unpauses the DAG.`
        : `Run ${run.dag_run_id} is queued.`,
    );
    await look();
  } catch (refused) {
    problem.textContent = refused.message;
    problem.hidden = false;
  } finally {
    go.disabled = false;
  }
}

function show(id) {
  find(`#${id}`).hidden = false;
  find(`[data-show="${id}"]`).parentElement.hidden = true;
}

// The fleet is replaced now and then: what is listened to is the page.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (!button) return;
  if ("trigger" in button.dataset) offer(button);
  if ("show" in button.dataset) {
    show(button.dataset.show);
    find(`#${button.dataset.show} a`).focus();
  }
  if ("cancel" in button.dataset) dialog.close();
  if ("go" in button.dataset) send();
});
dryRun.addEventListener("change", () => {
  inDialog("[data-about]").textContent = about();
});

look();
