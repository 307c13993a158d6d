"""The sandbox against the published escapes of Jinja2, and against what grows or never ends.

Sources: CVE-2016-10745 and CVE-2019-10906 (str.format, format_map), CVE-2024-56326 (an indirect
reference to format), CVE-2024-56201 (file names), CVE-2025-27516 (|attr), and the usual payloads of
server-side template injection.
"""
# ruff: noqa: E501 - the tables of cases are read row by row

import pytest

from ltspec.spec import sandbox, templates
from ltspec.spec.functions import functions
from ltspec.spec.templates import TemplateError

CONTEXT = {"a": "text", "list": [1, 2], "map": {"k": "v"}, **functions("/", {"HOME": "/root"})}

ESCAPES = [
    "{{ ''.__class__ }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}", "{{ ''|attr('__class__') }}", "{{ ''|attr('\\x5f_class__') }}",
    "{{ ()|attr('__class__')|attr('__base__') }}", "{{ [].__class__.__base__ }}",
    "{{ list.append.__globals__ }}", "{{ env.__globals__ }}", "{{ file.__code__ }}", "{{ env.__closure__ }}",
    "{{ range.__class__ }}", "{{ self }}", "{{ self.__init__ }}", "{{ self._TemplateReference__context }}",
    "{{ config }}", "{{ request }}", "{{ cycler.__init__.__globals__.os }}", "{{ lipsum.__globals__ }}",
    "{{ joiner.__init__.__globals__ }}", "{{ namespace.__init__.__globals__ }}", "{{ dict.__mro__ }}",
    "{{ get_flashed_messages.__globals__ }}", "{{ url_for.__globals__ }}", "{{ undefined.__class__ }}",
    "{{ missing.__class__ }}", "{{ missing.__init__.__globals__ }}", "{{ missing._undefined_exception }}",
    "{{ missing._fail_with_undefined_error }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(env) }}", "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ '%s'.format.__self__ }}", "{{ ''.format.__self__ }}", "{{ {'x': ''.format}.x('{0.__class__}') }}",
    "{{ ['{0.__class__}'.format] | map('string') | list }}", "{{ '{0.__class__}' | format(env) | attr('x') }}",
    "{{ [''] | map('format', env) | map(attribute='__class__') | list }}",
    "{{ [''] | map(attribute='__class__') | list }}", "{{ [env] | map(attribute='__globals__') | list }}",
    "{{ [''] | map('attr', '__class__') | list }}", "{{ [{'a': ''}] | groupby('a.__class__') }}",
    "{{ [''] | selectattr('__class__') | list }}", "{{ [''] | sort(attribute='__class__.__name__') }}",
    "{{ [''] | sum(attribute='__class__') }}", "{{ [''] | join(attribute='__class__') }}x",
    "{{ [''] | unique(attribute='__class__') | list }}", "{{ ['', 'a'] | max(attribute='__class__') }}",
    "{{ (1).__class__ }}", "{{ 1.0.__class__ }}", "{{ true.__class__ }}", "{{ none.__class__ }}",
    "{{ ''.join.__self__.__class__ }}", "{{ list.sort() }}", "{{ list.append(1) }}", "{{ map.update({'a': 1}) }}",
    "{{ map.pop('k') }}", "{{ map.clear() }}", "{{ list.__iadd__([1]) }}", "{{ map.setdefault('x', 1) }}",
    "{{ (x for x in [1]).gi_frame }}", "{{ ([1] | map('string')).gi_frame.f_globals }}",
    "{{ ([1] | map('string')).gi_code }}", "{{ ([1] | select).gi_frame }}",
    "{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% from 'os' import system %}",
    "{% extends '/etc/passwd' %}", "{% set x = ''.__class__ %}{{ x }}", "{% macro m() %}{{ caller }}{% endmacro %}",
    "{% call x() %}{% endcall %}", "{% filter upper %}a{% endfilter %}", "{% block b %}{% endblock %}",
    "{% with x = 1 %}{{ x }}{% endwith %}", "{% autoescape true %}{% endautoescape %}",
    "{% do list.append(1) %}", "{% debug %}", "{% trans %}{% endtrans %}", "{% break %}",
    "{% for x in ''.__class__.__mro__ %}{{ x }}{% endfor %}", "{% if ''.__class__ %}x{% endif %}",
    "{{ ''.encode('utf-8').decode() }}", "{{ 'a'.translate({97: 98}) }}", "{{ ''.maketrans('a', 'b') }}",
    "{{ import('os') }}", "{{ __import__('os') }}", "{{ open('/etc/passwd') }}", "{{ eval('1') }}",
    "{{ exec('1') }}", "{{ getattr('', '__class__') }}", "{{ type('') }}", "{{ globals() }}", "{{ vars() }}",
    "{{ environment }}", "{{ context }}", "{{ resolve }}", "{{ loop.__class__ }}", "{{ caller() }}",
    "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}", "{% for x in [1] %}{{ loop._iterator }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop.__call__ }}{% endfor %}",
    "{{ '' | xmlattr }}", "{{ '' | pprint }}", "{{ '' | attr }}", "{{ '' | safe }}", "{{ [1] | random }}",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_an_escape_is_refused(text):
    with pytest.raises(TemplateError):
        templates.Templates().text(text).render(CONTEXT)


BOMBS = [
    "{{ 'a' * 10**9 }}", "{{ 'a' * 1000000000 }}", "{{ 1000000000 * 'a' }}", "{{ [1] * 1000000000 }}",
    "{{ 9 ** 99999999 }}", "{{ 2 ** 2 ** 99999 }}", "{{ (9 ** 999) ** 999 }}", "{{ 9 ** 9999 }}",
    "{{ 'a' | center(1000000000) }}", "{{ '%1000000000d' % 1 }}", "{{ '%*d' | format(1000000000, 1) }}",
    "{{ '%1000000000d' | format(1) }}", "{{ 'a'.ljust(1000000000) }}", "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a'.center(1000000000) }}", "{{ '\t'.expandtabs(1000000000) }}", "{{ '{:1000000000}'.format(1) }}",
    "{{ range(1000000000) | list }}", "{{ range(1000000000) }}", "{{ range(100000) | map('string') | join('x' * 100000) }}",
    "{{ 'a' | indent(1000000000, true) }}", "{{ ('a' * 1000000) ~ ('a' * 1000000) }}",
    "{{ ('a' * 1000000) + ('a' * 1000000) }}", "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "{{ ('a' * 100000).replace('a', 'b' * 100000) }}", "{{ ('x' * 1000000).join(['a'] * 100000) }}",
    "{{ ('a' * 100000) | regex_replace('a', 'b' * 100000) }}", "{{ 1.5 | round(1000000000) }}",
    "{{ ('a' * 100000) | regex_search('(a*)*b') }}", "{{ ('a' * 50) | regex_search('(a|aa)+$b') }}",
    "{{ 'a' | regex_replace('', 'b' * 1000000) | regex_replace('', 'b' * 1000000) }}",
    "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "".join(f"{{% for v{n + 1} in [v{n} ~ v{n}] %}}" for n in range(1, 40)).replace("v1 ~ v1", "'aaaa'", 1)
    + "{{ v40 }}" + "{% endfor %}" * 39,
    "".join(f"{{% for v{n + 1} in [[v{n}, v{n}]] %}}" for n in range(1, 40)).replace("[v1, v1]", "[1]", 1)
    + "{{ v40 | to_json }}" + "{% endfor %}" * 39,
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{{ " + "-" * 50000 + "1 }}",
    "{{ " + "[" * 300 + "]" * 300 + " }}", "{{ a" + ".b" * 20000 + " }}", "{{ 1" + " + 1" * 20000 + " }}",
    "{{ " + "9" * 10000 + " }}", "{{ not " * 1 + "not " * 20000 + "a }}", "{% if a %}" * 3000 + "{% endif %}" * 3000,
    "{{ a" + " | upper" * 20000 + " }}", "{{ ('[' * 100000) | from_json }}",
    "{{ [[1] * 300] * 300 * 3 }}",
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_what_grows_or_never_ends_is_refused(text, monkeypatch):
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 0.5)
    with pytest.raises(TemplateError):
        templates.Templates().text(text).render(CONTEXT)


def test_a_text_that_is_as_large_as_allowed_works():
    text = templates.Templates().text("{{ 'a' * 1048576 }}").render({})
    assert len(text) == templates.MAX_TEXT
