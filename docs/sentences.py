"""Every sentence that a user can meet, on one page to be read aloud: errors, notes, help, steps, report texts.

python docs/sentences.py                   # all of them, by file
python docs/sentences.py --kind error      # one kind
python docs/sentences.py --out page.md     # into a file

They are read from the code: every text of three words or more that is not a docstring, the docstrings of commands, and
what the templates of the report and the scripts of the pages show. What is filled in stands as {}.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("reasonrec_core", "plugins/reasonrec*/src")
KINDS = {
    "error": re.compile(r"Error$|^make_\w*error$|^fail$|^place_error$"),
    "help": re.compile(r"^(option|argument|group|command|version_option|CommandSpec|ComponentSpec)$"),
    "setting": re.compile(r"^Field$"),
    "step": re.compile(r"^Step$"),
    "metric": re.compile(r"^MetricInfo$"),
    "note": re.compile(r"^(note|say|_say|print|echo|warning|info|append|Text|assemble)$"),
}
"""Kinds by the name of the call that a text is given to; everything else is "text"."""
WORDS = 3
"""A text of fewer words is a name, a key or a unit."""
MEANT = 12
"""A text of fewer letters may stand in any sentence by chance."""


class Sentence(NamedTuple):
    """A text, where it stands and what kind it is."""

    file: str
    line: int
    kind: str
    text: str


def collect_sentences() -> list[Sentence]:
    """Every sentence, by file and line."""
    found = list[Sentence]()
    for pattern in SOURCES:
        for folder in sorted(ROOT.glob(pattern)):
            for path in sorted(folder.rglob("*.py")):
                if "testing" not in path.relative_to(folder).parts:
                    found += read_module(path)
            for path in sorted(folder.rglob("*.j2")):
                found += read_template(path)
            for path in sorted(each for each in folder.rglob("*.js") if "vendor" not in each.parts):
                found += read_script(path)
    return found


def read_module(path: Path) -> Iterator[Sentence]:
    """The sentences of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = str(path.relative_to(ROOT))
    skipped = {id(text) for node in ast.walk(tree) for text in list_docstrings(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and is_command(node) and (help_text := ast.get_docstring(node)):
            yield Sentence(name, node.lineno, "help", help_text)
    for text, kind in walk_texts(tree, "text"):
        words = write_out(text)
        if id(text) not in skipped and len(re.findall(r"[A-Za-z]{2,}", words)) >= WORDS and " " in words.strip():
            yield Sentence(name, text.lineno, kind, words)


def list_docstrings(node: ast.AST) -> Iterator[ast.expr]:
    """Texts that stand alone as statements: docstrings of modules, classes, functions and names."""
    for child in getattr(node, "body", []) if isinstance(getattr(node, "body", []), list) else []:
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant | ast.JoinedStr):
            yield child.value


def is_command(node: ast.FunctionDef) -> bool:
    """Whether a function is a command, whose docstring is its help."""
    calls = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
    return any(isinstance(each, ast.Attribute) and each.attr in {"command", "group"} for each in calls)


def walk_texts(node: ast.AST, kind: str) -> Iterator[tuple[ast.Constant | ast.JoinedStr, str]]:
    """Every text below a node, with the kind of the innermost call that says one."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or (isinstance(child, ast.Constant) and isinstance(child.value, str)):
            yield child, kind
        else:
            yield from walk_texts(child, name_kind(child) or kind)


def name_kind(node: ast.AST) -> str:
    """The kind that a call gives its texts; empty where it says none."""
    if not isinstance(node, ast.Call):
        return ""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return next((kind for kind, names in KINDS.items() if names.search(name)), "")


def write_out(text: ast.Constant | ast.JoinedStr) -> str:
    """The text, {} for what is filled in."""
    if isinstance(text, ast.Constant):
        return str(text.value)
    parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in text.values)
    return "".join(parts)


def read_template(path: Path) -> Iterator[Sentence]:
    """What a template shows, tag by tag."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        shown = re.sub(r"\{%.*?%\}|\{#.*?#\}", "", re.sub(r"\{\{.*?\}\}", "{}", line))
        for text in re.split(r"<[^>]*>", shown):
            if len(re.findall(r"[A-Za-z]{2,}", text)) >= WORDS:
                yield Sentence(str(path.relative_to(ROOT)), number, "page", text.strip())


def read_script(path: Path) -> Iterator[Sentence]:
    """What a script of a page shows: its texts without tags, names of classes and routes."""
    script = re.sub(r"(?m)^\s*(//.*|import .*)$", "", path.read_text(encoding="utf-8"))
    for found in re.finditer(r"`[^`]*`|\"[^\"\n]*\"", script):
        shown = re.sub(r"=?\$\{(?:[^{}]|\{[^{}]*\})*\}", "{}", found.group()[1:-1])
        for text in re.split(r"<[^>]*>", shown):
            words = re.findall(r"[A-Za-z]{2,}", text)
            if len(words) >= WORDS and " " in text.strip() and not re.search(r"\$|=>|&&|[(:]\w+[):]|\} \w+\{", text):
                line = script.count("\n", 0, found.start()) + 1
                yield Sentence(str(path.relative_to(ROOT)), line, "page", " ".join(text.split()))


def find_missing(table: str, sentences: list[Sentence]) -> list[str]:
    """What a table of sentences before and after calls "after" and no text of the code says."""
    texts = {" ".join(each.text.split()) for each in sentences}
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    after = [row[1].strip() for row in rows if len(row) == 2 and row[0] != "before"]
    return [said for said in after if not any(said in text or fits(said, text) for text in texts)]


def fits(said: str, text: str) -> bool:
    """Whether a sentence is a text of the code with its places filled in; short texts fit nothing."""
    parts = text.split("{}")
    if sum(map(str.isalpha, text)) <= MEANT or any(part not in said for part in parts):
        return False
    return re.search(".*?".join(map(re.escape, parts)), said) is not None


def write_page(sentences: list[Sentence]) -> str:
    """All of them in Markdown, by file."""
    lines, file = [f"# What a user can read: {len(sentences):,} texts", ""], ""
    for each in sentences:
        if each.file != file:
            file = each.file
            lines += ["", f"## {file}", ""]
        lines.append(f"- {each.line} *{each.kind}* {' '.join(each.text.split())}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description="Every sentence that a user can meet, on one page.")
    parser.add_argument("--kind", choices=[*KINDS, "text", "page"], help="Only these.")
    parser.add_argument("--out", type=Path, help="Where to; the terminal by default.")
    given = parser.parse_args()
    page = write_page([each for each in collect_sentences() if given.kind in (None, each.kind)])
    if given.out is None:
        sys.stdout.write(page)
    else:
        given.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
