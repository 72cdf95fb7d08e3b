// All jobs, as they go on.
import { get } from "../lib/api.js";
import { ago, duration, number, percent, runTime, short, words } from "../lib/format.js";
import { isActive, useAnswer, useRested, useTitle } from "../lib/state.js";
import { html, useEffect, useState } from "../lib/view.js";
import { Empty, Head, Loading, Progress, State, Table, Trouble } from "../parts/basics.js";

const STATES = ["queued", "running", "succeeded", "failed", "cancelled"];
const FAST = 1500;
const SLOW = 8000;

export const pace = (list) => (list?.items?.some(isActive) ? FAST : SLOW);
export const jobName = (job) => job.name || `${words(job.strategy)} on ${job.target}`;

// What a job measured does not change once it has ended: asked for once in the life of the page.
const accuracies = new Map();

/** The accuracy of jobs that have succeeded; a list does not have their results. */
function useAccuracies(jobs) {
  const [, setTurn] = useState(0);
  const missing = (jobs ?? []).filter((job) => job.state === "succeeded" && !accuracies.has(job.id)).map((job) => job.id);
  useEffect(() => {
    const controller = new AbortController();
    (async () => {
      for (const id of missing) {
        const { result } = await get(`/jobs/${id}`, controller.signal);
        accuracies.set(id, result?.phases.at(-1).accuracy.mean);
        setTurn((before) => before + 1);
      }
    })().catch(() => {});
    return () => controller.abort();
  }, [missing.join()]);
  return accuracies;
}

/** Jobs as a table. */
export function JobTable({ jobs, caption }) {
  const known = useAccuracies(jobs);
  const columns = [
    { name: "Job", value: (job) => html`<a href=${`#/jobs/${job.id}`}>${jobName(job)}</a> <code class="quiet">${short(job.id)}</code>${job.tags.map((tag) => html` <span class="tag" key=${tag}>${tag}</span>`)}` },
    { name: "State", value: (job) => html`<${State} state=${job.state} /> <${Progress} work=${job} />` },
    { name: "Target", value: (job) => html`<a href=${`#/datasets/${job.target}`}>${job.target}</a>` },
    { name: "Strategy", value: (job) => html`${words(job.strategy)}${job.strategy === "mixed" ? html` <span class="quiet">α ${job.alpha == null ? "to be chosen" : number(job.alpha, 2)}</span>` : ""}` },
    { name: "Budget", numeric: true, value: (job) => job.request.budget?.toLocaleString("en") },
    { name: "Accuracy", numeric: true, value: (job) => percent(known.get(job.id)) },
    { name: "Run time", numeric: true, value: (job) => duration(runTime(job)) },
    { name: "Asked for", numeric: true, value: (job) => ago(job.created_at) },
  ];
  return html`<${Table} columns=${columns} rows=${jobs} keyOf=${(job) => job.id} caption=${caption} />`;
}

const Start = () => html`<${Empty} title="From your images to a network, in three steps">
  <ol class="steps">
    <li><strong>Bring your images.</strong> A folder with one folder of pictures for each class is all it takes. <a href="#/datasets/new">Add a dataset</a></li>
    <li><strong>Say how many may be trained on.</strong> OT3L chooses which, by optimal transport between labelled datasets or by what stands for the rest. <a href="#/new">Set up a job</a></li>
    <li><strong>Take the network.</strong> A checkpoint that plain PyTorch reads, with an evaluation on images that took no part in any of it.</li>
  </ol>
<//>`;

/** The page of all jobs. */
export function Jobs() {
  useTitle("Jobs");
  const [filters, setFilters] = useState({ state: "", strategy: "", target: "", tag: "" });
  const [limit, setLimit] = useState(25);
  const asked = useRested(filters, 250);
  const query = new URLSearchParams([...Object.entries(asked).filter(([, value]) => value), ["limit", limit]]);
  const { data, error } = useAnswer(`/jobs?${query}`, pace);
  const { data: document } = useAnswer("/openapi.json");
  const filtered = Object.values(asked).some(Boolean);
  const set = (name) => (event) => setFilters({ ...filters, [name]: event.target.value.trim() });
  return html`<${Head} title="Jobs"><a class="button primary" href="#/new">New job</a><//>
    <form class="filters" role="search" aria-label="Filter jobs" onSubmit=${(event) => event.preventDefault()}>
      <label>State <select name="state" onChange=${set("state")}><option value="">any</option>${STATES.map((state) => html`<option key=${state}>${state}</option>`)}</select></label>
      <label>Strategy <select name="strategy" onChange=${set("strategy")}><option value="">any</option>
        ${document?.components.schemas.Strategy.enum.map((name) => html`<option key=${name} value=${name}>${words(name)}</option>`)}</select></label>
      <label>Target <input name="target" onInput=${set("target")} placeholder="any" autocomplete="off" /></label>
      <label>Tag <input name="tag" onInput=${set("tag")} placeholder="any" autocomplete="off" /></label>
    </form>
    <${Trouble} problem=${error} />
    ${!data && !error && html`<${Loading} />`}
    ${data && !data.items.length && (filtered ? html`<p class="quiet">No job is like that.</p>` : html`<${Start} />`)}
    ${data?.items.length > 0 && html`<${JobTable} jobs=${data.items} />`}
    ${data?.next && limit < 200 && html`<button type="button" onClick=${() => setLimit(Math.min(200, limit + 50))}>Show more</button>`}`;
}
