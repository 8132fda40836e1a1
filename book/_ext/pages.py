"""What surrounds the text of a page: links to mend it, words for those who share it, and what a published site needs.

The repository's address stands in _config.yml.  The site's own is `html.baseurl` there; without it, GitHub's place for
the pages of that repository.
"""

import json
import re
import shutil
from html import escape, unescape
from pathlib import Path
from string import Template
from urllib.parse import urlencode, urlsplit

HERE = Path(__file__).parent
STORY = "Which derivative every tensor operation hands back, and how a graph puts them together."
CARD = "_static/card.png"
FONT = '\n<link rel="preload" as="font" type="font/woff2" crossorigin="" href="{}"/>'
FONTS = ["KaTeX_Main-Regular.woff2", "KaTeX_Math-Italic.woff2"]
EMPTY_HEADS = re.compile(r"<th\b[^>]*>\s*(?:<p>\s*</p>)?\s*</th>")
SENTENCES = re.compile(r"<p>(.*?)</p>", re.DOTALL)


def published(config):
    """Where the site is, with a slash at the end."""
    if config.html_baseurl:
        return config.html_baseurl.rstrip("/") + "/"
    address = urlsplit(config.html_theme_options["repository_url"])
    owner, name = address.path.strip("/").split("/")[:2]
    return f"https://{owner.lower()}.github.io/{name}/" if address.netloc == "github.com" else ""


def source(page, suffix):
    """The file that an author edits: notebooks are made of solutions/NN-topic.md."""
    if page.startswith(("exercises/", "solutions/")):
        return f"solutions/{page.partition('/')[2]}.md"
    return page + suffix


def links(page, suffix, title, theme):
    """To the file behind a page, and to a report that says which page it is about."""
    repository, branch = theme["repository_url"], theme["repository_branch"]
    report = urlencode({"title": f"Mistake: {title}", "body": f"On the page {page}.html:\n\n"})
    return (
        '<p class="page-links">'
        f'<a href="{repository}/edit/{branch}/{source(page, suffix)}">Edit this page</a>'
        f'<a href="{repository}/issues/new?{escape(report)}">Report a mistake</a></p>'
    )


def words(text):
    """HTML without its markup."""
    return unescape(re.sub(r"<[^>]*>", "", text))


def described(body):
    """The first paragraph that says something, without markup, as far as a preview shows it."""
    for text in SENTENCES.findall(re.sub(r"<math.*?</math>|<p class=.*?</p>", "", body, flags=re.DOTALL)):
        plain = " ".join(words(text).split())
        if len(plain) > 60 and "katex" not in text:
            return plain if len(plain) < 200 else plain[:200].rsplit(" ", 1)[0] + " …"
    return STORY


def tags(page, title, body, config):
    """What a link to the page shows where it is shared."""
    site = published(config)
    properties = {
        "og:type": "article",
        "og:site_name": config.html_title,
        "og:title": title,
        "og:description": described(body),
        "og:url": f"{site}{page}.html",
        "og:image": site + CARD,
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": "A computation graph of the course, with its values and gradients",
    }
    found = [f'<meta property="{name}" content="{escape(text)}"/>' for name, text in properties.items()]
    found.append(f'<meta name="description" content="{escape(properties["og:description"])}"/>')
    found.append('<meta name="twitter:card" content="summary_large_image"/>')
    if site:
        found.append(f'<link rel="canonical" href="{site}{page}.html"/>')
    return "\n".join(found)


def surround(app, page, template, context, doctree):
    body = context.get("body")
    if page == "_modules/index":  # lists inside lists, where only items may be
        context["body"] = re.sub(r"</?ul>", "", body).replace("<li>", "<ul><li>", 1) + "</ul>"
    if not body or doctree is None:
        return
    body = EMPTY_HEADS.sub("<td></td>", body)
    title = words(context["title"])
    context["metatags"] += tags(page, title, body, app.config)
    if 'class="katex' in body:  # else lines move when a letter arrives
        context["metatags"] += "".join(FONT.format(context["pathto"](f"_static/katex/fonts/{f}", 1)) for f in FONTS)
    context["body"] = body + links(page, context["page_source_suffix"], title, app.config.html_theme_options)


def finish(app, exception):
    """The files beside the pages, at the root of the site."""
    if exception or app.builder.name != "html":
        return
    out, site = Path(app.outdir), published(app.config)
    pages = sorted(app.env.found_docs)
    addresses = "".join(f"<url><loc>{site}{page}.html</loc></url>\n" for page in pages)
    (out / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{addresses}</urlset>\n'
    )
    (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {site}sitemap.xml\n")
    shutil.copy(HERE / "worker.js", out / "worker.js")
    missing = Template((HERE / "404.html").read_text(encoding="utf-8"))
    words = {"title": app.config.html_title, "root": urlsplit(site).path or "/"}
    (out / "404.html").write_text(missing.substitute(words), encoding="utf-8")
    draw_card(out / CARD, app.config.html_title)
    (out / "offline.json").write_text(json.dumps(kept(out)))


def kept(out):
    """All that reading offline needs: every page, and what pages load; and how many bytes that is."""
    left_out = {".ipynb", ".md", ".txt", ".xml", ".inv", ".mo", ".buildinfo", ".ttf", ".py"}
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.suffix not in left_out]
    files = [
        path for path in files if path.name not in {"worker.js", "card.png", "404.html", ".buildinfo", ".nojekyll"}
    ]
    files = [path for path in files if out / "lite" not in path.parents]  # has a worker of its own
    names = [path.relative_to(out).as_posix() for path in files]
    return {"bytes": sum(path.stat().st_size for path in files), "files": names}


def draw_card(path, title):
    from card import draw  # Matplotlib takes half a second, and a build of one changed page has it to spare

    draw(path, title)


def setup(app):
    app.connect("html-page-context", surround, priority=600)
    app.connect("build-finished", finish, priority=800)  # after what trims, before what checks
    return {"parallel_read_safe": True, "parallel_write_safe": True}
