"""Templates: names without Jinja2 behave as with it; filters, functions, limits of a value."""
# ruff: noqa: E501 - the tables of cases are read row by row

import subprocess
import sys

import pytest

from ltspec.spec import sandbox, templates
from ltspec.spec.templates import TemplateError

CONTEXT = {
    "a": "text", "n": 5, "f": 1.5, "t": True, "no": False, "nothing": None, "list": [1, "b"],
    "map": {"k": "v", "inner": {"x": 1}}, "odd": {"items": 1, "keys": 2, "_x": 3},
}


def outcome(template, context=CONTEXT):
    try:
        return template.render(context)
    except TemplateError as error:
        return (error.code, error.message, error.hint)


@pytest.mark.parametrize("text", [
    "{{ a }}", "{{a}}", "x{{ a }}y{{ n }}", "{{ map.k }}", "{{ map.inner.x }}", "{{ list }}", "{{ map }}",
    "x{{ f }}", "x{{ t }}", "{{ t }}", "{{ nothing }}", "x{{ nothing }}", "x{{ list }}", "x{{ map }}",
    "{{ missing }}", "x{{ missing }}", "{{ map.missing }}", "{{ a.missing }}", "{{ nothing.x }}",
    "{{ list.x }}", "{{ missing.x }}", "{{ map.k.x }}", "{{ odd._x }}", "{{ n.real }}", "  {{ a }} ",
    "{{ a }}\n", "{ {{ a }} }", "}} {{ a }}", "{{ item }}", "{{ n.x }}", "a }} b {{ a }}", "{# {{ a }} #}",
    "${#x[@]} {{ a }}",
])
def test_a_name_renders_the_same_with_and_without_jinja(text):
    simple = templates.Templates().text(text)
    jinja = sandbox.compile_text(text)
    assert outcome(simple) == outcome(jinja)
    assert (simple.names, simple.whole) == (jinja.names, jinja.whole)


def test_names_alone_do_not_import_jinja():
    code = ("import sys; from ltspec.spec.templates import Templates as T; t = T();"
            "t.text('x{{ a.b }}').render({'a': {'b': 1}}); t.expression('a').render({'a': 1});"
            "sys.exit('jinja2' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("text", ["{{ odd.items }}", "{{ odd.keys }}"])
def test_a_key_that_is_a_method_too_is_left_to_jinja(text):
    assert outcome(templates.Templates().text(text)) == outcome(sandbox.compile_text(text))


@pytest.mark.parametrize(("text", "value"), [
    ("{{ 1 + 1 }}", 2), ("{{ [1, 2] }}", [1, 2]), ("{{ {'a': 1} }}", {"a": 1}), ("{{ n > 3 }}", True),
    ("{{ 1 }}{{ 2 }}", "12"), ("x{{ n > 3 }}", "xtrue"), ("{{ 'a' ~ n ~ t }}", "a5true"),
    ("{{ a | upper }}", "TEXT"), ("{{ range(3) | list }}", [0, 1, 2]), ("{{ range(3) }}", [0, 1, 2]),
    ("{{ missing | default('d') }}", "d"), ("{{ missing is defined }}", False),
    ("{{ nothing | default('d', true) }}", "d"), ("{{ map.missing | default('d') }}", "d"),
    ("{% for x in list %}{{ x }};{% endfor %}", "1;b;"), ("{% if t %}a\n{% endif %}b", "a\nb"),
    ("{{ '/a/b' | basename }}", "b"), ("{{ '/a/b' | dirname }}", "/a"), ("{{ '/a' | dirname }}", "/"),
    ("{{ 'a' | dirname }}", ""), ("{{ 'ä' | b64encode }}", "w6Q="), ("{{ 'w6Q=' | b64decode }}", "ä"),
    ("{{ map | to_json }}", '{"k": "v", "inner": {"x": 1}}'), ("{{ '[1]' | from_json }}", [1]),
    ("{{ 'aXbX' | regex_replace('X', '-') }}", "a-b-"), ("{{ 'a1' | regex_search('[0-9]') }}", "1"),
    ("{{ 'ab' | regex_replace('(.)(.)', '\\\\2\\\\1') }}", "ba"), ("{{ 'a1b2' | regex_findall('[0-9]') }}", ["1", "2"]),
    ("{{ 'a.b' | regex_escape }}", "a\\.b"), ("{{ 'yes' | bool }}", True), ("{{ 'off' | bool }}", False),
    ("{{ t | ternary('y', 'n') }}", "y"), ("{{ 'a,b' | split(',') }}", ["a", "b"]), ("{{ [1, 2] | sum }}", 3),
    ("{{ {'a': 1} | combine({'b': 2}) }}", {"a": 1, "b": 2}), ("{{ {'a': 1} | dict2items }}", [{"key": "a", "value": 1}]),
    ("{{ [{'key': 'a', 'value': 1}] | items2dict }}", {"a": 1}), ("{{ [1] | zip([2]) | list }}", [[1, 2]]),
    ("{{ '%03d' | format(5) }}", "005"), ("{{ '%03d' % 5 }}", "005"), ("{{ 1.26 | round(1) }}", 1.3),
    ("{{ 'a\nb' | indent(2) }}", "a\n  b"), ("{{ ['b', 'a'] | sort | join('-') }}", "a-b"),
    ("{{ 'x'.join(['a', 'b']) }}", "axb"), ("{{ 'aab'.replace('a', 'c') }}", "ccb"), ("{{ list | length }}", 2),
    ("{{ 'a' in list }}", False), ("{{ (map.k, 1)[0] }}", "v"), ("{{ 'abc'[1:] }}", "bc"), ("{{ 7 // 2 }}", 3),
])
def test_what_an_expression_gives(text, value):
    found = templates.Templates().text(text).render(CONTEXT)
    assert found == value
    assert isinstance(found, type(value))


@pytest.mark.parametrize(("text", "names", "optional"), [
    ("{{ a + b }}", {"a", "b"}, set()), ("{{ a | default(b) }}", {"a", "b"}, {"a"}),
    ("{{ a.b is defined }}", {"a"}, {"a"}), ("{% for x in y %}{{ x }}{{ loop.index }}{% endfor %}", {"y"}, set()),
    ("{{ env('X') }}", {"env"}, set()), ("{{ loop.index }}", {"loop"}, set()), ("{{ range(n) }}", {"n"}, set()),
])
def test_the_names_that_a_template_needs(text, names, optional):
    template = templates.Templates().text(text)
    assert (template.names, template.optional) == (names, optional)


@pytest.mark.parametrize(("text", "hint"), [
    ("{{ mpa }}", "did you mean `map`?"), ("{{ item }}", "it is known only in a task that has a `loop`"),
    ("{{ map.kk }}", "did you mean `k`?"), ("{{ mpa | upper }}", "did you mean `map`?"),
    ("{{ zzz }}", "declare it under `inputs` or `vars`, or give -e zzz=…"),
])
def test_an_undefined_name_has_the_closest_known_one(text, hint):
    assert outcome(templates.Templates().text(text))[2] == hint


def test_the_filters_named_in_the_reference_are_those_that_exist():
    from ltspec.spec.reference import spec_reference

    listed = spec_reference().split("- Filters: ")[1].split(". An undefined")[0].split()
    assert sorted(listed) == sorted(name for name in sandbox._environment().filters if name not in ("d", "tojson"))
