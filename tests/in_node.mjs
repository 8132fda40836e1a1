// The tests of the library in the Python of the browser, without a browser: node in_node.mjs SITE WHEELS ARGUMENTS...
import { readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [site, wheels, ...pytest] = process.argv.slice(2);
const folder = path.resolve(site, "pyodide");
const { loadPyodide } = await import(pathToFileURL(path.join(folder, "pyodide.mjs")));
const python = await loadPyodide({
  indexURL: folder + path.sep,
  env: {
    HOME: "/home/pyodide",
    PYTHONDONTWRITEBYTECODE: "1",
    MPLBACKEND: "agg",
    CI: "1", // Hypothesis then sets no deadline, for all is slower here
  },
  packages: ["minigrad-course", "pygments"],
});
const extra = readdirSync(wheels).filter((name) => name.endsWith(".whl"));
await python.loadPackage(extra.map((name) => path.resolve(wheels, name)), { messageCallback() {} });
python.FS.mkdirTree("/course");
python.mountNodeFS("/course", process.cwd());
const status = await python.runPythonAsync(`
import os, pytest
os.chdir("/course")
int(pytest.main(${JSON.stringify(pytest)}))
`);
process.exit(status);
