"""The problem codes: a promise. A code keeps its meaning for ever; a new meaning gets a new code.

docs/problems.md is made from this table, and a test tries each example.
"""

from typing import NamedTuple

from ltspec.spec.problems import ERROR, WARNING


class Code(NamedTuple):
    """What a code means. `example` is a spec that gives it, "" where a file cannot show it."""

    title: str
    explanation: str
    example: str = ""
    severity: str = ERROR


ONE = "id: one\ncommand: \"true\"\n"
ECHO = "id: one\ncommand: echo\n"

CODES: dict[str, Code] = {
    # --- reading
    "LT101": Code(
        "file cannot be read",
        "The file does not exist, cannot be read, is not a file, or lies outside the "
        "directory that --untrusted allows.",
    ),
    "LT102": Code(
        "not UTF-8",
        "Specs are UTF-8 text. The place is that of the first wrong byte.",
    ),
    "LT103": Code(
        "file too large",
        "A spec file has at most 8 MiB and 300,000 values. Split it.",
    ),
    "LT104": Code(
        "not YAML",
        "The text breaks YAML's rules; the place is where reading stopped, or where what is not "
        "closed begins. The cause is often one line above.",
        "id: one\ncommand: true: false\n",
    ),
    "LT105": Code(
        "nested too deep",
        "Lists and mappings may be nested 64 deep.",
        "id: one\ncommand: " + "[" * 65 + "]" * 65 + "\n",
    ),
    "LT106": Code(
        "aliases without end",
        "An alias (`*name`) lies within the value it stands for, or aliases of aliases "
        "expand to more than 100,000 values.",
        ONE + "vars: { list: &list [1, *list] }\n",
    ),
    "LT107": Code(
        "duplicate key",
        "The same key stands twice in one mapping. YAML readers would silently take one of "
        "them.",
        ONE + "id: two\n",
    ),
    "LT108": Code(
        "unknown tag",
        "ltspec knows no tags besides YAML's own (!!str, !!int, …).",
        "id: one\ncommand: !vault secret\n",
    ),
    "LT109": Code(
        "key that is not text",
        "A key is a list or a mapping. Often it is a template that was not quoted: a YAML "
        "value must not begin with a brace.",
        "id: {{ account }}\ncommand: \"true\"\n",
    ),
    "LT110": Code(
        "unknown alias",
        "An alias (`*name`) stands before its anchor (`&name`), or there is none.",
        "id: one\ncommand: *program\n",
    ),
    "LT111": Code(
        "no spec in the file",
        "The file is empty, or holds only comments.",
        "# nothing\n",
    ),
    "LT112": Code(
        "no files",
        "A directory holds no .yml or .yaml file, or a glob matches none.",
    ),
    "LT113": Code(
        "NUL character",
        "Text with the character U+0000, which no program can be given.",
        "id: one\ncommand: [\"true\", \"a\\0b\"]\n",
    ),
    # --- form
    "LT201": Code(
        "unknown key",
        "The key is none of the format's. The hint has the closest one, or the name that "
        "the thing has here.",
        "id: one\ncomand: \"true\"\n",
    ),
    "LT202": Code(
        "missing key",
        "A key that must be there is not.",
        "command: \"true\"\n",
    ),
    "LT203": Code(
        "wrong type",
        "The value is of another type than the key takes. Plain `no`, `on`, `yes` are text "
        "in YAML 1.2; `true` and `false` are the booleans.",
        ONE + "no_log: yes\n",
    ),
    "LT204": Code(
        "unknown word",
        "The key takes one of a few words.",
        ONE + "rerun: allways\n",
    ),
    "LT205": Code(
        "wrong form",
        "Text that has not the form it must have: a name, a duration, a size, a signal, …",
        "id: a b\ncommand: \"true\"\n",
    ),
    "LT206": Code(
        "out of range",
        "A number, a text or a list that is too small, too large, too short or too long, or "
        "a list that has an element twice.",
        ONE + "nice: 40\n",
    ),
    "LT207": Code(
        "keys that exclude each other",
        "Two keys that cannot stand together.",
        ONE + "script: echo\n",
    ),
    "LT208": Code(
        "unknown version",
        "The file is for another version of the format than this ltspec knows.",
        "ltspec: 2\nid: one\ncommand: \"true\"\n",
    ),
    # --- templates and variables
    "LT301": Code(
        "template that does not parse",
        "What stands in the braces is no Jinja2 expression.",
        ECHO + "parameters: [\"{{ 1 + }}\"]\n",
    ),
    "LT302": Code(
        "undefined variable",
        "A template names a variable, or a key of one, that does not exist. The hint has "
        "the closest name.",
        ECHO + "parameters: [\"{{ acount }}\"]\n",
    ),
    "LT303": Code(
        "template that fails",
        "The expression cannot be computed from these values.",
        ECHO + "parameters: [\"{{ 1 + 'a' }}\"]\n",
    ),
    "LT304": Code(
        "not allowed in a template",
        "Templates are sandboxed: no Python internals, no statements but `if` and `for`.",
        ECHO + "parameters: [\"{{ ''.__class__ }}\"]\n",
    ),
    "LT305": Code(
        "too large or too long",
        "A template renders to more than a million characters or 100,000 values, computes "
        "for longer than 3 seconds, or a loop has more than 100,000 turns.",
        ECHO + "parameters: [\"{{ 'a' * 10000000 }}\"]\n",
    ),
    "LT306": Code(
        "variables in a circle",
        "Variables that need one another.",
        "id: \"{{ a }}\"\ncommand: \"true\"\nvars: { a: \"{{ b }}\", b: \"{{ a }}\" }\n",
    ),
    "LT307": Code(
        "input without a value",
        "An input has no default, and none was given with -e. `validate` does not ask for "
        "it: it takes the input's first example.",
    ),
    "LT308": Code(
        "value of -e does not fit",
        "A value given with -e is not of the input's type, or breaks one of its rules.",
    ),
    "LT309": Code(
        "value of an input does not fit",
        "The default of an input, or the variable that overrides it, breaks the input's own "
        "rules.",
        "id: \"{{ a }}\"\ncommand: \"true\"\ninputs: { a: { type: integer, default: x } }\n",
    ),
    "LT310": Code(
        "unknown variable in -e",
        "No spec has an input or variable of this name, and no template uses it.",
    ),
    "LT311": Code(
        "value that is no text",
        "Null, a list or a mapping stands where it would become a part of a text.",
        ECHO +
        "vars: { a: [1, 2] }\nparameters: [\"x{{ a }}\"]\n",
    ),
    "LT312": Code(
        "file() cannot read",
        "The file that a template names with file() does not exist, cannot be read, is not "
        "UTF-8 or larger than 1 MiB.",
    ),
    "LT313": Code(
        "wrong use of when or loop",
        "`when` is an expression without braces that gives true or false; `loop` is a list "
        "or one expression that gives a list.",
        ONE + "when: \"{{ true }}\"\n",
    ),
    "LT314": Code(
        "unknown filter or test",
        "There is no such filter or test; some of other tools are left out on purpose, and "
        "the hint says why.",
        ECHO +
        "vars: { a: b }\nparameters: [\"{{ a | quote }}\"]\n",
    ),
    "LT315": Code(
        "variable of the environment is not set",
        "env('NAME') without a default names a variable that the environment of `apply` "
        "does not have.",
    ),
    "LT316": Code(
        "example that does not fit",
        "An input's example breaks the input's own rules; `validate` would work with it.",
        "id: \"{{ a }}\"\ncommand: \"true\"\n"
        "inputs: { a: { pattern: \"^u[0-9]+$\", examples: [root] } }\n",
    ),
    # --- tasks
    "LT401": Code(
        "duplicate task",
        "Two tasks have one identity: manager, queue and id. In a loop the id must hold "
        "what differs.",
        "id: one\nloop: [a, b]\ncommand: echo\nparameters: [\"{{ item }}\"]\n",
    ),
    "LT402": Code(
        "unknown needed task",
        "`needs` names a task that none of the files declares. (At `apply` it may be in the "
        "catalogue.)",
        ONE + "needs: [two]\n",
    ),
    "LT403": Code(
        "needs in a circle",
        "Tasks that wait for one another would wait for ever.",
        "tasks:\n  - { id: a, command: \"true\", needs: [b] }\n"
        "  - { id: b, command: \"true\", needs: [a] }\n",
    ),
    "LT404": Code(
        "task and queue of one name",
        "A task without a queue has the name of a queue: both would have the same path "
        "below the run directory.",
        "tasks:\n  - { id: a, command: \"true\", queue: b }\n  - { id: b, command: \"true\" }\n",
    ),
    "LT405": Code(
        "unknown queue",
        "The config closes the set of queues (`closed_queues: true`), and this one is not "
        "in it.",
    ),
    "LT406": Code(
        "nothing to run",
        "A task has neither `command` nor `script`, and the defaults have none either.",
        "id: one\n",
    ),
    "LT407": Code(
        "command that cannot be used",
        "A quote is not closed, or the program's name is empty.",
        "id: one\ncommand: echo 'a\n",
    ),
    "LT408": Code(
        "PID-file's name",
        "Two tasks would have one PID-file, or its name would be too long for a file "
        "system.",
    ),
    "LT409": Code(
        "ambiguous needed task",
        "`needs` names an id that several queues have.",
        "tasks:\n  - { id: a, command: \"true\", queue: q }\n"
        "  - { id: a, command: \"true\", queue: r }\n"
        "  - { id: b, command: \"true\", needs: [a] }\n",
    ),
    "LT410": Code(
        "value without a meaning",
        "The value has the right form and still means nothing: a day that does not exist, "
        "two durations in a row in `kill`.",
        ONE + "kill: [10s, TERM]\n",
    ),
    # --- warnings
    "LT501": Code(
        "id from the position in a loop",
        "Insert an element, and every later task takes over the identity, history and "
        "PID-file of another one.",
        "id: one-{{ loop.index }}\nloop: [a, b]\ncommand: echo\nparameters: [\"{{ item }}\"]\n",
        severity=WARNING,
    ),
    "LT502": Code(
        "secret in plain text",
        "An environment variable, a variable or an option whose name says secret has its value in "
        "the file, or a URL holds a password.",
        ONE + "env: { PGPASSWORD: hunter2 }\n",
        severity=WARNING,
    ),
    "LT503": Code(
        "unused variable",
        "No template uses the variable: often its name is misspelt somewhere.",
        ONE + "vars: { acount: u1 }\n",
        severity=WARNING,
    ),
    "LT504": Code(
        "unused input",
        "No template uses the input.",
        ONE + "inputs: { account: { default: u1 } }\n",
        severity=WARNING,
    ),
    "LT505": Code(
        "positional that might be an option",
        "A positional argument begins with a value from outside. One that begins with a "
        "dash would be taken for an option.",
        "id: one\ncommand: rm\ninputs: { path: { examples: [a] } }\nparameters: [\"{{ path }}\"]\n",
        severity=WARNING,
    ),
    "LT506": Code(
        "shell syntax in a command",
        "A pipe, a redirection, a `$NAME` or a `*` in `command`, or a value in `parameters`, `env` "
        "or `cwd` that begins with `~/`, `$NAME` or `$(`, reaches the program as it stands: "
        "nothing here meets a shell.",
        "id: one\ncommand: mysqldump shop | gzip\n",
        severity=WARNING,
    ),
    "LT508": Code(
        "variable to pass is not set",
        "`env_pass` names a variable that the environment of `apply` does not have; the "
        "task will not have it either.",
        severity=WARNING,
    ),
    "LT509": Code(
        "not checked",
        "`validate` could not check these fields: they need a value of an input that has neither "
        "a default nor examples, the environment, or a file that is not in the directories of "
        "the specs. It fails only with --strict, and is else a note beside the summary.",
        severity=WARNING,
    ),
    "LT510": Code(
        "yes or no that is no flag",
        "A plain `yes`, `no`, `on` or `off` is text in YAML 1.2: the option gets it as its value. "
        "`true` makes a flag, `false` leaves it out.",
        "id: one\ncommand: ls\nparameters: { all: yes }\n",
        severity=WARNING,
    ),
    "LT511": Code(
        "comment that silences nothing",
        "A `# ltspec: ignore` comment names no code, or none of the warnings of its line.",
        ONE + "nice: 5  # ltspec: ignore LT502\n",
        severity=WARNING,
    ),
    # --- the host (apply and plan)
    "LT601": Code(
        "unknown user",
        "This host has no such user.",
    ),
    "LT602": Code(
        "unknown group",
        "This host has no such group.",
    ),
    "LT603": Code(
        "user may not be changed",
        "Only root may run a task as somebody else.",
    ),
    "LT604": Code(
        "limit that cannot be kept",
        "A limit needs what this host does not give: a control group (v2) that is delegated to "
        "ltspec (operations.md says how), or a higher hard limit.",
    ),
    "LT605": Code(
        "program not found",
        "The program is not there or not executable now. The task would end `ERR cannot "
        "start`.",
        severity=WARNING,
    ),
    "LT606": Code(
        "directory not found",
        "The working directory does not exist now.",
        severity=WARNING,
    ),
    "LT607": Code(
        "niceness not allowed",
        "Only root may start a task with a negative niceness.",
    ),
    # --- the config
    "LT701": Code(
        "wrong configuration",
        "`ltspec.yml` is one mapping in one document. Wrong keys and values in it have the "
        "codes of specs.",
    ),
}
