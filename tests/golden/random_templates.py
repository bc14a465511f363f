"""Random templates over make_chat_golden.VARIABLES: mostly valid, so that most of them say something."""
import random

TEXTS = ["s", "padded", "unicode", "empty", "quoted", "csv", "lines", "html"]
NUMBERS = ["n", "zero", "minus", "f", "small", "large", "big", "yes", "no"]
LISTS = ["l", "words", "mixed", "nested", "none_left"]
DICTS = ["d", "void", "people[0]", "people[1]"]
ANY = TEXTS + NUMBERS + LISTS + DICTS + ["people", "nothing", "unknown", "x", "y", "ns"]
STRINGS = ["''", "'a'", "' '", "','", "'l'", "'n'", "'Hello'", "'o W'", "\"it's\"", "'\\n'", "'a\\tb'", "'é'", "'中'", "'😀'",
           "'%s'", "'{}'", "'<b>'", "'aXbXc'", "'  x '", "'1'", "'-7'", "'2.50'", "'v'", "'t.q'", "'0x1f'", "'ß'", "'ﬁ'", "'İ'",
           "'\\\\'", "'\\u00e9'", "'\\x41'", "'user'", "'</think>'", "'a\nb'"]
BLANKS = ["", " ", "\n", "  ", "\n\n", " \n ", "\t", "\r\n", "\n  "]
WORDS = ["a", "b c", "<|im_start|>", "user", "{ }", "é", "x\n", "%", "#", "}}"]

FILTERS_OF_TEXT = ["upper", "lower", "title", "capitalize", "trim", "trim({s})", "length", "list", "first", "last",
                   "replace({s}, {s})", "replace({s}, {s}, {i})", "indent", "indent({i})", "indent({i}, {b})", "indent(width={s}, blank={b})",
                   "e", "escape", "safe", "int", "int({i})", "int(base={i})", "float", "float({f})", "reverse", "reverse | list", "string", "tojson",
                   "default({s})", "d({s}, {b})", "join({s})", "center({i})", "batch({i}) | list", "sort | join", "unique | list", "map('upper') | list",
                   "select('in', {s}) | join", "wordcount", "truncate({i})", "forceescape", "format({e})", "tojson(indent={i})",
                   "slice({i}) | list", "count", "min", "max", "truncate({i}, true, '')"]
FILTERS_OF_NUMBER = ["abs", "int", "float", "round", "round({i})", "round({i}, 'ceil')", "round(method='floor')", "string", "tojson", "default({i})",
                     "round | int", "upper", "e", "length"]
FILTERS_OF_LIST = ["length", "first", "last", "join", "join({s})", "join({s}, attribute={s})", "list", "reverse | list", "sort", "sort(reverse={b})", "sort({b}, {b})",
                   "sort(attribute={s})", "unique | list", "min", "max", "sum", "sum(start={i})", "map('string') | list", "map('upper') | join({s})",
                   "map(attribute={s}) | list", "map(attribute={s}, default={e}) | list", "map('length') | list", "map('int') | sum", "select | list", "reject | list", "select('string') | list",
                   "select('eq', {e}) | list", "reject('in', {l}) | list", "selectattr({s}) | list", "selectattr({s}, 'defined') | list", "selectattr({s}, 'equalto', {e}) | list",
                   "rejectattr({s}) | list", "rejectattr({s}, 'none') | map(attribute='n') | list", "batch({i}) | list", "batch({i}, {e}) | list", "slice({i}) | list",
                   "groupby({s})", "groupby({s}) | map('last') | list", "tojson", "tojson(indent={i})", "string", "map('tojson') | join('|')", "dictsort", "select('mapping') | list",
                   "select('number') | map('abs') | list", "map('first') | list", "map('default', {s}) | list", "sum(attribute={s})", "count", "map(*[{s}])",
                   "map('replace', {s}, {s}) | list", "map('trim') | list", "map('list') | list", "select('odd') | list", "map('format', {e}) | list"]
FILTERS_OF_DICT = ["length", "list", "items | list", "dictsort", "dictsort(reverse={b})", "dictsort(by='value')", "dictsort({b}, 'value')", "tojson", "tojson(indent={i})", "string", "first", "last",
                   "join({s})", "tojson(sort_keys={b})", "tojson(separators=({s}, {s}))", "sort", "map('upper') | list", "attr({s})", "default({e})", "select | list", "max"]
METHODS_OF_TEXT = ["upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()", "strip()", "strip({s})", "lstrip({s})", "rstrip({s})", "lstrip()", "rstrip()", "split()", "split({s})",
                   "split({s}, {i})", "split(maxsplit={i})", "rsplit({s}, {i})", "rsplit(none, {i})", "splitlines()", "splitlines({b})", "startswith({s})", "endswith({s})", "startswith(({s}, {s}))",
                   "startswith({s}, {i})", "endswith({s}, {i}, {i})", "find({s})", "find({s}, {i})", "rfind({s}, {i}, {i})", "index({s})", "rindex({s})", "count({s})", "count({s}, {i})", "replace({s}, {s})",
                   "replace({s}, {s}, {i})", "join({l})", "partition({s})", "rpartition({s})", "removeprefix({s})", "removesuffix({s})", "ljust({i})", "rjust({i}, '*')", "center({i}, '-')", "zfill({i})",
                   "format({e}, {e})", "format(a={e})", "isspace()", "isalpha()", "isalnum()", "isdigit()", "isdecimal()", "isnumeric()", "isupper()", "islower()", "istitle()", "isidentifier()",
                   "isprintable()", "isascii()", "nosuch()", "upper", "__class__", "_x"]
METHODS_OF_DICT = ["get({s})", "get({s}, {e})", "items()", "items() | list", "keys() | list", "values() | list", "keys()", "values()", "copy()", "a", "B", "c", "n", "v", "items", "t.q", "nosuch", "update({{}})", "pop({s})",
                   "get()"]
METHODS_OF_LIST = ["index({e})", "count({e})", "copy()", "append({e})", "nosuch", "0", "index({e}, {i})"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false", "mapping", "sequence", "iterable", "odd", "even", "divisibleby {i}", "divisibleby({i})",
         "in {l}", "in({s})", "upper", "lower", "callable", "eq {e}", "eq({e})", "ne({e})", "lt({e})", "ge {i}", "sameas {e}", "equalto({e})", "escaped", "filter", "test", "gt({i})", "nosuch"]
NOISE = ["{%", "%}", "{{", "}}", "{#", "#}", "-", "+", "|", "(", ")", "[", "]", ",", "'", ".", "if", "else", " is ", " not ", " in ", "=", ":", "\n", "{", "}", "~"]


class RandomTemplate:
    """The same seed and number give the same template."""

    def __init__(self, seed, number):
        self.random = random.Random(seed * 1000003 + number)
        self.loops = 0
        self.macros = []

    def pick(self, items):
        return self.random.choice(items)

    def chance(self, one_in):
        return self.random.randrange(one_in) == 0

    # --- expressions ---

    def filled(self, pattern, depth):
        """{s} a text, {i} an integer, {f} a float, {b} a boolean, {l} a list, {d} a dict, {e} anything."""
        made = ""
        at = 0
        while at < len(pattern):
            if pattern[at] == "{" and pattern[at + 2:at + 3] == "}" and pattern[at + 1] in "sifblde":
                made += self.one_of(pattern[at + 1], depth - 1)
                at += 3
            elif pattern[at:at + 2] in ("{{", "}}"):
                made += pattern[at]
                at += 2
            else:
                made += pattern[at]
                at += 1
        return made

    def one_of(self, kind, depth):
        if self.chance(25):
            return self.anything(depth)
        return {"s": self.string, "i": self.integer, "f": self.number, "b": self.boolean, "l": self.list_,
                "d": self.dict_, "e": self.anything}[kind](depth)

    def string(self, depth):
        kind = self.random.randrange(10)
        if depth <= 0 or kind < 4:
            return self.pick(STRINGS)
        if kind < 6:
            return self.pick(TEXTS)
        if kind == 6:
            return "(" + self.string(depth - 1) + self.pick([" ~ ", " + "]) + self.string(depth - 1) + ")"
        if kind == 7:
            return self.string(depth - 1) + self.slice(depth - 1)
        if kind == 8:
            return self.string(depth - 1) + "." + self.filled(self.pick(METHODS_OF_TEXT), depth - 1)
        return "(" + self.string(depth - 1) + " | " + self.filled(self.pick(FILTERS_OF_TEXT), depth - 1) + ")"

    def integer(self, depth):
        kind = self.random.randrange(8)
        if depth <= 0 or kind < 5:
            return self.pick(["0", "1", "2", "3", "-1", "-2", "5", "10", "n", "zero", "minus", "l[0]"])
        return self.number(depth)

    def number(self, depth):
        kind = self.random.randrange(9)
        if depth <= 0 or kind < 2:
            return self.pick(["0", "1", "2", "-1", "3.5", "0.1", "1e3", "-0.0", "1_000", "7", "100"] + NUMBERS)
        if kind < 6:
            return "(" + self.number(depth - 1) + self.pick([" + ", " - ", " * ", " / ", " // ", " % "]) + self.number(depth - 1) + ")"
        if kind == 6 and self.chance(4):  # small ones: Python would go on for ever
            return self.pick(["2", "-2", "0.5", "n", "(-n)"]) + " ** " + self.pick(["2", "3", "-1", "0", "2 ** 3", "0.5", "yes"])
        if kind == 6:
            return self.pick(["-", "+"]) + self.number(depth - 1)
        if kind == 7:
            return self.pick([self.list_, self.string])(depth - 1) + " | length"
        return self.number(depth - 1) + " | " + self.filled(self.pick(FILTERS_OF_NUMBER), depth - 1)

    def boolean(self, depth):
        kind = self.random.randrange(9)
        if depth <= 0 or kind < 2:
            return self.pick(["true", "false", "True", "none", "yes", "no", "not yes"])
        if kind < 4:
            made = self.anything(depth - 1)
            for _ in range(self.random.randrange(3) + 1):
                made += self.pick([" == ", " != ", " < ", " <= ", " > ", " >= ", " in ", " not in "]) + self.anything(depth - 1)
            return made
        if kind == 4:
            return "not " + self.boolean(depth - 1)
        if kind == 5:
            return self.boolean(depth - 1) + self.pick([" and ", " or "]) + self.boolean(depth - 1)
        if kind == 6:
            return "(" + self.boolean(depth - 1) + ")"
        return self.anything(depth - 1) + self.pick([" is ", " is not "]) + self.filled(self.pick(TESTS), depth - 1)

    def list_(self, depth):
        kind = self.random.randrange(11)
        if depth <= 0 or kind < 3:
            return self.pick(LISTS + ["people", "[]", "[1, 2]", "['a', 'b']", "()", "(1,)"])
        if kind == 3:
            return "[" + ", ".join(self.anything(depth - 1) for _ in range(self.random.randrange(4))) + "]"
        if kind == 4:
            return "(" + "".join(self.anything(depth - 1) + ", " for _ in range(self.random.randrange(1, 4))) + ")"
        if kind == 5:
            return "range(" + ", ".join(self.integer(depth - 1) for _ in range(self.random.randrange(1, 4))) + ")"
        if kind == 6:
            return self.list_(depth - 1) + self.slice(depth - 1)
        if kind == 7:
            return "(" + self.list_(depth - 1) + self.pick([" + ", " * "]) + self.pick([self.list_, self.integer])(depth - 1) + ")"
        if kind == 8:
            return self.list_(depth - 1) + "." + self.filled(self.pick(METHODS_OF_LIST), depth - 1)
        return "(" + self.list_(depth - 1) + " | " + self.filled(self.pick(FILTERS_OF_LIST), depth - 1) + ")"

    def dict_(self, depth):
        kind = self.random.randrange(9)
        if depth <= 0 or kind < 3:
            return self.pick(DICTS + ["{}", "{'a': 1}"])
        if kind == 3:
            return "{" + ", ".join(self.anything(depth - 1) + ": " + self.anything(depth - 1) for _ in range(self.random.randrange(3))) + "}"
        if kind == 4:
            return "dict(" + self.pick(["", "d, ", "{'q': 1}, "]) + "k=" + self.anything(depth - 1) + ")"
        if kind == 5:
            return self.dict_(depth - 1) + "." + self.filled(self.pick(METHODS_OF_DICT), depth - 1)
        if kind == 6:
            return self.dict_(depth - 1) + "[" + self.string(depth - 1) + "]"
        return "(" + self.dict_(depth - 1) + " | " + self.filled(self.pick(FILTERS_OF_DICT), depth - 1) + ")"

    def slice(self, depth):
        end = lambda: self.integer(depth) if self.chance(2) else ""
        return self.pick([lambda: f"[{self.integer(depth)}]", lambda: f"[{end()}:{end()}]", lambda: f"[{end()}:{end()}:{end()}]",
                          lambda: "[::-1]", lambda: f"[{self.string(depth)}]", lambda: f".{self.random.randrange(3)}"])()

    def loop(self):
        return "loop." + self.pick(["index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem", "depth", "depth0",
                                    "cycle('a', 'b')", "changed(x)", "nosuch"])

    def anything(self, depth):
        kind = self.random.randrange(20)
        if depth <= 0 or kind < 3:
            return self.pick(ANY + STRINGS + ["1", "2.5", "none", "[]", "{}", "()"])
        if kind < 7:
            return self.string(depth)
        if kind < 9:
            return self.number(depth)
        if kind < 11:
            return self.boolean(depth)
        if kind < 14:
            return self.list_(depth)
        if kind < 16:
            return self.dict_(depth)
        if kind == 16:
            made = self.anything(depth - 1) + " if " + self.boolean(depth - 1)
            return "(" + made + ("" if self.chance(4) else " else " + self.anything(depth - 1)) + ")"
        if kind == 17 and self.loops:
            return self.loop()
        if kind == 18 and self.macros:
            return self.call(depth)
        return self.anything(depth - 1) + " | " + self.filled(self.pick(self.pick([FILTERS_OF_TEXT, FILTERS_OF_LIST, FILTERS_OF_DICT])), depth - 1)

    def call(self, depth):
        arguments = [self.anything(depth - 1) for _ in range(self.random.randrange(3))]
        if self.chance(3):
            arguments.append(self.pick(["p", "q", "r"]) + "=" + self.anything(depth - 1))
        if self.chance(12):
            arguments.append("*" + self.list_(0))
        if self.chance(12):
            arguments.append("**" + self.dict_(0))
        return self.pick(self.macros) + "(" + ", ".join(arguments) + ")"

    # --- statements ---

    def tag(self, inside):
        begin = self.pick(["{%", "{%", "{%", "{%-", "{%+"])
        end = self.pick(["%}", "%}", "%}", "-%}", "+%}"])
        return begin + self.pick([" ", " ", "", "\n"]) + inside + self.pick([" ", " ", "\n"]) + end

    def output(self, depth):
        return self.pick(["{{", "{{", "{{-"]) + " " + self.anything(depth) + " " + self.pick(["}}", "}}", "-}}"])

    def plain(self):
        return self.pick(BLANKS) + self.pick(WORDS) + self.pick(BLANKS)

    def body(self, depth):
        return self.pick(BLANKS) + "".join(self.statement(depth - 1) for _ in range(self.random.randrange(1, 4))) + self.pick(BLANKS)

    def name(self):
        return self.pick(["x", "y", "z", "s", "n", "l"])

    def for_(self, depth):
        target, over = self.pick([("x", self.list_(2)), ("x", self.list_(2)), ("x", self.string(1)), ("x, y", "d.items()"), ("x, y", "people | map('items') | first"),
                                  ("x", self.dict_(1)), ("m", "people"), ("x", self.anything(2)), ("x, y", "nested"), ("(x, y)", "[(1, 2), 'ab']")])
        head = f"for {target} in {over}"
        if self.chance(5):
            head += " if " + self.boolean(2)
        recursive = self.chance(10)
        if recursive:
            head += " recursive"
        self.loops += 1
        made = self.tag(head) + self.body(depth)
        if recursive:
            made += "{{ loop(x) if x is iterable and x is not string and loop.depth < 3 }}"
        if self.chance(5):
            made += self.tag("if " + self.boolean(2)) + self.tag(self.pick(["break", "continue"])) + self.tag("endif") + self.plain()
        self.loops -= 1
        if self.chance(4):
            made += self.tag("else") + self.body(depth)
        return made + self.tag("endfor")

    def if_(self, depth):
        made = self.tag("if " + self.boolean(3)) + self.body(depth)
        if self.chance(3):
            made += self.tag("elif " + self.boolean(2)) + self.body(depth)
        if self.chance(2):
            made += self.tag("else") + self.body(depth)
        return made + self.tag("endif")

    def set_(self, depth):
        kind = self.random.randrange(9)
        if kind < 4:
            return self.tag(f"set {self.name()} = {self.anything(depth)}")
        if kind == 4:
            return self.tag(f"set {self.name()}{self.pick(['', '', ' | trim', ' | upper | trim'])}") + self.body(depth) + self.tag("endset")
        if kind == 5:
            return self.tag(f"set x, y = {self.list_(2)}")
        if kind == 6:
            return self.tag("set ns = namespace(a=1, b=[])")
        return self.tag(f"set ns.{self.pick(['a', 'b', 'c'])} = {self.anything(depth)}") + "{{ ns." + self.pick(["a", "b", "c"]) + " }}"

    def macro(self, depth):
        name = self.pick(["f", "g"])
        parameters = self.pick(["", "p", "p, q", "p, q=1", "p=x, q=p", "p='a', q=[], r=n"])
        body = self.body(depth) + self.pick(["", "{{ p }}", "{{ q }}", "{{ varargs }}", "{{ kwargs }}", "{{ caller() }}", "{{ caller(1) if caller }}", "{{ r is defined }}"])
        made = self.tag(f"macro {name}({parameters})") + body + self.tag("endmacro")
        self.macros.append(name)
        return made

    def statement(self, depth):
        kind = self.random.randrange(24)
        if depth <= 0 or kind < 4:
            return self.plain()
        if kind < 9:
            return self.output(3)
        if kind < 12:
            return self.for_(depth)
        if kind < 15:
            return self.if_(depth)
        if kind < 18:
            return self.set_(depth)
        if kind == 18:
            return self.macro(depth)
        if kind == 19 and self.macros:
            return self.tag("call" + self.pick(["", "(v)", "(v, w=2)"]) + " " + self.call(2)) + self.body(depth) + "{{ v }}" + self.tag("endcall")
        if kind == 20:
            return self.tag("filter " + self.filled(self.pick(FILTERS_OF_TEXT), 1)) + self.body(depth) + self.tag("endfilter")
        if kind == 21:
            return self.tag(self.pick(["with x = " + self.anything(2), "with", "with x = 1, y = x"])) + self.body(depth) + self.tag("endwith")
        if kind == 22:
            return self.pick([self.tag("generation") + self.body(depth) + self.tag("endgeneration"), self.tag("raw") + "{{ n }}" + self.plain() + self.tag("endraw"),
                              "{#" + self.pick(["", "-", "+"]) + " note " + self.pick(["", "-", "+"]) + "#}", self.tag("print " + self.anything(2))])
        return "{{ " + self.anything(4) + " }}"

    def text(self):
        made = "".join(self.statement(3) for _ in range(self.random.randrange(1, 5)))
        if self.chance(30):  # broken
            at = self.random.randrange(len(made) + 1)
            made = made[:at] + self.pick(NOISE) + made[at + self.random.randrange(3):]
        return made
