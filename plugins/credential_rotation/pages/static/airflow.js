// Airflow's own REST API, asked with the rights of whoever looks at the page: their cookie goes with each request.
// All pages are one step below Airflow's own address, whatever its path is.
const API = "../api/v2";

// What Airflow does not do, in words.
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

export const dag = (dagId) => ask(`/dags/${encodeURIComponent(dagId)}`);

export const run = (dagId, runId) =>
  ask(`/dags/${encodeURIComponent(dagId)}/dagRuns/${encodeURIComponent(runId)}`);

export const latestRuns = async (dagId) =>
  (await ask(`/dags/${encodeURIComponent(dagId)}/dagRuns?order_by=-run_after&limit=20`)).dag_runs;

export const trigger = (dagId, conf) =>
  ask(`/dags/${encodeURIComponent(dagId)}/dagRuns`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ logical_date: null, conf }),
  });

export const isUnderWay = (state) => state === "queued" || state === "running";

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(API + path, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused(0, "Airflow does not answer. Is the network there?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, inWords(answer.status, body.detail));
  return body;
}

function inWords(status, detail) {
  if (status === 401) return "Your session in Airflow has ended. Reload the page to sign in again.";
  if (status === 403) return "You may look at this DAG, but not trigger it.";
  if (status === 404) return "Airflow does not know this DAG. Is it still being read, or has it an import error?";
  const told = Array.isArray(detail) ? detail.map((each) => each.msg ?? "").filter(Boolean).join("; ") : detail;
  if (status < 500 && typeof told === "string" && told) return `Airflow refuses: ${told}`;
  return `Airflow can't do that now (it answers ${status}). Its api-server's log says why.`;
}
