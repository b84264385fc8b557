"""Text files are the same everywhere: in UTF-8, whatever the system's language, and with the ends of lines of their text."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in ("addersim", "build_support", "docs", "reports")
    for path in ROOT.joinpath(folder).rglob("*.py")
    if "notebooks" not in path.parts
)


def said(call, name, place):
    """What a call says by a keyword, or at a place."""
    given = [one.value for one in call.keywords if one.arg == name]
    return given[0] if given else call.args[place] if len(call.args) > place else None


def text_calls(tree):
    """Calls that open a file as text, each with the places of its mode and its encoding."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        method = isinstance(call.func, ast.Attribute)
        if method and name in ("read_text", "write_text"):
            yield call, name == "write_text", said(call, "encoding", 0 if name == "read_text" else 1)
        elif name == "open":
            mode = said(call, "mode", 0 if method else 1)
            letters = mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else ""
            whose = getattr(getattr(call.func, "value", None), "id", "")
            if "b" in letters or (method and not letters and "path" not in whose):
                continue  # bytes, or another thing that opens
            yield call, bool(set(letters) & set("wax")), said(call, "encoding", 2 if method else 3)


def faults(path):
    for call, writes, encoding in text_calls(ast.parse((ROOT / path).read_text("utf-8"))):
        of_system = "devnull" in ast.unparse(call)
        if encoding is None and not of_system:
            yield f"{path}, line {call.lineno}: text without an encoding"
        if writes and said(call, "newline", 9) is None and path.parts[0] == "addersim" and not of_system:
            yield f"{path}, line {call.lineno}: text that is written without newline"


def test_text_has_an_encoding_and_its_own_ends_of_lines():
    assert len(SOURCES) > 400
    assert [one for path in SOURCES for one in faults(path)] == []
