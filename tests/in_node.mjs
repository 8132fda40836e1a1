// The tests of the library in the Python of the browser, without a browser: node in_node.mjs SITE WHEELS ARGUMENTS...
import path from "node:path";
import { pythonOf } from "../book/_online/node.mjs";

const [site, wheels, ...pytest] = process.argv.slice(2);
const python = await pythonOf(path.join(site, "pyodide"), {
  packages: ["minigrad-course", "pygments"],
  wheels,
  env: {
    PYTHONDONTWRITEBYTECODE: "1",
    CI: "1", // Hypothesis then sets no deadline, for all is slower here
  },
  mounted: [process.cwd(), "/course"],
});
const status = await python.runPythonAsync(`
import os, pytest
os.chdir("/course")
int(pytest.main(${JSON.stringify(pytest)}))
`);
process.exit(status);
