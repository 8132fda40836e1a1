"""What the theme ships and no page uses goes: rules of its stylesheets, icons of its fonts, scripts that do nothing.

A rule stays if all classes and ids of one of its selectors stand in a page, or in a script, which may set them.
It runs when the site is written, so the stylesheets' addresses in the pages get the hash of what is left.
"""

import hashlib
import re
from pathlib import Path

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image

NAMES = re.compile(r'\b(?:class|id)\s*=\s*(?:"([^"]*)"|\'([^\']*)\'|([^\s>]+))')
MADE_UP = ("bs-",)  # Bootstrap puts these together from parts
DEAD = re.compile(r'\s*<script[^>]*\bsrc="[^"]*/fontawesome\.js[^"]*"></script>')  # the stylesheet has its own icons
SEARCH = re.compile(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js"></script>')
VERSION = re.compile(r"(_static/)([\w./-]+\.css)(?:\?(?:v|digest)=\w+)?(?=\")")
ICONS = re.compile(
    r"url\(([^)]*/webfonts/(fa-[\w-]+))\.woff2\) format\(\"woff2\"\),url\([^)]*\) format\(\"truetype\"\)"
)


def names_in(text):
    """The classes and ids in HTML."""
    return {name for groups in NAMES.findall(text) for group in groups for name in group.split()}


def needs(selector):
    """The classes and ids without which a selector (tokens) matches nothing; those in :is(…) or :not(…) may be absent."""
    for before, token in zip([None, *selector], selector, strict=False):
        if token.type == "hash" or (token.type == "ident" and before is not None and before == "."):
            yield token.value


def split(tokens):
    """The selectors of a rule."""
    found = [[]]
    for token in tokens:
        if token == ",":
            found.append([])
        else:
            found[-1].append(token)
    return found


def trimmed(rules, known):
    """The CSS of those rules that can match something."""
    for rule in rules:
        if rule.type == "qualified-rule":
            left = [
                tinycss2.serialize(selector).strip()
                for selector in split(rule.prelude)
                if all(name in known or name.startswith(MADE_UP) for name in needs(selector))
            ]
            if left:
                yield f"{','.join(left)}{{{tinycss2.serialize(rule.content).strip()}}}\n"
        elif rule.type == "at-rule" and rule.content is not None and rule.lower_at_keyword in {"media", "supports"}:
            inner = "".join(trimmed(tinycss2.parse_rule_list(rule.content, True, True), known))
            if inner:
                yield f"@{rule.at_keyword} {tinycss2.serialize(rule.prelude).strip()}{{\n{inner}}}\n"
        elif rule.type == "error":
            raise ValueError(f"trim: a stylesheet with an error, line {rule.source_line}: {rule.message}")
        else:
            yield rule.serialize() + "\n"


def trim(css, known):
    return "".join(trimmed(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), known))


def smaller_font(match, folder, characters):
    """The address of the icon font with these characters alone."""
    font = TTFont((folder / f"{match[1]}.ttf").resolve())
    options = subset.Options(layout_features=[], notdef_outline=False, hinting=False)
    cutter = subset.Subsetter(options)
    cutter.populate(text=characters)
    cutter.subset(font)
    font.flavor = "woff"
    font.save((folder / f"{match[1]}.woff").resolve())
    return f'url({match[1]}.woff) format("woff")'


def fewer_colours(path):
    """A drawing has few colours: it takes a third of the bytes, and looks the same."""
    with Image.open(path) as image:
        if image.mode == "P":  # done already
            return
        image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def site(app, exception):
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    static = out / "_static"
    ours = (path for path in out.rglob("*.html") if {static, out / "lite"}.isdisjoint(path.parents))
    pages = {path: path.read_text(encoding="utf-8") for path in ours}
    known = set().union(*map(names_in, pages.values()))
    (static / "scripts/fontawesome.js").write_text("")
    for script in static.rglob("*.js"):
        known.update(re.findall(r"[\w-]+", script.read_text(encoding="utf-8")))
    versions = {}
    for path in static.rglob("*.css"):
        css = trim(path.read_text(encoding="utf-8"), known)
        icons = "".join(re.findall("[\ue000-\uf8ff]", css))
        css = ICONS.sub(lambda match, at=path.parent, left=icons: smaller_font(match, at, left), css)
        path.write_text(css, encoding="utf-8")
        versions[path.relative_to(static).as_posix()] = hashlib.sha256(css.encode()).hexdigest()[:8]
    for path, page in pages.items():
        new = VERSION.sub(lambda match: f"{match[1]}{match[2]}?v={versions[match[2]]}", DEAD.sub("", page))
        if path.name != "search.html":
            new = SEARCH.sub("", new)
        if new != page:
            path.write_text(new, encoding="utf-8")
    for path in [*static.rglob("*.map"), *static.rglob("webfonts/*.ttf"), *static.rglob("webfonts/*.woff2")]:
        path.unlink()
    for path in out.glob("_images/*.png"):
        fewer_colours(path)


def setup(app):
    app.connect("build-finished", site, priority=700)  # MyST-NB brings its stylesheet at 500; the checks come last
    return {"parallel_read_safe": True, "parallel_write_safe": True}
