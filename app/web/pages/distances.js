// Distances: between two datasets class by class, or between many.
import { post } from "../lib/api.js";
import { ago, count, duration, number, runTime } from "../lib/format.js";
import { useAnswer, useTitle } from "../lib/state.js";
import { html, useMemo, useState } from "../lib/view.js";
import { Card, Empty, Facts, Failure, Head, Loading, More, Progress, State, Table, Trouble } from "../parts/basics.js";
import { Chart } from "../parts/chart.js";
import { assign, Fields } from "../parts/form.js";
import { Matrix } from "../parts/matrix.js";
import { useReady } from "./datasets.js";
import { Files, Log, Steering, useWork } from "./job.js";
import { pace } from "./jobs.js";

const between = (row) => (row.datasets?.length > 2 ? `${row.datasets.length} datasets` : (row.datasets ?? []).join(" → "));
const COLUMNS = [
  { name: "Between", value: (row) => html`<a href=${`#/distances/${row.id}`} title=${row.datasets?.join(", ")}>${between(row)}</a>` },
  { name: "State", value: (row) => html`<${State} state=${row.state} /> <${Progress} work=${row} />` },
  { name: "Backbone", value: (row) => row.request.backbone },
  { name: "Run time", numeric: true, value: (row) => duration(runTime(row)) },
  { name: "Asked for", numeric: true, value: (row) => ago(row.created_at) },
];

/** The page of all distances. */
export function Distances() {
  useTitle("Distances");
  const { data, error } = useAnswer("/distances?limit=100", pace);
  return html`<${Head} title="Distances"><a class="button primary" href="#/distances/new">Measure</a><//>
    <${Trouble} problem=${error} />
    ${!data && !error && html`<${Loading} />`}
    ${data?.items.length === 0 && html`<${Empty} title="No distance yet"><p>How far a target lies from a source says what fine-tuning has to bridge, and where.</p><//>`}
    ${data?.items.length > 0 && html`<${Table} columns=${COLUMNS} rows=${data.items} keyOf=${(row) => row.id} />`}`;
}

const indices = (length) => [...Array(length).keys()];

/** Classes of both sides, the near pairs towards the corner. */
function nearFirst(result) {
  const nearest = (values) => Math.min(...values);
  const rows = result.source_classes.map((_, row) => nearest(result.label_distances[row]));
  const columns = result.target_classes.map((_, column) => nearest(result.label_distances.map((row) => row[column])));
  const by = (keys) => indices(keys.length).sort((one, other) => keys[one] - keys[other]);
  return [by(rows), by(columns)];
}

function Pairs({ result }) {
  const [sorted, setSorted] = useState(false);
  const [rows, columns] = useMemo(() => (sorted ? nearFirst(result) : [indices(result.source_classes.length), indices(result.target_classes.length)]), [result, sorted]);
  const values = useMemo(() => rows.map((row) => columns.map((column) => result.label_distances[row][column])), [rows, columns]);
  return html`<${Card} title="Class pairs" wide note="How far each source class lies from each target class, in feature units.">
    <label class="inline"><input type="checkbox" name="sorted" checked=${sorted} onChange=${(event) => setSorted(event.target.checked)} /> nearest first</label>
    <${Matrix} key=${sorted} title="Distances between classes" rows=${rows.map((row) => result.source_classes[row])} columns=${columns.map((column) => result.target_classes[column])} values=${values} rowName="source class" columnName="target class" show=${(value) => number(value, 2)} />
  <//>`;
}

const names = (places, classes) => places.map(([x, y], index) => ({ x, y, name: classes[index] }));

/** Names beside points, where there are few enough to be read. */
const labels = {
  id: "labels",
  afterDatasetsDraw(chart) {
    const context = chart.ctx;
    context.save();
    context.font = "11px system-ui, sans-serif";
    chart.data.datasets.forEach((set, index) => {
      if (set.data.length > 30) return;
      context.fillStyle = set.borderColor;
      chart.getDatasetMeta(index).data.forEach((point, at) => context.fillText(set.data[at].name, point.x + 6, point.y - 5));
    });
    context.restore();
  },
};

function ClassMap({ result }) {
  const map = result.class_map;
  const series = [
    { label: "source classes", colour: "series-2", points: names(map.source, result.source_classes), dots: 5, shape: "circle" },
    { label: "target classes", colour: "series-1", points: names(map.target, result.target_classes), dots: 6, shape: "triangle" },
  ];
  return html`<${Card} title="Map of classes" note=${`Mean features of the classes on their two principal axes, which show ${(100 * map.explained).toFixed(0)}% of how the means differ: near on the map is not always near.`}>
    <${Chart} title="Source and target classes" type="scatter" tall series=${series} marks=${labels} x=${{ title: "first axis" }} y=${{ title: "second axis" }} tooltip=${(item) => `${item.raw.name} (${item.dataset.label.split(" ")[0]})`} /><//>`;
}

function Nearest({ result }) {
  const columns = [
    { name: "Target class", value: (row) => row.name },
    { name: "Score", numeric: true, value: (row) => number(row.score) },
    { name: "Nearest in the source", value: (row) => row.nearest_source },
    { name: "Distance", numeric: true, value: (row) => number(row.nearest_distance) },
  ];
  const rows = [...result.classes].sort((one, other) => other.score - one.score);
  return html`<${Card} title="Target classes, the farthest first"><${More} items=${rows} render=${(shown) => html`<${Table} columns=${columns} rows=${shown} keyOf=${(row) => row.name} />`} /><//>`;
}

function PairFound({ result }) {
  const whole = result.dataset_distance;
  return html`<${Card} title="Distance between the datasets"><p class="huge">${number(whole.value)}</p>
      <${Facts} facts=${[
        ["Proven between", `${number(whole.lower)} and ${number(whole.upper)}`],
        ["Gap", `${number(whole.gap_percent, 2)}%`],
        ["Converged", whole.converged ? "yes" : "no"],
        ["Samples", `${count(result.n_source)} and ${count(result.n_target)}`],
        ["Stability of the ranking", result.rank_stability && `${number(result.rank_stability.mean, 2)} ± ${number(result.rank_stability.spread, 2)} (Spearman)`],
      ]} /><//>
    ${result.class_map && html`<${ClassMap} result=${result} />`}
    <${Pairs} result=${result} />
    <${Nearest} result=${result} />`;
}

function MatrixFound({ result }) {
  const ordered = result.order.map((index) => result.datasets[index]);
  const values = result.order.map((row) => result.order.map((column) => result.upper[row][column]));
  const columns = [
    { name: "Dataset", value: (row) => row.name },
    { name: "Recommended source", value: (row) => row.nearest },
    { name: "Distance", numeric: true, value: (row) => number(row.distance) },
    { name: "Proven", value: (row) => (row.settled ? "yes" : "no: another may be nearer") },
  ];
  return html`<${Card} title="Distances between datasets" wide note="In the order of a dendrogram: neighbours are near."><${Matrix} title="Distances between datasets" rows=${ordered} columns=${ordered} values=${values} rowName="dataset" columnName="dataset" /><//>
    <${Card} title="Where to transfer from"><${Table} columns=${columns} rows=${result.nearest} keyOf=${(row) => row.name} /><//>`;
}

/** The page of one distance. */
export function Distance({ id, go }) {
  const path = `/distances/${id}`;
  const { work: distance, error, reload, lines } = useWork(path);
  const title = distance ? between(distance) : "Distance";
  useTitle(title);
  if (error && !distance) return html`<${Trouble} problem=${error} />`;
  if (!distance) return html`<${Loading} />`;
  return html`<${Head} title=${title} kicker=${html`<a href="#/distances">Distances</a> / <code>${distance.id}</code>`}>
      <${Steering} path=${path} work=${distance} reload=${reload} go=${go} back="#/distances" /><//>
    <p><${State} state=${distance.state} /> <${Progress} work=${distance} /></p>
    <${Failure} error=${distance.error} />
    <div class="cards">
      ${distance.result && (distance.result.kind === "matrix" ? html`<${MatrixFound} result=${distance.result} />` : html`<${PairFound} result=${distance.result} />`)}
      ${distance.artifacts.length > 0 && html`<${Files} path=${path} artifacts=${distance.artifacts} />`}
      <${Log} lines=${lines} />
    </div>`;
}

const PLACES = ["source", "target", "datasets", "kind", "validate_only", "metadata", "tags", "name", "priority", "reuse"];

/** The page that asks for a distance. */
export function NewDistance({ query, go }) {
  useTitle("Measure a distance");
  const { data: document } = useAnswer("/openapi.json");
  const { data: ready } = useReady();
  const [chosen, setChosen] = useState(() => [query.get("source"), query.get("target")].filter(Boolean));
  const [values, setValues] = useState({});
  const [problem, setProblem] = useState(null);
  if (!document || !ready) return html`<${Loading} />`;
  const { schemas } = document.components;
  const pair = chosen.length === 2;
  const schema = schemas[pair ? "PairDistanceCreate" : "MatrixDistanceCreate"];
  const pick = (name) => setChosen(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name]);
  const submit = async (event) => {
    event.preventDefault();
    try {
      const [source, target] = chosen;
      go(`#/distances/${(await post("/distances", { ...(pair ? { source, target } : { datasets: chosen }), ...values })).id}`);
    } catch (found) {
      setProblem(found);
    }
  };
  return html`<${Head} title="Measure a distance" kicker=${html`<a href="#/distances">Distances</a>`} />
    <form onSubmit=${submit} onInput=${() => setProblem(null)}>
      <${Card} title="Between" note="Two: the first is the source, the second the target, class by class. More: all pairs of them.">
        <div class="choices">${ready.items.map((dataset) => {
          const place = chosen.indexOf(dataset.name);
          const role = pair ? ["source", "target"][place] : place + 1;
          return html`<label key=${dataset.id}><input type="checkbox" name=${`dataset.${dataset.name}`} checked=${place >= 0} onChange=${() => pick(dataset.name)} /> ${dataset.name}${place >= 0 ? html` <span class="tag">${role}</span>` : ""}</label>`;
        })}</div><//>
      <details class="card"><summary><h2>Settings</h2></summary><${Fields} names=${Object.keys(schema.properties).filter((name) => !PLACES.includes(name))} schema=${schema} schemas=${schemas} values=${values} change=${(path, value) => setValues(assign(values, path, value))} problem=${problem} /></details>
      <${Trouble} problem=${problem} />
      <button class="primary large" disabled=${chosen.length < 2}>Measure</button>
    </form>`;
}
