"""The site carries the examples that pages link to, and the rules where a page has a place for them."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from singleton_jobs.decisions.rules import RULES

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them, so that links to them are checked like any other."""
    for path in sorted(EXAMPLES.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            name = path.relative_to(EXAMPLES.parent).as_posix()
            # As text: a browser shows it, and a README in there is no page of the site.
            files.append(File.generated(config, f"{name}.txt", content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links lead out of the docs folder in the repository, and not on the site."""
    markdown = markdown.replace("<!-- rules -->", "\n".join(f"{number}. {rule}" for number, rule in RULES.items()))
    return re.sub(r"\]\(\.\./(examples/[^)]+)\)", r"](\1.txt)", markdown)
