#!/usr/bin/env python3
"""Makes tests/golden/text/chat_*.jsonl with Jinja2, configured as transformers configures it.

    /usr/bin/python3 tests/golden/make_chat_golden.py

Needs python3-jinja2. Each line of chat_expressions.jsonl is {"template", "text" or "fails"}, rendered
over chat_variables.json; each of chat_conversations.jsonl {"template": a file of chat_templates/,
"case": its place in chat_cases.json, "text" or "fails"}. "fails" is the message of raise_exception, or null where only the
failing matters.
"""
import copy
import datetime
import functools
import json
import pathlib
import warnings

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent / "text"


class Generation(jinja2.ext.Extension):
    """{% generation %}: its body, in a scope of its own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


class Raised(jinja2.exceptions.TemplateError):
    pass


def raise_exception(message):
    raise Raised(message)


def environment():
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                         extensions=[Generation, "jinja2.ext.loopcontrols"])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return made


ENVIRONMENT = environment()
compiled = functools.lru_cache(64)(ENVIRONMENT.from_string)


def rendered(template, variables, pass_on=()):
    try:
        return {"text": compiled(template).render(**copy.deepcopy(variables))}
    except pass_on:
        raise
    except Raised as raised:
        return {"fails": str(raised)}
    except Exception:  # whatever Python raises, the template fails
        return {"fails": None}


VARIABLES = {
    "s": "Hello World", "padded": "  pad\ted \n", "unicode": "äÖ ß 中文 😀", "empty": "",
    "quoted": "it's \"so\" \\ \t", "csv": "a,b,,c", "lines": "one\ntwo\r\n\nthree\n",
    "html": "<b>&'\"", "n": 7, "zero": 0, "minus": -3, "f": 2.5, "small": 1e-7, "large": 1e20,
    "big": 18446744073709551615, "yes": True, "no": False, "nothing": None,
    "l": [3, 1, 2], "words": ["b", "a", "C", "A"], "mixed": [1, "1", 1.0, True, None],
    "nested": [[1, 2], [3, [4]]], "none_left": [],
    "d": {"a": 1, "B": "two", "c": [1, 2], "items": 5}, "void": {},
    "people": [{"n": "x", "v": 2, "t": {"q": 1}}, {"n": "Y", "v": 1}, {"n": "a", "v": 2}],
}

SUBJECTS = ["s", "padded", "unicode", "empty", "n", "f", "yes", "nothing", "l", "words", "d",
            "people", "unknown"]

FILTERS = [
    "upper", "lower", "title", "capitalize", "trim", "trim('Hd')", "length", "count", "string",
    "int", "int(5)", "float", "abs", "round", "list", "first", "last", "join(', ')", "reverse | list",
    "sort", "sort(reverse=true)", "unique | list", "min", "max", "default('D')", "d('D', true)",
    "tojson", "tojson(indent=2)", "replace('l', 'L')", "indent(2, true)", "e", "map('string') | list",
    "select | list", "reject('none') | list", "batch(2) | list", "items | list", "dictsort", "sum",
]

TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true",
         "mapping", "sequence", "iterable", "odd", "divisibleby 2", "in [7, 'a', none]", "upper",
         "callable"]

EXPRESSIONS = """
1 + 2 * 3 - 4 / 2
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3, -7.5 // 2, -7.5 % 2, 7.5 % -2
2 ** 10, 2 ** -1, 2 ** 0.5, (-2) ** 3, -2 ** 2, 2 ** 3 ** 2
1 / 3, 2 / 3 * 3, 1e16, 1e15, 123456789012345678, 0.1 + 0.2, 1e-5, 0.0001, 1.5e300 * 10, -0.0
big, big + 1, big * 2, 9223372036854775807 + 1
1 / 0
1 % 0
'a' + 1
1 + nothing
nothing + nothing
yes + yes, yes * 3, -yes, +no, not yes, not nothing
'ab' * 3, 3 * 'ab', 'ab' * -1, [1] * 2, (1, 2) * 2, [1] + [2], (1,) + (2,), [1] + (2,)
[1] + [2], (1,) + (2,), 'ab' * 0
'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1] ~ unknown
1 ~ 2 + 3
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0 == true, 'a' < 'b' <= 'b'
1 < 'a'
nothing < 1
[1, 2] < [1, 3], (1, 2) < (1, 2, 0), [1] == (1,), {'a': 1} == {'a': 1.0}, [] == false
'ell' in s, 'x' not in s, 1 in l, 'a' in d, 'z' in d, 1 in [true], '' in '', 3 not in l
1 in s
1 in 5
'x' in unknown
not 1 in [1], not (1 == 2), not unknown
yes and 'x', no and 'x', no or 'y', '' or none, none_left or void or 'last'
1 if yes, 1 if no, 1 if no else 2, (1 if no else 2) if yes else 3
1 if no else 2 if no else 3
s[0], s[-1], s[1:4], s[::-1], s[-3:], s[:-3], s[8:2:-2], s[100:], s[::3], s[:100]
unicode[0], unicode[-1], unicode[::-1], unicode[3:6], unicode | length
s[100]
s['upper'](), d['items'], d.items() | list, d.a, d['a'], d.zz, d['zz'], d.zz is defined
l[0], l[-1], l[5], l[1:], l[::-1], l[-2:], l[::2], l['x'], l[true], l.0
unknown.x
unknown[0]
unknown()
unknown + 1
-unknown
d.zz.y
n.x, nothing.x, s.x, l.x, n['x']
n()
s.upper()[1:3].lower()
people[0].t.q, people[1].t, people[0]['n'], people[-1].v
l[::0]
s['a':]
[], [1], [1, 'a', none, true, 1.5], (), (1,), (1, 2), {}, {'a': 1, 2: none, none: [], true: ()}
{'a': 1, 'a': 2}, {1: 'x', 1.0: 'y', true: 'z'}
{[1]: 1}
'single' "double" 'joined'
'\\n\\t\\\\\\'\\"', 'caf\\u00e9 \\x41 \\101 \\q', "it's", 'say "x"'
quoted, [quoted], [html], [padded], [unicode], ['\\u200b\\u00a0é\\x00\\x7f']
1_000, 0xff, 0b11, 0o17, 1_0.5, 2e3, 1E-2
true, True, false, False, none, None
range(3), range(3) | list, range(1, 4) | list, range(5, 0, -2) | list, range(0), range(2, 8)[1:], range(9)[-1]
range(1, 2, 0)
range(200000)
dict(a=1, b=2), dict([('x', 1)]), dict(d, z=3)
namespace(a=1).a, namespace(d).a, namespace().x is defined
raise_exception('one: ' ~ 1)
raise_exception("only said when reached") if no else 'fine'
s.upper(), s.lower(), s.title(), s.swapcase(), 'hELLO wORLD'.capitalize(), "they're bill's".title()
"they're bill's-own (word) [x] <y>" | title
padded.strip() ~ '|', padded.lstrip() ~ '|', padded.rstrip() ~ '|', 'xxaxx'.strip('x'), 'abcba'.lstrip('ab')
'\\u3000\\u00a0x\\u2003'.strip(), '\\u3000\\u00a0x\\u2003' | trim
csv.split(','), csv.split(',', 1), csv.rsplit(',', 1), csv.split(',', maxsplit=2), ' a  b '.split(), ' a b c '.split(none, 1), ' a b c '.rsplit(none, 1), ''.split(), ''.split('x')
s.split('')
lines.splitlines(), lines.splitlines(true), 'a\\vb\\fc\\u2028d'.splitlines(), ''.splitlines()
s.startswith('He'), s.startswith(('x', 'He')), s.startswith('W', 6), s.endswith('ld'), s.endswith(('x',)), s.startswith('')
s.startswith(1)
s.find('o'), s.find('o', 5), s.find('z'), s.rfind('o'), s.index('W'), s.count('l'), s.count(''), s.count('l', 4), unicode.find('文'), s.find('o', -4)
s.index('z')
s.replace('l', 'L'), s.replace('l', 'L', 1), s.replace('', '-'), 'aaa'.replace('aa', 'b'), s.replace('zz', 'y')
', '.join(['a', 'b']), ''.join(words), '-'.join('abc'), '-'.join([])
', '.join(l)
'a=b=c'.partition('='), 'a=b=c'.rpartition('='), 'abc'.partition('x'), 'abc'.rpartition('x')
'abc'.removeprefix('a'), 'abc'.removesuffix('c'), 'abc'.removeprefix('x')
'7'.zfill(3), '-7'.zfill(4), 'ab'.ljust(5, '.'), 'ab'.rjust(5), 'ab'.center(5, '*'), 'abc'.center(6, '*')
'12'.isdigit(), 'a1'.isalnum(), 'ab'.isalpha(), ' '.isspace(), ''.isspace(), 'AB'.isupper(), 'aB'.islower(), 'Ab Cd'.istitle(), '½'.isnumeric(), '²'.isdigit(), 'é'.isalpha()
'{} {}'.format(1, 'a'), '{1} {0}'.format(1, 2), '{x} {y.n} {z[a]}'.format(x=1, y=people[0], z=d), '{{}} {!r}'.format('q')
'{}'.format()
'%s is %d' % ('x', 3), '%s' % 1, '%.2f %5d|%-5s|%05.1f|%x %X %o %e %g %%' % (1.005, 42, 'ab', 2.345, 255, 255, 8, 12345.678, 0.0001), '%(a)s' % d, '%r' % 'q', '%+d % d' % (1, 2)
'%s %s' % (1,)
'%d' % 'x'
'%s-%s' | format(1, 2), '%(x)s' | format(x=3)
d.get('a'), d.get('zz'), d.get('zz', 9), d.keys() | list, d.values() | list, d.items(), d.keys(), d.items() | length
l.index(2), l.count(1), (1, 2).index(2), l.copy()
l.index(99)
l.append(4)
d.update({'x': 1})
s.__class__, s.__class__ is defined, l.append is defined
d | items | list, void | items | list, unknown | items | list
d | dictsort, {'b': 1, 'A': 2} | dictsort(true), {'b': 1, 'A': 2} | dictsort(by='value'), {'b': 1, 'A': 2} | dictsort(reverse=true)
l | items
words | sort, words | sort(case_sensitive=true), words | sort(reverse=true), l | sort, people | sort(attribute='n') | map(attribute='n') | list, people | sort(attribute='v,n') | map(attribute='n') | join
mixed | sort
words | unique | list, words | unique(true) | list, people | unique(attribute='v') | map(attribute='n') | list
l | min, l | max, words | min, words | max(case_sensitive=true), none_left | min, people | max(attribute='v')
l | sum, people | sum(attribute='v'), l | sum(start=10), none_left | sum
words | join, words | join(', '), people | join('/', attribute='n'), l | join('-'), s | join('.'), mixed | join(' ')
people | map(attribute='n') | list, people | map(attribute='t.q', default='-') | list, words | map('upper') | list, nested | map('first') | list, nested | map(attribute=0) | list, l | map('float') | join(' ')
words | map('replace', 'a', 'o') | list, ['1', 'x'] | map('int', default=-1) | list
l | map
l | select('odd') | list, l | select('gt', 1) | list, mixed | select | list, mixed | select('string') | list, l | reject('even') | list, words | select('in', ['a', 'b']) | list
people | selectattr('t') | list | length, people | selectattr('v', 'equalto', 2) | map(attribute='n') | list, people | selectattr('n', 'in', ['x', 'a']) | list | length, people | rejectattr('v', '>', 1) | map(attribute='n') | first, people | selectattr('t', 'defined') | list | length, people | selectattr('t.q', 'eq', 1) | list | length
l | select('no such test') | list
l | first, l | last, none_left | first, none_left | last, s | first, s | last, d | first, l | first | string
l | map('string') | last
l | map('string') | length
l | reverse | list, s | reverse, unicode | reverse
l | batch(2) | list, l | batch(2, 'x') | list, l | batch(5) | list
people | groupby('v'), people | groupby('v') | map('first') | list, people | groupby('t.q', default=0) | map('last') | map('length') | list
n | abs, minus | abs, -2.5 | abs, s | abs
minus | abs, f | abs
'42' | int, 'x' | int, 'x' | int(7), '0x1f' | int(base=16), '0b11' | int(0, 2), ' 12 ' | int, '1_000' | int, '3.7' | int, 3.9 | int, -3.9 | int, none | int, [] | int, true | int, '٣' | string
'2.5' | float, 'x' | float, '1e3' | float, 'inf' | float, '-Infinity' | float, 'nan' | float, 7 | float, none | float(1.5), ' 1_0.5 ' | float
2.5 | round, 3.5 | round, 2.675 | round(2), 1234.5 | round(-2), 7 | round, 7 | round(1), 15 | round(-1), 25 | round(-1), 2.1 | round(method='ceil'), -2.1 | round(0, 'floor'), 2.123 | round(1, 'ceil'), 42.55 | round(1)
f | round(method='up')
-0.0 | round(method='floor'), -0.4 | round(0, 'ceil'), -0.0 | round
s | wordcount, lines | wordcount, unicode | wordcount, '' | wordcount, "it's a_b-c 3.5" | wordcount
s | truncate(9), s | truncate(5), s | truncate(5, leeway=0), s | truncate(8, true, leeway=0), s | truncate(7, end='…', leeway=0), unicode | truncate(3, true, '', 0), s | truncate
s | truncate(2)
range(7) | slice(3) | list, range(7) | slice(3, 'x') | list, [] | slice(2) | list, s | slice(4) | map('join') | list, l | slice(-1) | list, l | slice(5, none) | list
l | slice(0) | list
html | forceescape, html | e | forceescape, 5 | forceescape
s | attr('upper') is defined, d | attr('a') is defined
s | attr(unknown)
s | attr(1)
s.isprintable(), padded.isprintable(), ''.isprintable(), ''.isascii(), 'é'.isascii(), 'a_1'.isidentifier(), '1a'.isidentifier(), ''.isidentifier()
s.splitlines(none)
unknown | default('D'), nothing | default('D'), '' | default('D'), '' | default('D', true), zero | d(5, boolean=true), unknown | d
s | length, unicode | length, d | length, l | count, unknown | length, () | length
n | length
s | list, d | list, (1, 2) | list, range(2) | list, unknown | list
n | list
unicode | upper, unicode | lower, unicode | capitalize, 'ǆ' | capitalize, 'ÀÉ' | lower, 'straße' | upper
'a b' | center(9) ~ '|', 'ab' | center(5) ~ '|'
lines | indent, lines | indent(2), lines | indent(2, true), lines | indent(1, blank=true), lines | indent('> '), '' | indent, 'x' | indent(first=true)
n | indent
html | e, html | escape | e, html | safe, html | e ~ html, (html | safe) + html, html + (html | e), [html | safe]
s | replace('o', '0'), s | replace('o', '0', 1), n | replace(7, 8), s | replace('', '_')
d | tojson, people | tojson, unicode | tojson, html | tojson, quoted | tojson, '\\u2028\\x01\\x7f/' | tojson, [1.0, 1e20, 1e-7, big, none, true] | tojson, (1, (2,)) | tojson, {1: 2, none: 3, true: 4, 1.5: 5} | tojson
d | tojson(indent=2), people | tojson(indent=1), [] | tojson(indent=2), {} | tojson(indent=2), [[], {}] | tojson(indent=3), d | tojson(indent='--'), [1] | tojson(indent=0)
unicode | tojson(ensure_ascii=true), d | tojson(separators=(',', ':')), {'b': 1, 'a': 2} | tojson(sort_keys=true), {'b': [1]} | tojson(indent=2, separators=(',', ' : ')), unicode | tojson(true)
unknown | tojson
{'a': unknown} | tojson
range(3) | tojson
l | no_such_filter
yes is true, 1 is true, no is false, 0 is false, n is odd, 4 is even, 7 is divisibleby(7), 7 is divisibleby 2, 2.0 is even
1 is eq 1.0, 'a' is equalto('a'), 1 is ne(2), 1 is lt 2, 2 is ge(2), 3 is gt 2, 'a' is in ['a'], 'b' is in('abc'), none is sameas none, 1 is sameas true
s is string, s is not string, s is mapping, d is mapping, l is sequence, d is sequence, n is iterable, s is iterable, unknown is iterable, range is callable, l is iterable and l is not mapping and l is not string
s is lower, 'abc' is lower, 'ABC' is upper, '1' is upper, 5 is lower
n is no_such_test
s is odd
'tojson' is filter, 'x' is filter, 'defined' is test
unknown is defined or n is defined and s is defined
n is not none and n > 5
n is defined is string
[x for x in l]
1 +
{'a' 1}
(1, 2
l[1
a b
"open
'x' if
s.
""".strip("\n").split("\n")

STATEMENTS = [
    "a\n{% if yes %}\nb\n{% endif %}\nc\n",
    "a\n  {% if yes %}\n  b\n  {% endif %}\nc\n\n",
    "a\n  {%+ if yes %}\n  b\n  {%+ endif %}\nc",
    "a\n  {%- if yes -%}\n  b\n  {%- endif -%}\nc",
    "a {{- ' b ' -}} c {{ 'd' }} \n {{- 'e' }}\n\n",
    "{# note #}\na{# x\ny #}b\n  {# indented #}\nc {#- close -#} d{#+ keep +#}\ne",
    "{% raw %}{{ n }} {% if %} {# #}{% endraw %}\n{%- raw -%} x {%- endraw -%} y\n {% raw %}\n z{% endraw %}\nq",
    "{% if yes +%}\nx\n{% endif +%}\ny",
    "\n{% if yes %}x{% endif %}\n\n  {% if yes %}  y  {% endif %}  z",
    "a\r\nb\rc\n{{ 'x\r\ny' }}\r\n",
    "{% for x in l %}{{ x }}{% endfor %}|{% for x in unknown %}x{% else %}none{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}<{{ loop.nextitem }} {{ loop.previtem is defined }}{{ loop.nextitem is defined }};{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% else %}no{% endfor %}",
    "{% for x in l if x > 9 %}{{ x }}{% else %}no{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in l %}{% endfor %}",
    "{% for x in n %}{% endfor %}",
    "{% for x in nothing %}{% endfor %}",
    "{% for c in unicode %}[{{ c }}]{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}|{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% break %}{% else %}else{% endfor %}|{% for x in l %}{% continue %}{% else %}else{% endfor %}",
    "{% for x in l %}{{ loop.cycle('odd', 'even') }} {{ loop.changed(x > 1) }} {% endfor %}",
    "{% for x in nested recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}",
    "{% for x in l %}{% for y in words %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set ns = namespace(x=0, seen=[]) %}{% for i in l %}{% set ns.x = ns.x + i %}{% set ns.seen = ns.seen + [i] %}{% endfor %}{{ ns.x }}{{ ns.seen }}{{ ns.other is defined }}",
    "{% set d.a = 1 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}{% set t = 1, 2 %}{{ t }}",
    "{% set a, b = [1] %}",
    "{% set block %}\n<{{ s }}>\n{% endset %}[{{ block }}]{% set shout | upper | trim %} a {{ n }} {% endset %}[{{ shout }}]",
    "{% set x %}{% set inner = 1 %}{% endset %}{{ inner is defined }}",
    "{% if no %}1{% elif nothing %}2{% elif l %}3{% else %}4{% endif %}",
    "{% if unknown %}a{% endif %}{% if not unknown %}b{% endif %}{% if unknown == unknown2 %}c{% endif %}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=4) }} {{ m(b=5, a=6) }} {{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}{{ m.name }}",
    "{% macro m() %}{{ late }}{% endmacro %}{% set late = 5 %}{{ m() }}{% for i in l %}{% set late = i %}{{ m() }}{% endfor %}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %},{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(v) m(3) %}v={{ v }}{% endcall %}{% call m(1) %}plain{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}",
    "{% macro m() %}{% if caller %}{{ caller() }}{% else %}alone{% endif %}{% endmacro %}{{ m() }}{% call m() %}y{% endcall %}",
    "{% macro m(a=[]) %}{{ a + [1] }}{% endmacro %}{{ m() }}{{ m() }}{{ m([0]) | length }}",
    "{{ [1, 2] | map('string') | join }}{% macro x() %}{% endmacro %}{{ x }}",
    "{% filter upper %}a{{ s }}{% endfilter %}{% filter replace('a', 'b') | upper %}aha{% endfilter %}",
    "{% filter length %}abc{% endfilter %}", "{% filter list | join('-') %}abc{% endfilter %}", "{% filter reverse | list %}abc{% endfilter %}",
    "{% for x in [] %}{% if l is no_such_test %}x{% endif %}{% endfor %}ok",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% set n = 3 %}{{ n }}{% endwith %}{{ n }}{{ a is defined }}",
    "{% generation %}x{% set inside = 1 %}{{ s }}{% endgeneration %}{{ inside is defined }}",
    "{% print 1, 'a' %}{% print s %}",
    "{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{{ {'a': {'b': {}}} }}{{ {'x': 1}['x'] }}{{ '}}' }}{{ \"%}\" }}",
    "{% if yes %}x", "{% endif %}", "{% for x l %}{% endfor %}", "{{ n", "{% unknown_tag %}",
    "{% break %}", "{# open", "{% raw %}x", "x{#", "x{% raw %}", "{{ l | sort(reverse=unknown) }}", "{{ n }}}", "{{ (n }}", "{% set 1 = 2 %}", "{% set true = 2 %}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{{ f(a=1, 2) }}", "{% if yes %}{{ l | no_such_filter if no }}{% endif %}",
    "{% if l is no_such_test %}x{% endif %}", "{% if no %}{{ l | no_such_filter }}{% endif %}ok", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "line one\n{{ raise_exception('said in\nline ' ~ 2) }}",
    "plain { text } % with { % odd %} }} marks # {",
    "",
    "\n", "\n\n", " \n", "x\n", "x\n\n",
]

TOOLS = [
    {"type": "function", "function": {
        "name": "weather", "description": "The weather at a place.\nIn °C & \"so on\" <now>.",
        "parameters": {"type": "object", "properties": {
            "place": {"type": "string", "description": "A city's name"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": ["integer", "null"], "default": 1.5}}, "required": ["place"]}}},
    {"type": "function", "function": {
        "name": "add", "description": "Adds numbers", "parameters": {
            "type": "object", "properties": {"terms": {"type": "array", "items": {"type": "number"}}},
            "required": []}, "return": {"type": "number"}}},
]

PLAIN = [{"role": "user", "content": "  What is 2 + 2? "},
         {"role": "assistant", "content": "<think>\nEasy.\n</think>\n\n4"},
         {"role": "user", "content": "Und auf Deutsch? 日本語も 😀 <b>\"x\"</b>"}]
SYSTEM = [{"role": "system", "content": " Be brief.\n"}]
CALLED = [{"role": "user", "content": "How warm is it in Ulm?"},
          {"role": "assistant", "content": "", "reasoning_content": "I need the tool.",
           "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {
               "name": "weather", "arguments": {"place": "Ulm é", "days": 2}}}]},
          {"role": "tool", "name": "weather", "tool_call_id": "abcdefghi", "content": "{\"celsius\": 21.5}"},
          {"role": "assistant", "content": "It is 21.5 °C."},
          {"role": "user", "content": "Thanks"}]
TWO_RESULTS = CALLED[:2] + [{"role": "tool", "content": "21"}, {"role": "tool", "content": "22"}]
WRONG = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
CONVERSATIONS = [PLAIN, PLAIN[:2], SYSTEM + PLAIN, SYSTEM + PLAIN[:1], CALLED, SYSTEM + CALLED,
                 TWO_RESULTS, WRONG, []]


MORE = [{"add_generation_prompt": True}, {"add_generation_prompt": False},
        {"add_generation_prompt": True, "tools": TOOLS},
        {"add_generation_prompt": True, "enable_thinking": False, "date_string": "1 May 2025",
         "builtin_tools": ["search", "code_interpreter", "weather"]}]

# Templates whose conversations with tools are kept too; compare_chat.py has all with all.
WITH_TOOLS = ("qwen3", "llama3", "mistral", "typed_tools")


def cases():
    """What chat_cases.json has, and chat_conversations.jsonl names by its place."""
    return [{"messages": messages, "bos_token": "<s>", "eos_token": "</s>", **more}
            for messages in CONVERSATIONS for more in MORE]


def conversations():
    for path in sorted((HERE / "chat_templates").glob("*.jinja")):
        for number in range(len(CONVERSATIONS) * len(MORE)):
            of_more = number % len(MORE)
            if of_more > 1 and path.stem not in WITH_TOOLS:
                continue
            yield path, number


def write(name, rows):
    with open(HERE / name, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(name, len(rows), "lines,", sum("fails" in row for row in rows), "of them fail")


def main():
    warnings.simplefilter("ignore")
    templates = ["{{ %s | %s }}" % (subject, name) for name in FILTERS for subject in SUBJECTS]
    templates += ["{{ %s is %s }}" % (subject, name) for name in TESTS for subject in SUBJECTS]
    templates += ["{{ %s }}" % text for text in EXPRESSIONS] + STATEMENTS
    rows = [{"template": text, **rendered(text, VARIABLES)} for text in templates]
    # Where Python prints an address there is nothing to compare.
    write("chat_expressions.jsonl", [row for row in rows if " at 0x" not in row.get("text", "")])
    (HERE / "chat_variables.json").write_text(
        json.dumps(VARIABLES, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (HERE / "chat_cases.json").write_text(
        json.dumps(cases(), ensure_ascii=False) + "\n", encoding="utf-8")
    write("chat_conversations.jsonl",
          [{"template": path.name, "case": number,
            **rendered(path.read_text(encoding="utf-8"), cases()[number])}
           for path, number in conversations()])


if __name__ == "__main__":
    main()
