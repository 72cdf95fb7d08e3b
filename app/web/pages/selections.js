// Selections: which images are worth a label.
import { download, post } from "../lib/api.js";
import { ago, count, duration, number, runTime, words } from "../lib/format.js";
import { useAnswer, useTitle } from "../lib/state.js";
import { html, useState } from "../lib/view.js";
import { Action, Card, Empty, Facts, Failure, Head, Loading, More, Progress, State, Table, Trouble } from "../parts/basics.js";
import { assign, Fields } from "../parts/form.js";
import { Gallery } from "../parts/gallery.js";
import { useReady } from "./datasets.js";
import { Files, Log, Steering, useWork } from "./job.js";
import { pace } from "./jobs.js";

const COLUMNS = [
  { name: "Selection", value: (row) => html`<a href=${`#/selections/${row.id}`}>${count(row.request.budget)} by ${words(row.request.strategy)}</a>` },
  { name: "From", value: (row) => html`<a href=${`#/datasets/${row.target}`}>${row.target}</a>` },
  { name: "State", value: (row) => html`<${State} state=${row.state} /> <${Progress} work=${row} />` },
  { name: "Run time", numeric: true, value: (row) => duration(runTime(row)) },
  { name: "Asked for", numeric: true, value: (row) => ago(row.created_at) },
];

/** The page of all selections. */
export function Selections() {
  useTitle("Selections");
  const { data, error } = useAnswer("/selections?limit=100", pace);
  return html`<${Head} title="Selections"><a class="button primary" href="#/selections/new">Choose what to label</a><//>
    <${Trouble} problem=${error} />
    ${!data && !error && html`<${Loading} />`}
    ${data?.items.length === 0 && html`<${Empty} title="No selection yet"><p>Many images, few labels: OT3L chooses those that stand best for all the others, without reading a label. Label those, and train on them.</p><//>`}
    ${data?.items.length > 0 && html`<${Table} columns=${COLUMNS} rows=${data.items} keyOf=${(row) => row.id} />`}`;
}

function Groups({ groups }) {
  const columns = [
    { name: "Class or cluster", value: (row) => row.name },
    { name: "Chosen", numeric: true, value: (row) => count(row.chosen) },
    { name: "Of", numeric: true, value: (row) => count(row.pool) },
  ];
  return html`<${Card} title="Where they are from"><${More} items=${groups} render=${(shown) => html`<${Table} columns=${columns} rows=${shown} keyOf=${(row) => row.name} />`} /><//>`;
}

/** The page of one selection. */
export function Selection({ id, go }) {
  const path = `/selections/${id}`;
  const { work: selection, error, reload, lines } = useWork(path);
  const title = selection ? `${count(selection.request.budget)} of ${selection.target}` : "Selection";
  useTitle(title);
  if (error && !selection) return html`<${Trouble} problem=${error} />`;
  if (!selection) return html`<${Loading} />`;
  const { result } = selection;
  const manifest = selection.artifacts.find((file) => file.name === "manifest.csv");
  return html`<${Head} title=${title} kicker=${html`<a href="#/selections">Selections</a> / <code>${selection.id}</code>`}>
      ${manifest && html`<${Action} kind="primary" label="Download the list to label" run=${() => download(`${path}/artifacts/manifest.csv`, "manifest.csv", manifest.sha256)} />
        <a class="button" href=${`#/new?target=${selection.target}&selection=${selection.id}`}>Train on it</a>`}
      <${Steering} path=${path} work=${selection} reload=${reload} go=${go} back="#/selections" />
    <//>
    <p><${State} state=${selection.state} /> <${Progress} work=${selection} /></p>
    <${Failure} error=${selection.error} />
    <div class="cards">
      <${Card} title="How"><${Facts} facts=${[
        ["From", html`<a href=${`#/datasets/${selection.target}`}>${selection.target}</a>`],
        ["Strategy", words(selection.request.strategy)],
        ["Chosen", result && `${count(result.size)} of ${count(result.n_pool)}`],
        ["Classes stand by", result?.pool_labels && words(result.pool_labels)],
        ["Transport distance to all of it", result?.quantisation_error != null ? number(result.quantisation_error) : null],
        ["Backbone", selection.request.backbone],
      ]} /><//>
      ${result?.groups.length > 0 && html`<${Groups} groups=${result.groups} />`}
      ${selection.artifacts.some((file) => file.name === "gallery.webp") && html`<${Card} title="Chosen images" wide><${Gallery} path=${path} artifacts=${selection.artifacts} /><//>`}
      ${selection.artifacts.length > 0 && html`<${Files} path=${path} artifacts=${selection.artifacts} />`}
      <${Log} lines=${lines} />
    </div>`;
}

const PLACES = ["target", "validate_only", "priority"];

/** The page that asks for a selection. */
export function NewSelection({ query, go }) {
  useTitle("Choose what to label");
  const { data: document } = useAnswer("/openapi.json");
  const { data: ready } = useReady();
  const [values, setValues] = useState(() => Object.fromEntries(query));
  const [problem, setProblem] = useState(null);
  if (!document || !ready) return html`<${Loading} />`;
  const { schemas } = document.components;
  const schema = schemas.SelectionCreate;
  const first = ["budget", "strategy"];
  const shared = { schema, schemas, values, problem, change: (path, value) => setValues(assign(values, path, value)) };
  const submit = async (event) => {
    event.preventDefault();
    try {
      go(`#/selections/${(await post("/selections", values)).id}`);
    } catch (found) {
      setProblem(found);
    }
  };
  return html`<${Head} title="Choose what to label" kicker=${html`<a href="#/selections">Selections</a>`} />
    <form onSubmit=${submit} onInput=${() => setProblem(null)}>
      <${Card} title="From which images, and how many">
        <div class="fields">
          <div class="field"><label for="target">Images</label><select id="target" name="target" required value=${values.target ?? ""} onChange=${(event) => shared.change(["target"], event.target.value || undefined)}>
            <option value="">choose a dataset</option>${ready.items.map((dataset) => html`<option key=${dataset.id} value=${dataset.name}>${dataset.name} (${count(dataset.result?.n_pool)} images)</option>`)}</select>
            <p class="quiet">Labels are not needed. <a href="#/datasets/new">Add a dataset</a></p></div>
        </div>
        <${Fields} names=${first} ...${shared} /><//>
      <details class="card"><summary><h2>Settings</h2></summary><${Fields} names=${Object.keys(schema.properties).filter((name) => ![...PLACES, ...first].includes(name))} ...${shared} /></details>
      <${Trouble} problem=${problem} />
      <button class="primary large" disabled=${!values.target}>Choose</button>
    </form>`;
}
