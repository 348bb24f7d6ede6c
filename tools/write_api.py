"""The reference of the Python API, made from the docstrings of what the packages export.

``python -m tools.write_api > docs/api.md``; a test asserts that the file is up to date. The source
is read, not imported: types and defaults are shown as they are written there.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
PACKAGES = (
    *("momok", "momok.graph", "momok.encoders", "momok.model", "momok.training"),
    *("momok.evaluation", "momok.prediction", "momok.sharing"),
)
_INTRODUCTION = """\
# The Python API

What the packages export: all of it is imported from the package that heads its section. Errors that
can be mended are `momok.errors.MomokError`, or one of its kinds. This page is made by
`python -m tools.write_api > docs/api.md`.
"""
_WIDTH = 90  # of code
_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):")
_ENTRY = re.compile(r"(\*{0,2}\w[\w, *]*): (.*)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """Where a public name is defined.

    Attributes:
        name: the name.
        module: the module that defines it.
        node: its statement.
        docstring: what it says of itself; of a constant, the text below it.
    """

    name: str
    module: str
    node: ast.stmt
    docstring: str


def render_reference() -> str:
    """All packages with what they export, as Markdown; a name is described where it is first."""
    parts, described = [_INTRODUCTION], dict[tuple[str, str], str]()
    for package in PACKAGES:
        parts += [f"## `{package}`\n", f"{_format(ast.get_docstring(_parse(package)) or '')}\n"]
        for name in _list_exports(package):
            found = find_definition(package, name)
            first = described.setdefault((found.module, name), package)
            if first == package:
                parts += _describe(found)
            else:
                parts.append(f"### `{name}`\n\nAs `{first}.{name}`.\n")
    return "\n".join(parts)


def find_definition(module: str, name: str) -> Definition:
    """Follow the imports of a name to the statement that defines it.

    Raises:
        LookupError: there is none.
    """
    body = _parse(module).body
    for number, node in enumerate(body):
        if isinstance(node, ast.ClassDef | Function) and node.name == name:
            return Definition(name, module, node, ast.get_docstring(node) or "")
        if name in _list_assigned(node):
            after = body[number + 1] if number + 1 < len(body) else node
            return Definition(name, module, node, _read_text(after))
        imports = node.body if isinstance(node, ast.If) else [node]
        for statement in imports:
            if isinstance(statement, ast.ImportFrom) and statement.module:
                for alias in statement.names:
                    if name == (alias.asname or alias.name):
                        return find_definition(statement.module, alias.name)
    raise LookupError(f"{module}: {name} is neither defined nor imported there")


@cache
def _parse(module: str) -> ast.Module:
    path = SOURCE.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _list_exports(package: str) -> list[str]:
    for node in _parse(package).body:
        if isinstance(node, ast.Assign) and "__all__" in _list_assigned(node):
            return [name for name in ast.literal_eval(node.value) if not name.startswith("__")]
    raise LookupError(f"{package} has no __all__")


def _list_assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _read_text(node: ast.stmt) -> str:
    """The text of a statement that is a text."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""


def _describe(found: Definition) -> Iterator[str]:
    node = found.node
    if isinstance(node, ast.ClassDef):
        yield f"### `{node.name}`\n"
        yield from _describe_class(node, found.docstring)
    elif isinstance(node, Function):
        yield f"### `{node.name}`\n"
        yield _show_code(_render_signature(node))
        yield f"{_format(found.docstring)}\n"
    else:
        yield f"### `{found.name}`\n"
        yield _show_code(_render_constant(node))
        if found.docstring:
            yield f"{_format(found.docstring)}\n"


def _render_constant(node: ast.stmt) -> str:
    """An assignment: on one line, an entry of a dict a line, or cut."""
    code = ast.unparse(node)
    if len(code) <= _WIDTH:
        return code
    value = getattr(node, "value", None)
    if not isinstance(value, ast.Dict):
        return f"{code[:_WIDTH].rsplit(' ', 1)[0]} ..."
    entries = zip(value.keys, value.values, strict=True)
    lines = [f"    {ast.unparse(key)}: {ast.unparse(item)}," for key, item in entries if key]
    return "\n".join([code.partition("{")[0] + "{", *lines, "}"])


def _describe_class(node: ast.ClassDef, docstring: str) -> Iterator[str]:
    methods = [inner for inner in node.body if isinstance(inner, Function)]
    initial = next((method for method in methods if method.name == "__init__"), None)
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    if initial is not None:
        yield _show_code(_render_signature(initial, name=node.name))
    elif any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        fields = [ast.unparse(f) for f in node.body if isinstance(f, ast.AnnAssign)]
        yield _show_code(_break(node.name, fields, ""))
    else:
        yield _show_code(f"class {node.name}{bases}")
    yield f"{_format(docstring)}\n"
    for field, after in pairwise(node.body):
        if _list_assigned(field) and _read_text(after):
            yield f"**`{ast.unparse(field)}`**: {_format(inspect.cleandoc(_read_text(after)))}\n"
    for method in methods:
        text = ast.get_docstring(method)
        if method.name.startswith("_") or not text:
            continue
        kinds = [ast.unparse(decorator) for decorator in method.decorator_list]
        if any("property" in kind for kind in kinds):
            yield f"**`{method.name}`**: {_format(text)}\n"
        else:
            yield f"#### `{node.name}.{method.name}`\n"
            yield _show_code(_render_signature(method))
            yield f"{_format(text)}\n"


def _render_signature(node: Function, name: str = "") -> str:
    signature = node.args
    positional = [*signature.posonlyargs, *signature.args]
    without = len(positional) - len(signature.defaults)
    defaults: list[ast.expr | None] = [*[None] * without, *signature.defaults]
    arguments = [_render(a, d) for a, d in zip(positional, defaults, strict=True)]
    if signature.vararg:
        arguments.append(f"*{_render(signature.vararg)}")
    elif signature.kwonlyargs:
        arguments.append("*")
    named = zip(signature.kwonlyargs, signature.kw_defaults, strict=True)
    arguments += [_render(argument, default) for argument, default in named]
    if signature.kwarg:
        arguments.append(f"**{_render(signature.kwarg)}")
    if arguments and arguments[0] in {"self", "cls"}:
        del arguments[0]
    gives = "" if name or node.returns is None else f" -> {ast.unparse(node.returns)}"
    return _break(name or node.name, arguments, gives)


def _render(argument: ast.arg, default: ast.expr | None = None) -> str:
    value = "" if default is None else f" = {ast.unparse(default)}"
    return ast.unparse(argument) + value


def _break(name: str, arguments: list[str], gives: str) -> str:
    """A call on one line, or an argument a line where it would be long."""
    line = f"{name}({', '.join(arguments)}){gives}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), f"){gives}"])


def _show_code(code: str) -> str:
    return f"```python\n{code}\n```\n"


def _format(docstring: str) -> str:
    """A docstring as Markdown: its sections as lists, its code marked as Markdown marks it."""
    docstring = re.sub(r"``(.+?)``", r"`\1`", docstring, flags=re.S)
    docstring = re.sub(r"((?:^>>> .*\n)+)", r"```python\n\1```\n", docstring, flags=re.M)
    lines: list[str] = []
    inside = False
    for line in docstring.splitlines():
        section = _SECTION.fullmatch(line)
        if section:
            inside = True
            lines += [f"{section[1]}:", ""]
        elif inside and line.startswith("    "):
            entry = _ENTRY.match(line[4:])
            text = line.strip()
            if entry:
                names = ", ".join(f"`{name}`" for name in entry[1].split(", "))
                lines.append(f"- {names}: {entry[2]}")
            else:
                lines.append(f"  {text}" if lines[-1].strip() else text)
        else:
            inside = inside and not line.strip()
            lines.append(re.sub(r"::$", ":", line))
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    print(render_reference(), end="")
