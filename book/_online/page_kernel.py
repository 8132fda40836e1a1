"""In the worker of a page (worker.js): JupyterLite's own kernel, and what it shows as HTML for a page of the book."""

import json
import re
from itertools import count

import pyodide_kernel
from markdown_it import MarkdownIt

from minigrad.draw.figures import in_page_colours
from minigrad.draw.share import prefixed

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def runner(post):
    """A function that runs a cell, and says by post(JSON) what comes of it."""
    picture = count(1)
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")

    def say(kind, **what):
        post(json.dumps({"kind": kind, **what}))

    def display(data, *_):
        if svg := data.get("image/svg+xml"):
            html = prefixed(in_page_colours(svg, ""), f"run{next(picture)}-")
        elif png := data.get("image/png"):
            html = f'<img alt="" src="data:image/png;base64,{png}">'
        elif text := data.get("text/markdown"):
            html = markdown.render(text)
        else:
            html = data.get("text/html", "")
        if html or "text/plain" in data:
            say("display", html=html, text=data.get("text/plain", ""))

    shell = pyodide_kernel.ipython_shell
    shell.display_pub.display_data_callback = shell.display_pub.update_display_data_callback = display
    shell.displayhook.publish_execution_result = lambda number, data, metadata: display(data)
    for stream in pyodide_kernel.stdout_stream, pyodide_kernel.stderr_stream:
        stream.publish_stream_callback = lambda name, text: say("stream", name=name, text=text)

    async def run(code):
        result = await pyodide_kernel.kernel_instance.run(code)
        if result["status"] == "error":
            say("error", text=ANSI.sub("", "\n".join(result["traceback"])))
        say("done", failed=result["status"] == "error")

    return run
