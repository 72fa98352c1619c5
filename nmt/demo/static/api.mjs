/** A page of the OpenAPI description, so that none has to be loaded from elsewhere. */

import { html } from "../explorer/dom.mjs";

const find = (id) => document.getElementById(id);

function resolve(description, schema) {
  return schema.$ref ? schema.$ref.slice(2).split("/").reduce((part, name) => part[name], description) : schema;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter((name) => name !== "null").join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  return schema.type ?? "anything";
}

function fields(title, entries) {
  const rows = entries.map(([name, schema, required]) =>
    html("tr", {}, html("th", { scope: "row" }, html("code", {}, name)), html("td", {}, typeOf(schema) + (required ? ", required" : "")),
      html("td", {}, schema.description ?? "")));
  return entries.length === 0 ? [] : [html("table", {}, html("caption", {}, title), html("tbody", {}, ...rows))];
}

function ofSchema(schema) {
  return Object.entries(schema?.properties ?? {}).map(([name, part]) => [name, part, schema.required?.includes(name)]);
}

function endpoint(description, path, method, operation) {
  const given = operation.requestBody && resolve(description, operation.requestBody.content["application/json"].schema);
  const taken = operation.responses["200"].content?.["application/json"]?.schema;
  const returned = taken && resolve(description, taken);
  const problems = Object.entries(operation.responses).filter(([status]) => status !== "200");
  return html("div", { class: "endpoint" },
    html("h2", {}, html("code", {}, `${method.toUpperCase()} ${path}`)), html("p", {}, operation.summary ?? ""),
    ...fields("parameters", (operation.parameters ?? []).map((part) => [part.name, { description: part.description, ...part.schema }, part.required])),
    ...fields("body", ofSchema(given)), ...fields("answer", ofSchema(returned).map(([name, schema]) => [name, schema, false])),
    ...fields("problems", problems.map(([status, part]) => [status, { type: "object", description: part.description }, false])));
}

const description = await (await fetch("/openapi.json")).json();
for (const [path, operations] of Object.entries(description.paths)) {
  for (const [method, operation] of Object.entries(operations)) find("endpoints").append(endpoint(description, path, method, operation));
}
find("request").value = JSON.stringify(description.components.schemas.TranslationRequest.examples[0], null, 2);
find("send").addEventListener("click", async () => {
  const response = await fetch("/api/translate", { method: "POST", headers: { "Content-Type": "application/json" }, body: find("request").value });
  find("response").textContent = `${response.status}\n${JSON.stringify(await response.json(), null, 2)}`;
});
document.documentElement.dataset.ready = "true";
