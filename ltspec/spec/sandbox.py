"""Jinja2, sandboxed and strict, for the templates that are more than a name.

Values only: `if` and `for` are the only statements, nothing is loaded or assigned, and what could
grow without bound (repetition, powers, padding, joining) has limits. Time is bounded too: an
expression that computes for longer than MAX_SECONDS of CPU time is refused.
"""

import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from jinja2.runtime import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ltspec.spec import filters
from ltspec.spec.problems import did_you_mean
from ltspec.spec.templates import (
    MAX_ITEMS,
    MAX_TEXT,
    Context,
    Template,
    TemplateError,
    bounded,
    checked,
    no_attribute,
    printed,
    too_large,
    undefined,
)

MAX_SECONDS = 3.0
_STATEMENTS = (nodes.Output, nodes.If, nodes.For)
_METHODS = frozenset([
    "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha",
    "isdecimal", "isdigit", "islower", "isspace", "isupper", "join", "lower", "lstrip", "partition",
    "removeprefix", "removesuffix", "replace", "rfind", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "swapcase", "title", "upper",
])
_OURS = ("ltspec.spec.functions", "ltspec.spec.sandbox")      # whose functions may be called
_OTHER_METHODS = frozenset(["count", "get", "index", "items", "keys", "values"])


class _Missing(StrictUndefined):
    """An undefined value whose use raises TemplateError with the closest known name."""

    __slots__ = ()

    def explain(self) -> TemplateError:
        name = str(self._undefined_name)
        if self._undefined_exception is SecurityError:
            return TemplateError("LT304", f"`{name}` is not allowed in a template", "", name)
        if self._undefined_obj is jinja2.utils.missing:
            return undefined(name, {})
        return no_attribute(name, self._undefined_obj)

    def _fail_with_undefined_error(self, *_args: Any, **_kwargs: Any) -> Any:
        raise self.explain()

    __iter__ = __str__ = __len__ = _fail_with_undefined_error
    __eq__ = __ne__ = __bool__ = __hash__ = __contains__ = _fail_with_undefined_error
    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = _fail_with_undefined_error
    __truediv__ = __floordiv__ = __mod__ = __rmod__ = __pow__ = _fail_with_undefined_error
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = _fail_with_undefined_error
    __call__ = __getitem__ = __pos__ = __neg__ = _fail_with_undefined_error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.explain()


def _printed(value: Any) -> str:
    """A value as a part of a text."""
    if isinstance(value, _Missing):
        raise value.explain()
    return printed(value)


class _Generator(CodeGenerator):
    """Jinja2's code generator, with `~` going through a function that knows limits."""

    def visit_Concat(self, node: nodes.Concat, frame: Any) -> None:  # noqa: N802 - Jinja2's name
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of every template."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])
    code_generator_class = _Generator

    def __init__(self) -> None:
        super().__init__(
            undefined=_Missing,
            finalize=_printed,
            autoescape=False,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            # `{#` stands in shell texts: ${#array[@]}. Nothing is a comment.
            comment_start_string="{#\0",
            comment_end_string="\0#}",
        )
        self.filters = filters.allowed(self.filters)
        self.globals = {"range": self._range}

    @staticmethod
    def _range(*numbers: int) -> range:
        found = range(*numbers)
        if len(found) > MAX_ITEMS:
            raise too_large()
        return found

    def joined(self, parts: Iterable[Any]) -> str:
        """What `~` gives."""
        return filters.join(parts)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        filters.check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Any:
        """str.format reaches attributes and pads without bound: it is refused where it is named."""
        if getattr(value, "__name__", "") in ("format", "format_map") and callable(value):
            raise TemplateError("LT304", "`format` is not allowed in a template",
                                "write the expression into the text: {{ … }}", "format")
        return None

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str):
            if name not in _METHODS:
                raise TemplateError("LT304", f"`{name}` is not allowed in a template",
                                    did_you_mean(name, _METHODS), name)
            if name in ("join", "replace"):
                return getattr(filters, name)(*((args[0], owner) if name == "join"
                                                else (owner, *args)))
        elif name not in _OTHER_METHODS if owner is not None else obj.__module__ not in _OURS:
            raise TemplateError("LT304", f"`{name}` is not allowed in a template", "", name)
        return super().call(context, obj, *args, **kwargs)


@cache
def _environment() -> Sandbox:
    """Made once, on the first template that needs it."""
    return Sandbox()


class _TooLong(Exception):
    """The time limit of one rendering has passed."""


@contextmanager
def time_limit() -> Iterator[None]:
    """Raise TemplateError in the body after MAX_SECONDS of CPU time (only in the main thread, the
    one that receives signals).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expired(_signal: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, expired)
    signal.setitimer(signal.ITIMER_VIRTUAL, MAX_SECONDS)
    try:
        yield
    except _TooLong:
        raise TemplateError("LT305", f"computes for longer than {MAX_SECONDS:g} seconds") from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def compile_text(text: str) -> Template:
    """The template of a value. Raises TemplateError."""
    tree = _parsed(text, lambda: _environment().parse(text))
    body = tree.body
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
        only = body[0].nodes[0]
        if not isinstance(only, nodes.TemplateData):
            return _expression(text, only)
    names, optional = _names(tree)
    compiled = _compiled(text, tree)

    def render(context: Context) -> str:
        parts: list[str] = []
        length = 0
        for part in compiled.root_render_func(compiled.new_context(dict(context))):
            length += len(part)
            if length > MAX_TEXT or len(parts) > MAX_ITEMS:
                raise too_large()
            parts.append(part)
        return checked("".join(parts))

    return Template(text, names, optional, whole=False, render=_guarded(render))


def compile_expression(text: str) -> Template:
    """A bare expression. Raises TemplateError."""

    def parse() -> nodes.Expr:
        parser = jinja2.parser.Parser(_environment(), text, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            raise jinja2.TemplateSyntaxError("text after the end of the expression", 1)
        expression.set_environment(_environment())
        return expression

    return _expression(text, _parsed(text, parse))


def _expression(text: str, expression: nodes.Expr) -> Template:
    result = nodes.Assign(nodes.Name("result", "store"), expression)
    tree = nodes.Template([result], lineno=1)
    tree.set_environment(_environment())
    names, optional = _names(nodes.Template([nodes.Output([expression])], lineno=1))
    compiled = _compiled(text, tree)

    def render(context: Context) -> Any:
        frame = compiled.new_context(dict(context))
        for _ in compiled.root_render_func(frame):
            pass
        value = frame.vars["result"]
        if isinstance(value, _Missing):
            raise value.explain()
        return bounded(value)

    return Template(text, names, optional, whole=True, render=_guarded(render))


def _parsed(text: str, parse: Callable[[], Any]) -> Any:
    try:
        tree = parse()
    except jinja2.TemplateSyntaxError as error:
        raise _syntax(error, text) from error
    except (RecursionError, ValueError, MemoryError) as error:
        raise TemplateError("LT301", "this expression is too long or nested too deep") from error
    for node in _walk(tree):
        if isinstance(node, nodes.Stmt) and not isinstance(node, _STATEMENTS):
            name = type(node).__name__.lower()
            name = {"assign": "set", "assignblock": "set", "callblock": "call",
                    "filterblock": "filter", "fromimport": "from"}.get(name, name)
            raise TemplateError("LT304", f"`{{% {name} %}}` is not available in a value",
                                "compute it under `vars`" if name in ("set", "with") else "",
                                name)
        if isinstance(node, nodes.Filter):
            _check_filter(node.name)
        if isinstance(node, nodes.Test) and node.name not in _environment().tests:
            raise TemplateError("LT314", f"no test named `{node.name}`",
                                did_you_mean(node.name, _environment().tests), node.name)
    return tree


def _check_filter(name: str) -> None:
    if name in _environment().filters:
        return
    hint = filters.REFUSED.get(name) or did_you_mean(name, _environment().filters)
    raise TemplateError("LT314", f"no filter named `{name}`", hint, name)


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.iter_child_nodes())


def _names(tree: nodes.Template) -> tuple[frozenset[str], frozenset[str]]:
    """The variables a template reads, and those of them that may be undefined."""
    bound: set[str] = set()
    optional: set[str] = set()
    loads: set[str] = set()
    for node in _walk(tree):
        if isinstance(node, nodes.Name):
            (loads if node.ctx == "load" else bound).add(node.name)
        guarded = (isinstance(node, nodes.Filter) and node.name in ("default", "d")) or (
            isinstance(node, nodes.Test) and node.name in ("defined", "undefined")
        )
        if guarded:
            inner = node.node  # type: ignore[attr-defined] # both kinds have it
            while isinstance(inner, (nodes.Getattr, nodes.Getitem)):
                inner = inner.node
            if isinstance(inner, nodes.Name):
                optional.add(inner.name)
    if any(isinstance(node, nodes.For) for node in _walk(tree)):
        bound.add("loop")
    names = frozenset(loads - bound - {"range"})
    return names, names & optional


def _compiled(text: str, tree: nodes.Template) -> jinja2.Template:
    try:
        with time_limit():
            return _environment().from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        raise _syntax(error, text) from error
    except (RecursionError, ValueError, MemoryError, SyntaxError) as error:
        raise TemplateError("LT301", "this expression is too long or nested too deep") from error


def _guarded(render: Callable[[Context], Any]) -> Callable[[Context], Any]:
    """Translate whatever an expression may raise, and bound its time."""

    def guarded(context: Context) -> Any:
        try:
            with time_limit():
                return render(context)
        except TemplateError as error:
            if error.code == "LT302" and error.message == f"`{error.needle}` is not defined":
                raise undefined(error.needle, context) from None
            raise
        except SecurityError as error:
            raise TemplateError("LT304", f"not allowed in a template: {error}") from error
        except (RecursionError, MemoryError) as error:
            raise too_large() from error
        except Exception as error:  # an expression may raise anything
            raise TemplateError("LT303", f"the expression fails: {_reason(error)}") from error

    return guarded


def _reason(error: Exception) -> str:
    words = str(error).split("\n")[0][:200]
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if isinstance(error, TypeError):
        for python, plain in (("'str'", "text"), ("'int'", "a number"), ("'list'", "a list"),
                              ("'dict'", "a mapping"), ("'NoneType'", "null"),
                              ("'float'", "a number"), ("'bool'", "a boolean"),
                              ('"int"', "a number"), ('"list"', "a list"), ('"float"', "a number"),
                              ('"dict"', "a mapping"), ('"NoneType"', "null"),
                              (" to str", " to text"), ("str (not", "text (not"),
                              ("unsupported operand type(s) for", "cannot use")):
            words = words.replace(python, plain)
    return words or type(error).__name__


_SYNTAX = (
    (re.compile(r"unexpected '\.'"), "a template language of another program, such as "
     "`{{.Names}}`, must be written as {{ '{{.Names}}' }}"),
    (re.compile(r"unexpected char"), "check the quotes and the operators of the expression"),
    (re.compile(r"the end"),
     "close what is open, or write literal braces as {{ '{{' }}"),
)


def _syntax(error: jinja2.TemplateSyntaxError, text: str) -> TemplateError:
    if unended := re.search(r"needs to be closed is '(\w+)'", error.message or ""):
        return TemplateError("LT301", f"`{{% {unended[1]} %}}` without its end",
                             f"end it with `{{% end{unended[1]} %}}`", f"{{% {unended[1]}")
    said = (error.message or "not an expression").split(". ")[0].rstrip(".")
    for jinja, plain in (("end of print statement", "}}"), ("end of template", "the end"),
                         ("end of statement block", "%}")):
        said = said.replace(jinja, plain)
    hint = next((hint for pattern, hint in _SYNTAX if pattern.search(said)), "")
    unknown = re.search(r"[Nn]o (filter|test) named '(\w+)'", said)
    if unknown:
        return TemplateError("LT314", f"no {unknown[1]} named `{unknown[2]}`", "", unknown[2])
    lines = text.split("\n")
    at = lines[error.lineno - 1] if 0 < error.lineno <= len(lines) else ""
    start = re.search(r"\{[{%]", at)
    return TemplateError("LT301", f"not an expression: {said}", hint,
                         at[start.start():] if start else "")
