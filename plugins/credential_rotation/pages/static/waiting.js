// A run without a report: how Airflow says it stands, and the report as soon as there is one.
import { isUnderWay, run } from "./airflow.js";

const waiting = document.querySelector("[data-waiting]");
const told = waiting.querySelector("[data-told]");
const { dag, run: runId } = waiting.dataset;

async function look(before) {
  let state = null;
  try {
    state = (await run(dag, runId)).state;
    told.textContent = isUnderWay(state) ? `It is ${state}.` : `It has ended: ${state}. Airflow's logs say more.`;
  } catch (refused) {
    told.textContent = refused.status === 404 ? "Airflow knows no such run." : refused.message;
  }
  if (before && isUnderWay(before) && !isUnderWay(state)) location.reload();
  else if (state && isUnderWay(state)) setTimeout(look, 3000, state);
}

look(null);
