// Pyodide for JupyterLite's kernel, with what the kernel and every notebook import first already imported.  Later the
// notebook's folder is where Python looks first, and each look there is a request to the page.

import { loadPyodide as load } from "./pyodide.mjs";

export async function loadPyodide(options) {
  const python = await load(options);
  await python.runPythonAsync("import minigrad.classroom, piplite.piplite, pyodide_kernel");
  return python;
}
