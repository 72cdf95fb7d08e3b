// One job: what it does while it runs, and what it found.
import { download, follow, get, post, remove } from "../lib/api.js";
import { ago, bytes, count, duration, number, percent, runTime, spread, words } from "../lib/format.js";
import { isActive, useAnswer, useTitle } from "../lib/state.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/view.js";
import { Action, Card, Facts, Failure, Head, Loading, More, Progress, State, Table, Trouble } from "../parts/basics.js";
import { Chart, SERIES } from "../parts/chart.js";
import { Gallery } from "../parts/gallery.js";
import { Matrix } from "../parts/matrix.js";
import { jobName } from "./jobs.js";

const COMPARED = 12;
const LINES = 400;
const EPOCHS = { title: "epoch", options: { ticks: { precision: 0 } } };

/** A piece of work, kept up to date by its events; with its log. */
export function useWork(path) {
  const { data, error, reload } = useAnswer(path);
  const [live, setLive] = useState(null);
  const [lines, setLines] = useState([]);
  const [epochs, setEpochs] = useState([]);
  const id = data?.id;
  useEffect(() => {
    if (!id) return undefined;
    const controller = new AbortController();
    setLines([]);
    setEpochs([]);
    follow(
      `${path}/events`,
      ({ kind, body, at, attempt }) => {
        if (kind === "log") setLines((before) => [...before.slice(1 - LINES), { ...body, at }]);
        if (kind === "epoch") setEpochs((before) => [...before, { ...body, attempt }]);
        if (kind === "phase" || kind === "progress") setLive({ phase: body.phase, progress: body.progress ?? 0, timings: body.timings });
        if (kind === "state") {
          setLive(null);
          reload();
        }
      },
      controller.signal,
    );
    return () => controller.abort();
  }, [id]);
  const work = data && live && isActive(data) ? { ...data, ...live, timings: live.timings ?? data.timings, state: "running" } : data;
  return { work, error, reload, lines, epochs };
}

/** What may be done with a piece of work. */
export function Steering({ path, work, reload, go, back }) {
  return html`
    ${isActive(work) && html`<${Action} label="Cancel" run=${async () => (await post(`${path}/cancel`), reload())} confirm="Really cancel" />`}
    ${["failed", "cancelled"].includes(work.state) && html`<${Action} label="Try again" run=${async () => (await post(`${path}/retry`), reload())} />`}
    ${!isActive(work) && html`<${Action} label="Delete" confirm="Really delete" run=${async () => (await remove(path), go(back))} />`}`;
}

function Timeline({ work }) {
  const timings = Object.entries(work.timings ?? {});
  const total = timings.reduce((sum, [, seconds]) => sum + seconds, 0);
  if (!timings.length && !isActive(work)) return null;
  return html`<${Card} title="Phases" wide>
    <${Progress} work=${work} />
    <ol class="timeline">${timings.map(([phase, seconds], index) => html`<li key=${phase} class=${`phase-${index % 6}`} style=${{ flexGrow: Math.max(seconds / (total || 1), 0.02) }}>
      <span class="bar"></span><span>${words(phase)}</span> <span class="quiet">${duration(seconds)}</span></li>`)}</ol>
  <//>`;
}

/** Other jobs on the same target that have succeeded, with their results: what a result is to be compared with. */
function useOthers(job) {
  const [others, setOthers] = useState([]);
  useEffect(() => {
    if (job.state !== "succeeded") return undefined;
    const controller = new AbortController();
    (async () => {
      const query = new URLSearchParams({ target: job.target, state: "succeeded", limit: COMPARED });
      const { items } = await get(`/jobs?${query}`, controller.signal);
      const rest = items.filter((other) => other.id !== job.id);
      setOthers(await Promise.all(rest.map((other) => get(`/jobs/${other.id}`, controller.signal))));
    })().catch(() => {});
    return () => controller.abort();
  }, [job.id, job.state]);
  return others;
}

const RESULT_COLUMNS = [
  { name: "Classifier", value: (row) => html`${row.job ? html`<a href=${`#/jobs/${row.job.id}`}>${words(row.phase.phase)}</a>` : html`<strong>${words(row.phase.phase)}</strong>`}${row.note && html` <span class="quiet">${row.note}</span>`}` },
  { name: "Accuracy %", numeric: true, value: (row) => html`<strong>${spread(row.phase.accuracy)}</strong>` },
  { name: "Macro F1 %", numeric: true, value: (row) => spread(row.phase.macro_f1) },
  { name: "Calibration error %", numeric: true, value: (row) => spread(row.phase.calibration_error) },
  { name: "Log loss", numeric: true, value: (row) => number(row.phase.log_loss?.mean) },
  { name: "Seeds", numeric: true, value: (row) => row.phase.accuracy.values.length },
];

function Results({ job, result }) {
  const others = useOthers(job);
  const rows = [
    ...result.phases.map((phase, index) => ({ phase, mark: index === result.phases.length - 1 ? "chosen" : "", note: phase.phase.startsWith("zero_shot") ? "no training" : `${count(result.selection.size)} samples` })),
    ...others.map((other) => ({ phase: other.result.phases.at(-1), job: other, note: `${count(other.result.selection.size)} samples, ${ago(other.finished_at)}` })),
  ];
  const { checkpoint } = result;
  return html`<${Card} title="Results" wide note=${`On ${count(result.n_test)} test images that took no part in choosing or training. Mean over seeds, ± half of a 95% interval.`}>
    <${Table} columns=${RESULT_COLUMNS} rows=${rows} caption=${others.length ? "This job, and others on the same target" : null} />
    <p>The checkpoint holds seed ${checkpoint.seed}: <strong>${checkpoint.n_correct} of ${checkpoint.n_test}</strong> right (${percent(checkpoint.accuracy, 2)}).
      ${result.selection.shortfall > 0 && ` ${count(result.selection.shortfall)} fewer samples than the budget: there were no more to take.`}</p>
  <//>`;
}

/** Curves by epoch; of the result where there is one, of the events that have come so far otherwise. */
function curvesOf(result, epochs) {
  if (result) {
    const of = (phase, first) => (course) => ({ phase, seed: course.seed, alpha: null, first, ...course });
    return [...result.training.map(of("training", 1)), ...result.tuning.map(of("tuning", 0))];
  }
  const found = new Map();
  const last = Math.max(0, ...epochs.map((epoch) => epoch.attempt));
  for (const epoch of epochs.filter((one) => one.attempt === last && one.alpha == null)) {
    const name = `${epoch.phase} ${epoch.seed}`;
    if (!found.has(name)) found.set(name, { phase: epoch.phase, seed: epoch.seed, first: epoch.epoch, train_loss: [], validation_loss: [], validation_accuracy: [] });
    const course = found.get(name);
    for (const key of ["train_loss", "validation_loss", "validation_accuracy"]) if (epoch[key] != null) course[key].push(epoch[key]);
  }
  return [...found.values()];
}

const points = (values, first) => values.map((value, index) => ({ x: first + index, y: value }));

function Curves({ result, epochs }) {
  const curves = useMemo(() => curvesOf(result, epochs), [result, epochs.length]);
  if (!curves.length) return null;
  return html`<${Card} title="Learning curves" wide><div class="pair">${["training", "tuning"].map((phase) => {
    const courses = curves.filter((course) => course.phase === phase);
    if (!courses.length) return null;
    const of = (key, dashed) => courses.filter((course) => course[key].length).map((course, index) => ({ label: `seed ${course.seed}${dashed ? ", held out" : ""}`, colour: SERIES[index % SERIES.length], dashed, dots: 0, points: points(course[key], course.first) }));
    const accuracy = of("validation_accuracy").map((one) => ({ ...one, points: one.points.map(({ x, y }) => ({ x, y: 100 * y })) }));
    return html`<${Chart} key=${phase} title=${`Loss in ${phase}`} series=${[...of("train_loss"), ...of("validation_loss", true)]} x=${EPOCHS} y=${{ title: "loss, nats" }} />
      ${accuracy.length > 0 && html`<${Chart} key=${`${phase}-accuracy`} title=${`Accuracy on held-out samples in ${phase}`} series=${accuracy} x=${EPOCHS} y=${{ title: "accuracy, %" }} />`}`;
  })}</div><//>`;
}

function AlphaCurve({ sweep }) {
  const of = (key, shift) => sweep.points.map((point) => ({ x: point.alpha, y: 100 * Math.min(1, Math.max(0, point[key].mean + shift * (point[key].interval ?? 0))) }));
  const band = (key, name) => [
    { colour: name, points: of(key, 1), hidden: true },
    { colour: name, points: of(key, -1), hidden: true, fill: "-1" },
  ];
  const series = [
    { label: "validation, which chooses", colour: "series-1", points: of("validation_accuracy", 0), dots: 4 },
    { label: "test, which has no say", colour: "series-2", points: of("test_accuracy", 0), dots: 4, dashed: true },
    ...band("validation_accuracy", "series-1"),
  ];
  return html`<${Card} title="Choosing alpha" note=${`Alpha ${number(sweep.chosen, 2)} was best on validation. The choice took ${count(sweep.n_labels)} labels: those of all alphas together. The band is a 95% interval over seeds.`}>
    <${Chart} title="Accuracy by alpha" series=${series} x=${{ title: "alpha", options: { min: 0, max: 1 } }} y=${{ title: "accuracy, %" }} /><//>`;
}

function Confusion({ result }) {
  const [index, setIndex] = useState(result.phases.length - 1);
  const phase = result.phases[index];
  return html`<${Card} title="Confusion" note="Counts, summed over seeds.">
    <label>Classifier <select name="confusion-phase" value=${index} onChange=${(event) => setIndex(Number(event.target.value))}>${result.phases.map((each, place) => html`<option key=${each.phase} value=${place}>${words(each.phase)}</option>`)}</select></label>
    <${Matrix} key=${index} title=${`Confusion of ${words(phase.phase)}`} rows=${result.classes} columns=${result.classes} values=${phase.confusion} rowName="true class" columnName="predicted class" show=${(value) => count(value)} />
  <//>`;
}

function Calibration({ phase }) {
  const known = phase.reliability.filter((bin) => bin.count);
  if (!known.length) return null;
  const series = [
    { label: "right among those so confident", colour: "series-1", points: known.map((bin) => ({ x: 100 * bin.confidence, y: 100 * bin.accuracy })), dots: 4 },
    { label: "perfectly calibrated", colour: "quiet", points: [{ x: 0, y: 0 }, { x: 100, y: 100 }], dashed: true, dots: 0 },
  ];
  return html`<${Card} title="Calibration" note=${`Gap between confidence and accuracy: ${spread(phase.calibration_error)}%.`}>
    <${Chart} title="Accuracy by confidence" series=${series} x=${{ title: "confidence, %", options: { min: 0, max: 100 } }} y=${{ title: "accuracy, %", options: { min: 0, max: 100 } }} /><//>`;
}

function Classes({ result }) {
  const recalls = result.phases.at(-1).per_class_recall;
  const distances = new Map(result.class_distances.map((entry) => [entry.name, entry]));
  const rows = result.classes.map((name, index) => ({ name, recall: recalls[index], chosen: result.selection.per_class[index], distance: distances.get(name) }));
  const columns = [
    { name: "Class", value: (row) => row.name },
    { name: "Chosen", numeric: true, value: (row) => count(row.chosen) },
    { name: "Recall", numeric: true, value: (row) => percent(row.recall) },
    ...(distances.size
      ? [
          { name: "Score", numeric: true, value: (row) => number(row.distance?.score) },
          { name: "Nearest in the source", value: (row) => row.distance?.nearest_source ?? "–" },
        ]
      : []),
  ];
  return html`<${Card} title="Classes" note="Samples chosen, mean over seeds; recall of the last classifier; how far the class lies from the source, where it was measured.">
    <${More} items=${rows} render=${(shown) => html`<${Table} columns=${columns} rows=${shown} keyOf=${(row) => row.name} />`} /><//>`;
}

/** The files of a piece of work. */
export const Files = ({ path, artifacts }) => html`<${Card} title="Files">
  <${Table} keyOf=${(file) => file.name} rows=${artifacts} columns=${[
    { name: "File", value: (file) => html`<${Action} kind="link" label=${file.name} run=${() => download(`${path}/artifacts/${file.name}`, file.name, file.sha256)} />` },
    { name: "Size", numeric: true, value: (file) => bytes(file.size) },
    { name: "sha256", value: (file) => html`<code class="quiet" title=${file.sha256}>${file.sha256.slice(0, 12)}…</code>` },
  ]} /><//>`;

/** The log of a piece of work, as it is written. */
export function Log({ lines }) {
  const end = useRef(null);
  useEffect(() => {
    const box = end.current;
    if (box && box.scrollHeight - box.scrollTop - box.clientHeight < 80) box.scrollTop = box.scrollHeight;
  }, [lines.length]);
  if (!lines.length) return null;
  return html`<${Card} title="Log" wide><pre class="log" ref=${end} tabindex="0" aria-label="Log">${lines.map((line) => `${line.at.slice(11, 19)} ${line.level.padEnd(7)} ${line.message}\n`).join("")}</pre><//>`;
}

/** The page of one job. */
export function Job({ id, go }) {
  const path = `/jobs/${id}`;
  const { work: job, error, reload, lines, epochs } = useWork(path);
  useTitle(job ? jobName(job) : "Job");
  if (error && !job) return html`<${Trouble} problem=${error} />`;
  if (!job) return html`<${Loading} />`;
  const { result } = job;
  const checkpoint = job.artifacts.find((file) => file.name === "checkpoint.safetensors");
  const again = `#/new?${new URLSearchParams({ request: JSON.stringify(job.request) })}`;
  return html`<${Head} title=${jobName(job)} kicker=${html`<a href="#/">Jobs</a> / <code>${job.id}</code>`}>
      ${checkpoint && html`<${Action} kind="primary" label=${`Download checkpoint, ${bytes(checkpoint.size)}`} run=${() => download(`${path}/checkpoint`, "checkpoint.safetensors", checkpoint.sha256)} />`}
      <a class="button" href=${again}>Use again</a>
      <${Steering} path=${path} work=${job} reload=${reload} go=${go} back="#/" />
    <//>
    <p><${State} state=${job.state} /> <span class="quiet">${job.started_at ? `ran ${duration(runTime(job))}` : "not started"}, asked for ${ago(job.created_at)}</span></p>
    <${Failure} error=${job.error} />
    <div class="cards">
      <${Card} title="Request"><${Facts} facts=${[
        ["Target", html`<a href=${`#/datasets/${job.target}`}>${job.target}</a>`],
        ["Source", job.source && html`<a href=${`#/datasets/${job.source}`}>${job.source}</a>`],
        ["Strategy", words(job.strategy)],
        ["Alpha", job.strategy === "mixed" ? (job.alpha ?? "to be chosen") : null],
        ["Budget", count(job.request.budget)],
        ["Backbone", `${job.request.backbone}${job.request.input_size ? ` at ${job.request.input_size} px` : ""}`],
        ["Seeds", job.request.seeds.join(", ")],
        ["Attempt", job.attempt > 1 ? job.attempt : null],
      ]} /><details><summary>Every setting</summary><pre tabindex="0" aria-label="Every setting">${JSON.stringify(job.request, null, 1)}</pre></details><//>
      ${result && html`<${Card} title="Accuracy"><p class="huge">${spread(result.phases.at(-1).accuracy)}<small>%</small></p>
        <${Facts} facts=${[["Best zero-shot", `${percent(Math.max(...result.phases.filter((phase) => phase.phase.startsWith("zero_shot")).map((phase) => phase.accuracy.mean), 0))}`], ["Trained on", `${count(result.selection.size)} of ${count(result.n_pool)}`], ["Tested on", count(result.n_test)]]} /><//>`}
      <${Timeline} work=${job} />
      ${result && html`<${Results} job=${job} result=${result} />`}
      <${Curves} result=${result} epochs=${epochs} />
      ${result?.alpha_sweep && html`<${AlphaCurve} sweep=${result.alpha_sweep} />`}
      ${result && html`<${Confusion} result=${result} /><${Calibration} phase=${result.phases.at(-1)} /><${Classes} result=${result} />`}
      ${job.artifacts.some((file) => file.name === "gallery.webp") && html`<${Card} title="Selected samples" wide note="Those that the checkpoint was trained on, by class, with what they were ranked by where the strategy ranks."><${Gallery} path=${path} artifacts=${job.artifacts} /><//>`}
      ${job.artifacts.length > 0 && html`<${Files} path=${path} artifacts=${job.artifacts} />`}
      <${Log} lines=${lines} />
    </div>`;
}
