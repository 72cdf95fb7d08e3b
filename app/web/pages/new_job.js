// A job to be: the form is the API's own schema, and the service itself says what the job would cost.
import { post } from "../lib/api.js";
import { bytes, duration, percent, words } from "../lib/format.js";
import { useAnswer, useRested, useTitle } from "../lib/state.js";
import { measures, ordered, STRATEGIES } from "../lib/strategies.js";
import { html, useEffect, useState } from "../lib/view.js";
import { Card, Facts, Head, Loading, Trouble } from "../parts/basics.js";
import { assign, errorOf, Fields } from "../parts/form.js";

const GROUPS = [
  ["Images and features", ["backbone", "input_size", "crop_fraction", "precision", "weights"]],
  ["Choosing samples", ["class_fraction", "unit", "class_score", "label_distance", "scaling", "pool_size", "source_size"]],
  ["Training and evaluation", ["seeds", "test_size", "training", "fine_tune", "exports"]],
  ["From a selection", ["selection", "test", "labels_csv"]],
  ["Keeping order", ["name", "tags", "priority", "reuse"]],
];
// In the form above, or of no use in one.
const ELSEWHERE = ["target", "source", "strategy", "alpha", "budget", "validate_only", "metadata", "labels"];
const FALLBACK = "fitted";

/** What the service says a job would cost, asked for once the form rests. */
function useEstimate(values) {
  const [found, setFound] = useState({ preview: null, problem: null });
  const rested = useRested(values, 400);
  useEffect(() => {
    if (!rested.target) return setFound({ preview: null, problem: null });
    const controller = new AbortController();
    post("/jobs", { ...rested, validate_only: true }, controller.signal).then(
      (preview) => setFound({ preview, problem: null }),
      (problem) => controller.signal.aborted || setFound({ preview: null, problem }),
    );
    return () => controller.abort();
  }, [JSON.stringify(rested)]);
  return found;
}

function Datasets({ name, label, datasets, value, change, none, problem, note }) {
  const wrong = errorOf(problem, name);
  return html`<div class=${`field ${wrong ? "wrong" : ""}`}>
    <label for=${name}>${label}</label>
    <select id=${name} name=${name} value=${value ?? ""} aria-describedby=${`${name}-note`} onChange=${(event) => change([name], event.target.value || undefined)}>
      <option value="">${none}</option>
      ${datasets.map((dataset) => html`<option key=${dataset.id} value=${dataset.name}>${dataset.name}${dataset.result ? ` (${dataset.result.n_pool} images)` : ""}</option>`)}
    </select>
    <p class="quiet" id=${`${name}-note`}>${wrong ? html`<span class="bad" role="alert">${wrong}</span>` : note}</p>
  </div>`;
}

const Strategies = ({ names, value, change }) => html`<fieldset class="strategies">
  <legend>Strategy: how the samples are chosen</legend>
  ${ordered(names).map((name) => html`<label key=${name} class=${name === value ? "chosen" : ""}>
    <input type="radio" name="strategy" value=${name} checked=${name === value} onChange=${() => change(["strategy"], name)} />
    <span><strong>${words(name)}</strong><span class="quiet">${STRATEGIES[name]}</span></span>
  </label>`)}
</fieldset>`;

function Alpha({ value, change, problem }) {
  const chosen = value ?? 0.5;
  const isNumber = typeof chosen === "number";
  const wrong = errorOf(problem, "alpha");
  return html`<fieldset class="alpha"><legend>Alpha: the share taken by set difference</legend>
    <div class="choices">
      <label><input type="radio" name="alpha-kind" checked=${isNumber} onChange=${() => change(["alpha"], 0.5)} /> one value</label>
      <label><input type="radio" name="alpha-kind" checked=${chosen === "auto"} onChange=${() => change(["alpha"], "auto")} /> try 0, ¼, ½, ¾ and 1, take the best on validation</label>
    </div>
    ${isNumber && html`<div class="slider">
      <label for="alpha">alpha</label>
      <input id="alpha" name="alpha" type="range" min="0" max="1" step="0.05" value=${chosen} onInput=${(event) => change(["alpha"], Number(event.target.value))} />
      <output for="alpha">${chosen.toFixed(2)}</output>
    </div>
    <p class="ends quiet"><span>0: random selection, near classes</span><span>1: set difference, far classes</span></p>`}
    ${wrong && html`<p class="bad" role="alert">${wrong}</p>`}
  </fieldset>`;
}

function Estimate({ preview, problem, budget, pool }) {
  if (problem) return html`<${Trouble} problem=${problem} />${problem.fields.length > 0 && html`<ul>${problem.fields.map((found) => html`<li key=${found.field}><code>${found.field}</code> ${found.message}</li>`)}</ul>`}`;
  if (!preview) return html`<p class="quiet">Choose a target to see what the job would cost.</p>`;
  const { estimate } = preview;
  const phases = Object.entries(estimate.seconds_by_phase).filter(([, seconds]) => seconds > 0);
  return html`<p class="large">about ${duration(estimate.seconds)}</p>
    <${Facts} facts=${[["Memory", bytes(estimate.memory_bytes)], ["Trains on", pool ? `${percent(Math.min(1, budget / pool), 0)} of the pool` : null], ["Would reuse", preview.would_reuse]]} />
    <ul class="bars" aria-label="Seconds by phase">${phases.map(([phase, seconds]) => html`<li key=${phase}>
      <span>${words(phase)}</span><meter min="0" max=${estimate.seconds} value=${seconds} aria-label=${phase}></meter><span class="numeric">${duration(seconds)}</span></li>`)}</ul>
    <p class="quiet">${estimate.basis}</p>`;
}

/** The page that sets a job up. `query` prefills it: any field of the request. */
export function NewJob({ query, go }) {
  useTitle("New job");
  const [values, setValues] = useState(() => ({ strategy: FALLBACK, ...prefilled(query) }));
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const { data: document, error } = useAnswer("/openapi.json");
  const { data: datasets } = useAnswer("/datasets?state=succeeded&limit=200");
  const estimate = useEstimate(values);
  if (error) return html`<${Trouble} problem=${error} />`;
  if (!document || !datasets) return html`<${Loading} />`;
  const { schemas } = document.components;
  const schema = schemas.JobCreate;
  const change = (path, value) => setValues((before) => assign(before, path, value));
  const shared = { schema, schemas, values, change, problem: problem ?? estimate.problem };
  const known = new Set([...ELSEWHERE, ...GROUPS.flatMap(([, names]) => names)]);
  const groups = [...GROUPS, ["More", Object.keys(schema.properties).filter((name) => !known.has(name))]];
  const target = datasets.items.find((dataset) => [dataset.name, dataset.id].includes(values.target));
  const pool = target?.result?.n_pool;
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      go(`#/jobs/${(await post("/jobs", values)).id}`);
    } catch (found) {
      setProblem(found);
      setBusy(false);
    }
  };
  return html`<${Head} title="New job" />
    <form class="two" onSubmit=${submit} onInput=${() => setProblem(null)}>
      <div>
        <${Card} title="What to learn">
          <div class="fields">
            <${Datasets} name="target" label="Target" none="choose a dataset" datasets=${datasets.items} value=${values.target} change=${change} problem=${shared.problem}
              note=${html`The images to learn. <a href="#/datasets/new">Add a dataset</a>`} />
            ${measures(values.strategy) && html`<${Datasets} name="source" label="Source" none="the service's own" datasets=${datasets.items} value=${values.source} change=${change} problem=${shared.problem}
              note="What to measure from: images like those the network was trained on." />`}
            </div>
          <${Fields} names=${["budget"]} ...${shared} />
        <//>
        ${!values.selection && html`<${Card} title="Which samples">
          <${Strategies} names=${schemas.Strategy.enum} value=${values.strategy} change=${change} />
          ${values.strategy === "mixed" && html`<${Alpha} value=${values.alpha} change=${change} problem=${shared.problem} />`}
        <//>`}
        ${groups.filter(([, names]) => names.length).map(([title, names]) => html`<details class="card" key=${title} open=${title === "From a selection" && Boolean(values.selection)}>
          <summary><h2>${title}</h2></summary><${Fields} names=${names.filter((name) => schema.properties[name])} ...${shared} /></details>`)}
      </div>
      <aside class="sticky">
        <${Card} title="Estimate"><div aria-live="polite"><${Estimate} ...${estimate} budget=${values.budget ?? schema.properties.budget.default} pool=${pool} /></div><//>
        <${Trouble} problem=${problem} />
        <button class="primary large" disabled=${busy || !values.target}>Start the job</button>
        <details><summary>As a request</summary><pre tabindex="0">POST /jobs${"\n"}${JSON.stringify(values, null, 1)}</pre></details>
      </aside>
    </form>`;
}

function prefilled(query) {
  if (query.has("request")) return JSON.parse(query.get("request"));
  const values = Object.fromEntries(query);
  // How its samples were chosen is the selection's and may not be given again.
  return values.selection ? { ...values, strategy: undefined } : values;
}
