"""The HTML of a page of figures: plain, readable, one file without scripts or outside resources.

It warns first of all that it shows people's faces, since a page is easily passed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Figure:
    """A part of a section: heading, caption and the name of a picture beside the page, or None for words alone."""

    file: str | None
    heading: str
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """What a page shows of one data set: its name, a summary in words, and figures."""

    name: str
    summary: str
    figures: Sequence[Figure]


def render_page(title: str, sections: Sequence[Section]) -> str:
    """The page; names and captions may hold any text, which is escaped."""
    links = "\n".join(
        f'<li><a href="#data{place}">{escape(section.name)}</a></li>' for place, section in enumerate(sections)
    )
    parts = []
    for place, section in enumerate(sections):
        parts.append(
            f'<section id="data{place}">\n<h2>{escape(section.name)}</h2>\n<p>{escape(section.summary)}</p>'
        )
        parts += [_figure(figure, section.name) for figure in section.figures]
        parts.append("</section>")
    return _PAGE.format(title=escape(title), links=links, sections="\n".join(parts))


def _figure(figure: Figure, name: str) -> str:
    heading, caption = escape(figure.heading), escape(figure.caption)
    if figure.file is None:
        return f"<h3>{heading}</h3>\n<p>{caption}</p>"
    file, alternative = escape(figure.file, quote=True), escape(f"{figure.heading}, {name}", quote=True)
    image = f'<img src="{file}" alt="{alternative}">'
    return f"<h3>{heading}</h3>\n<figure>\n{image}\n<figcaption>{caption}</figcaption>\n</figure>"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, noarchive">
<title>{title}</title>
<style>
body {{ font: 17px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }}
img {{ max-width: 100%; height: auto; border: 1px solid #ddd; }}
figure {{ margin: 0 0 1.5rem; }}
figcaption {{ max-width: 46rem; }}
.warning {{ border: 2px solid #b00020; padding: .6rem 1rem; }}
section {{ border-top: 1px solid #ccc; margin-top: 2rem; }}
</style>
</head>
<body>
<p class="warning"><strong>This page shows people's faces. It must not be published, sent around or put into a
repository.</strong> Keep it where the pictures themselves are kept, and delete it with them.</p>
<h1>Who gets in, who is left outside</h1>
<p>{title}. The threshold is the one stored with the weights. A door that uses it makes two errors: it lets
attacks in (prints, screens, masks), and it refuses living people. For each data set this page shows how often,
whom, and what the network looked at.</p>
<ul>
{links}
</ul>
{sections}
</body>
</html>
"""
