// The description of the interface (openapi.json) as a page to read, without anything from elsewhere.

const description = await (await fetch("openapi.json")).json();
document.getElementById("about").textContent = description.info.description;
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => section(method.toUpperCase(), path, operation)),
);
document.getElementById("operations").replaceChildren(...operations);

function section(method, path, operation) {
  const made = document.createElement("section");
  made.append(text("h2", `${method} ${path}`), text("p", operation.description ?? ""));
  const form = operation.requestBody?.content["multipart/form-data"]?.schema;
  const fields = Object.entries(form?.properties ?? {}).map(([name, field]) => [
    name,
    form.required.includes(name) ? "form field, required" : "form field",
    field.description ?? "",
  ]);
  const parameters = (operation.parameters ?? []).map((one) => [
    one.name,
    one.required ? `${one.in}, required` : one.in,
    one.description ?? "",
  ]);
  if (fields.length + parameters.length) made.append(table(["Name", "Where", "Meaning"], [...parameters, ...fields]));
  const answers = Object.entries(operation.responses).map(([status, answer]) => [
    status,
    answer.description,
    properties(answer).join(", "),
  ]);
  made.append(table(["Status", "", "Fields of the answer"], answers));
  return made;
}

/** Names of the fields of an answer, or of the things in its list. */
function properties(answer) {
  const schema = answer.content?.["application/json"]?.schema;
  const reference = schema?.$ref ?? schema?.items?.$ref;
  if (!reference) return [];
  const model = description.components.schemas[reference.split("/").pop()];
  return Object.keys(model.properties ?? {});
}

function table(names, rows) {
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const name of names) {
    const cell = text(name ? "th" : "td", name);
    if (name) cell.scope = "col";
    head.append(cell);
  }
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row) line.append(text("td", value));
  }
  return made;
}

function text(kind, said) {
  const made = document.createElement(kind);
  made.textContent = said;
  return made;
}
