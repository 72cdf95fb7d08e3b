// Datasets: what there is, what is in each, and how one comes in.
import { post } from "../lib/api.js";
import { ago, count, percent, words } from "../lib/format.js";
import { isActive, useAnswer, useTitle } from "../lib/state.js";
import { html, useState } from "../lib/view.js";
import { Card, Empty, Facts, Failure, Head, Loading, More, Progress, State, Table, Trouble } from "../parts/basics.js";
import { Gallery } from "../parts/gallery.js";
import { Field, assign } from "../parts/form.js";
import { Picker, upload } from "../parts/upload.js";
import { Files, Log, Steering, useWork } from "./job.js";
import { JobTable, pace } from "./jobs.js";

const COLUMNS = [
  { name: "Dataset", value: (row) => html`<a href=${`#/datasets/${row.name}`}>${row.name}</a>${row.tags.map((tag) => html` <span class="tag" key=${tag}>${tag}</span>`)}` },
  { name: "State", value: (row) => html`<${State} state=${row.state} /> <${Progress} work=${row} />` },
  { name: "Classes", numeric: true, value: (row) => (row.labelled ? count(row.result?.classes.length) : "unlabelled") },
  { name: "To choose from", numeric: true, value: (row) => count(row.result?.n_pool) },
  { name: "To test on", numeric: true, value: (row) => count(row.result?.n_test) },
  { name: "Format", value: (row) => words(row.format) },
  { name: "Registered", numeric: true, value: (row) => ago(row.created_at) },
];

/** The page of all datasets. */
export function Datasets() {
  useTitle("Datasets");
  const { data, error } = useAnswer("/datasets?limit=200", pace);
  return html`<${Head} title="Datasets"><a class="button primary" href="#/datasets/new">Add a dataset</a><//>
    <${Trouble} problem=${error} />
    ${!data && !error && html`<${Loading} />`}
    ${data?.items.length === 0 && html`<${Empty} title="No dataset yet"><p>Add a folder of images from this computer, or one of those that are built in.</p><//>`}
    ${data?.items.length > 0 && html`<${Table} columns=${COLUMNS} rows=${data.items} keyOf=${(row) => row.id} />`}`;
}

/** How many samples of each class there are, as bars that are a table. */
function Histogram({ classes }) {
  const most = Math.max(1, ...classes.map((entry) => Math.max(entry.pool, entry.test)));
  const bar = (value, kind) => html`<span class="bar-cell"><span class=${`bar-fill ${kind}`} style=${{ width: `${(100 * value) / most}%` }}></span><span>${count(value)}</span></span>`;
  const columns = [
    { name: "Class", value: (row) => row.name },
    { name: "To choose from", value: (row) => bar(row.pool, "one") },
    { name: "To test on", value: (row) => bar(row.test, "two") },
  ];
  return html`<${More} items=${classes} first=${20} render=${(shown) => html`<${Table} columns=${columns} rows=${shown} keyOf=${(row) => row.name} />`} />`;
}

/** The page of one dataset. */
export function Dataset({ id, go }) {
  const path = `/datasets/${id}`;
  const { work: dataset, error, reload, lines } = useWork(path);
  const { data: jobs } = useAnswer(`/jobs?target=${id}&limit=10`, pace);
  useTitle(dataset?.name ?? "Dataset");
  if (error && !dataset) return html`<${Trouble} problem=${error} />`;
  if (!dataset) return html`<${Loading} />`;
  const { result } = dataset;
  return html`<${Head} title=${dataset.name} kicker=${html`<a href="#/datasets">Datasets</a> / <code>${dataset.id}</code>`}>
      ${dataset.labelled
        ? html`<a class="button primary" href=${`#/new?target=${dataset.name}`}>Train on it</a>`
        : html`<a class="button primary" href=${`#/selections/new?target=${dataset.name}`}>Choose what to label</a>`}
      <a class="button" href=${`#/distances/new?target=${dataset.name}`}>Measure a distance</a>
      <${Steering} path=${path} work=${dataset} reload=${reload} go=${go} back="#/datasets" />
    <//>
    <p><${State} state=${dataset.state} /> <${Progress} work=${dataset} /></p>
    <${Failure} error=${dataset.error} />
    <div class="cards">
      <${Card} title="What it is"><${Facts} facts=${[
        ["Format", words(dataset.format)],
        ["Classes", result && (dataset.labelled ? count(result.classes.length) : "unlabelled")],
        ["To choose from", result && count(result.n_pool)],
        ["To test on", result && (result.n_test ? `${count(result.n_test)} (${percent(result.n_test / (result.n_pool + result.n_test), 0)})` : "nothing")],
        ["Digest", dataset.digest && html`<code title=${dataset.digest}>${dataset.digest.slice(0, 16)}…</code>`],
        ["Tags", dataset.tags.join(", ")],
        ...Object.entries(dataset.metadata),
      ]} /><//>
      ${result?.classes.length > 0 && html`<${Card} title="Classes"><${Histogram} classes=${result.classes} /><//>`}
      ${dataset.artifacts?.length > 0 && html`<${Card} title="Samples" wide><${Gallery} path=${path} artifacts=${dataset.artifacts} /><//>`}
      ${jobs?.items.length > 0 && html`<${Card} title="Jobs on it" wide><${JobTable} jobs=${jobs.items} /><//>`}
      ${dataset.artifacts?.length > 0 && html`<${Files} path=${path} artifacts=${dataset.artifacts} />`}
      <${Log} lines=${lines} />
    </div>`;
}

const KINDS = { computer: "From this computer", server: "On the server", builtin: "Built in" };

/** The form for images on the user's own computer. */
function FromComputer({ go }) {
  const [picked, setPicked] = useState(null);
  const [values, setValues] = useState({ name: "", labelled: true });
  const [told, setTold] = useState(null);
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setProblem(null);
    try {
      setTold({ what: "Packing", share: 0 });
      const blob = await picked.blob((share) => setTold({ what: "Packing", share }));
      const id = await upload(blob, picked.filename, (share) => setTold({ what: "Sending", share }));
      const dataset = await post("/datasets", { format: picked.format, upload: id, name: values.name, ...(values.labelled ? {} : { labelled: false }) });
      go(`#/datasets/${dataset.name}`);
    } catch (found) {
      setProblem(found);
      setTold(null);
    }
  };
  return html`<form onSubmit=${submit}>
    <${Picker} onPicked=${(found) => (setPicked(found), setValues({ ...values, name: found.name }))} />
    <div class="fields">
      <div class="field"><label for="name">Name</label><input id="name" name="name" required pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" value=${values.name} onInput=${(event) => setValues({ ...values, name: event.target.value })} />
        <p class="quiet">What jobs call it. Letters, digits, dots, dashes and underscores.</p></div>
      <div class="field switch"><label for="labelled">The folders are classes</label><input id="labelled" name="labelled" type="checkbox" checked=${values.labelled} onChange=${(event) => setValues({ ...values, labelled: event.target.checked })} />
        <p class="quiet">Without classes the images are one pool, to choose from what is worth a label.</p></div>
    </div>
    ${told && html`<p role="status"><progress max="1" value=${told.share} aria-label=${told.what}></progress> ${told.what} ${percent(told.share, 0)}</p>`}
    <${Trouble} problem=${problem} />
    <button class="primary large" disabled=${!picked || Boolean(told)}>Add the dataset</button>
  </form>`;
}

/** The form of any other registration, from the API's schemas. */
function FromSchema({ bodies, schemas, fixed, hidden, go }) {
  const [kind, setKind] = useState(Object.keys(bodies)[0]);
  const [values, setValues] = useState({});
  const [problem, setProblem] = useState(null);
  const schema = bodies[kind];
  const names = Object.keys(schema.properties).filter((name) => !hidden.includes(name));
  const submit = async (event) => {
    event.preventDefault();
    try {
      go(`#/datasets/${(await post("/datasets", { ...fixed, format: kind, ...values })).name}`);
    } catch (found) {
      setProblem(found);
    }
  };
  return html`<form onSubmit=${submit} onInput=${() => setProblem(null)}>
    ${Object.keys(bodies).length > 1 && html`<div class="field"><label for="format">Format</label>
      <select id="format" name="format" value=${kind} onChange=${(event) => (setKind(event.target.value), setValues({}))}>${Object.keys(bodies).map((name) => html`<option key=${name} value=${name}>${words(name)}</option>`)}</select>
      <p class="quiet">${schema.description}</p></div>`}
    <div class="fields">${names.map((name) => html`<${Field} key=${`${kind}.${name}`} name=${name} schema=${schema.properties[name]} schemas=${schemas} values=${values} problem=${problem} change=${(path, value) => setValues(assign(values, path, value))} />`)}</div>
    <${Trouble} problem=${problem} />
    <button class="primary large">Add the dataset</button>
  </form>`;
}

/** The page that adds a dataset. */
export function NewDataset({ go }) {
  useTitle("Add a dataset");
  const [kind, setKind] = useState("computer");
  const { data: document } = useAnswer("/openapi.json");
  const schemas = document?.components.schemas;
  const mapping = schemas && document.paths["/datasets"].post.requestBody.content["application/json"].schema.discriminator.mapping;
  const bodies = mapping && Object.fromEntries(Object.entries(mapping).map(([name, reference]) => [name, schemas[reference.split("/").pop()]]));
  const { builtin, ...others } = bodies ?? {};
  const hidden = ["format", "upload", "priority", "validate_only", "metadata", "tags", "folder"];
  return html`<${Head} title="Add a dataset" kicker=${html`<a href="#/datasets">Datasets</a>`} />
    <div class="tabs" role="tablist" aria-label="Where the images are">${Object.entries(KINDS).map(([name, title]) => html`<button key=${name} type="button" role="tab" id=${`tab-${name}`} aria-selected=${kind === name} aria-controls="tab-panel" onClick=${() => setKind(name)}>${title}</button>`)}</div>
    <section class="card" id="tab-panel" role="tabpanel" aria-labelledby=${`tab-${kind}`}>
      ${kind === "computer" && html`<${FromComputer} go=${go} />`}
      ${kind === "server" && bodies && html`<p class="quiet">Below a folder that whoever runs the service has opened for datasets.</p><${FromSchema} key="server" bodies=${others} schemas=${schemas} hidden=${hidden} go=${go} />`}
      ${kind === "builtin" && bodies && html`<p class="quiet">Small sets of real digits that come with the service: for trying, and for little else.</p><${FromSchema} key="builtin" bodies=${{ builtin }} schemas=${schemas} hidden=${hidden} go=${go} />`}
    </section>`;
}

/** Datasets that are ready, for a form. */
export const useReady = () => useAnswer("/datasets?state=succeeded&limit=200", (list) => (list?.items.some(isActive) ? 2000 : 0));
