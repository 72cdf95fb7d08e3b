// Forms from the API's own document: what it takes is asked for, with its bounds, its defaults and its words.
import { html } from "../lib/view.js";
import { words } from "../lib/format.js";

/** A schema with its reference followed and its `null` taken away: { ...schema, nullable }. */
export function resolve(schema, schemas) {
  if (schema.$ref) return { ...resolve(schemas[schema.$ref.split("/").pop()], schemas), ...omit(schema, "$ref") };
  const branches = schema.anyOf?.filter((branch) => branch.type !== "null");
  if (branches?.length === 1) return { ...resolve(branches[0], schemas), ...omit(schema, "anyOf"), nullable: true };
  return schema;
}

const omit = (object, key) => Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));

/** `object` with `path` (names) set to `value`, or without it where that is undefined; empty objects stay. */
export function assign(object, [name, ...rest], value) {
  const inner = rest.length ? assign(object[name] ?? {}, rest, value) : value;
  return inner === undefined ? omit(object, name) : { ...object, [name]: inner };
}

const numbers = (text) => text.split(/[\s,;]+/).filter(Boolean).map(Number);

/** What is wrong with a field, by the service's answer. */
export const errorOf = (problem, name) => problem?.fields.find((found) => found.field === name || found.field.startsWith(`${name}.`))?.message;

function Input({ id, schema, value, change, described }) {
  const shared = { id, name: id, "aria-describedby": described };
  const none = schema.nullable ? null : undefined;
  if (schema.enum) {
    return html`<select ...${shared} value=${value ?? schema.default ?? ""} onChange=${(event) => change(event.target.value || undefined)}>
      ${schema.nullable && html`<option value="">default</option>`}
      ${schema.enum.map((name) => html`<option key=${name} value=${name}>${words(name)}</option>`)}
    </select>`;
  }
  if (schema.type === "boolean") {
    return html`<input ...${shared} type="checkbox" checked=${value ?? schema.default ?? false} onChange=${(event) => change(event.target.checked)} />`;
  }
  if (schema.type === "integer" || schema.type === "number") {
    const [low, high] = [schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum];
    return html`<input ...${shared} type="number" inputmode="decimal" min=${low} max=${high} step=${schema.type === "integer" ? 1 : "any"}
      value=${value ?? ""} placeholder=${schema.default ?? "default"}
      onInput=${(event) => change(event.target.value === "" ? undefined : Number(event.target.value))} />`;
  }
  if (schema.type === "array" && schema.items.type === "integer") {
    return html`<input ...${shared} type="text" inputmode="numeric" value=${value?.join(", ") ?? ""} placeholder=${schema.default?.join(", ")}
      onChange=${(event) => change(event.target.value.trim() ? numbers(event.target.value) : undefined)} />`;
  }
  if (schema.type === "array") {
    return html`<input ...${shared} type="text" value=${value?.join(", ") ?? ""} placeholder="none, or several with commas"
      onChange=${(event) => change(event.target.value.split(",").map((part) => part.trim()).filter(Boolean))} />`;
  }
  if (schema.maxLength === undefined || schema.maxLength > 1000) {
    return html`<textarea ...${shared} rows="3" onInput=${(event) => change(event.target.value || none)}>${value ?? ""}</textarea>`;
  }
  return html`<input ...${shared} type="text" value=${value ?? ""} maxlength=${schema.maxLength} onInput=${(event) => change(event.target.value || undefined)} />`;
}

function Choices({ id, schema, schemas, value, change }) {
  const chosen = value ?? schema.default ?? [];
  return html`<div class="choices">${resolve(schema.items, schemas).enum.map((name) => html`<label key=${name}>
    <input type="checkbox" name=${`${id}.${name}`} checked=${chosen.includes(name)}
      onChange=${(event) => change(event.target.checked ? [...chosen, name] : chosen.filter((other) => other !== name))} /> ${words(name)}</label>`)}</div>`;
}

/** One field of a schema, with its description and what the service says is wrong with it. */
export function Field({ name, path = [name], schema: raw, schemas, values, change, problem, label }) {
  const schema = resolve(raw, schemas);
  const id = path.join(".");
  const value = path.reduce((object, key) => object?.[key], values);
  const wrong = errorOf(problem, id);
  if (schema.properties) {
    const open = !schema.nullable || value != null;
    return html`<fieldset class="group">
      <legend>${schema.nullable
        ? html`<label><input type="checkbox" name=${id} checked=${open} onChange=${(event) => change(path, event.target.checked ? {} : undefined)} /> ${words(name)}</label>`
        : words(name)}</legend>
      <p class="quiet">${schema.description}</p>
      ${wrong && html`<p class="bad" role="alert">${wrong}</p>`}
      ${open && html`<${Fields} names=${Object.keys(schema.properties)} prefix=${path} schema=${schema} schemas=${schemas} values=${values} change=${change} problem=${problem} />`}
    </fieldset>`;
  }
  const several = schema.type === "array" && resolve(schema.items, schemas).enum;
  const note = `${id}-note`;
  const input = several
    ? html`<${Choices} id=${id} schema=${schema} schemas=${schemas} value=${value} change=${(next) => change(path, next)} />`
    : html`<${Input} id=${id} schema=${schema} value=${value} change=${(next) => change(path, next)} described=${note} />`;
  const title = label ?? words(name);
  return html`<div class=${`field ${wrong ? "wrong" : ""} ${schema.type === "boolean" ? "switch" : ""}`} role=${several ? "group" : undefined} aria-label=${several ? title : undefined}>
    ${several ? html`<span class="label">${title}</span>` : html`<label for=${id}>${title}</label>`}
    ${input}
    <p class="quiet" id=${note}>${wrong ? html`<span class="bad" role="alert">${wrong}</span>` : schema.description}</p>
  </div>`;
}

/** Several fields of a schema. */
export const Fields = ({ names, prefix = [], schema, ...rest }) => html`<div class="fields">
  ${names.map((name) => html`<${Field} key=${name} name=${name} path=${[...prefix, name]} schema=${schema.properties[name]} ...${rest} />`)}
</div>`;
